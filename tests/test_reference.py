"""docs/questions.md says what copier.yml says."""

from tests.reference import PAGE, page


def test_the_reference_of_the_questions_is_fresh() -> None:
    stale = "docs/questions.md is stale: run `make examples`."
    assert PAGE.read_text("utf-8") == page(), stale
