"""The questionnaire: what is asked, what is recorded, what is refused and how."""

import re
from pathlib import Path

import copier
import pytest
import yaml

from tests import quick
from tests.conftest import Make
from tests.rendering import ANSWERS_FILE, CHOICES, QUESTIONS, render_tree

light, tmp_path = quick.light, quick.tmp_path
ASKED = {
    "preset",
    "project_name",
    "user_name",
    "user_email",
    "github_user",
    "problem",
}
DERIVED = {"made_for", "package_name", "project_slug"}
ORGANISATION = {"base_image", "package_index", "uv_image"}
STANDARD = {
    "auth": "api_key",
    "bulk": "parquet",
    "container": "docker",
    "data_versioning": "dvc",
    "engine": "plan",
    "limits": "memory",
    "prediction_log": "sqlite",
}
PRESETS = {
    "starter": dict.fromkeys(STANDARD, "none") | {"engine": "sklearn"},
    "standard": STANDARD,
    "custom": STANDARD,
}


def answers_of(**given: str) -> dict[str, str]:
    """The answers file of a project made from these answers."""
    answers = yaml.safe_load(render_tree(given)[ANSWERS_FILE])
    assert isinstance(answers, dict)
    return answers


def test_every_question_explains_itself() -> None:
    for name in QUESTIONS.keys() - DERIVED:
        asks, advice = str(QUESTIONS[name]["help"]).splitlines()
        assert asks.endswith(("?", "sentence?")), name
        # An eighty-column terminal shows the whole of it.
        assert max(len(asks) + 3, len(advice)) < 80, name
    for question in QUESTIONS.values():
        for label in question.get("choices", {}):
            assert len(label) < 76, label


def test_only_custom_asks_for_more_than_six_answers() -> None:
    custom = "{{ preset == 'custom' }}"
    assert {
        name
        for name, question in QUESTIONS.items()
        if question.get("ask", True) not in (custom, False)
    } == ASKED
    unasked = {name for name, q in QUESTIONS.items() if q.get("ask") is False}
    assert unasked == DERIVED | ORGANISATION


def test_no_answer_is_forgotten_or_computed_again() -> None:
    assert not [name for name, question in QUESTIONS.items() if "when" in question]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_suggests_answers_and_all_are_recorded(preset: str) -> None:
    answers = answers_of(preset=preset)
    assert answers.keys() >= QUESTIONS.keys()
    expected = {"ci": "github", "formatter": "black", "licence": "MIT"}
    expected |= {"python_version": "3.11", "tracing": "none"} | PRESETS[preset]
    assert {name: answers[name] for name in expected} == expected


def test_the_default_preset_is_standard() -> None:
    assert answers_of() == answers_of(preset="standard")


@pytest.mark.parametrize("preset", ["starter", "standard"])
def test_an_answer_given_beats_the_preset(preset: str) -> None:
    answers = answers_of(preset=preset, container="none", data_versioning="dvc")
    assert (answers["container"], answers["data_versioning"]) == ("none", "dvc")


def test_a_persons_own_settings_fill_the_author(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"user_name": "Ada", "user_email": "ada@example.com", "github_user": "ada"}
    settings = tmp_path / "settings.yml"
    settings.write_text(yaml.safe_dump({"defaults": names}))
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(settings))
    answers = yaml.safe_load((make() / ANSWERS_FILE).read_text())
    assert {name: answers[name] for name in names} == names


@pytest.mark.parametrize("asked", [True, False])
def test_the_steps_are_those_that_the_answers_need(
    make: Make, capfd: pytest.CaptureFixture[str], asked: bool
) -> None:
    answers = {"data_versioning": "dvc", "container": "docker", "ci": "github"}
    make(**{name: answer if asked else "none" for name, answer in answers.items()})
    message = capfd.readouterr().err.partition("is ready")[2]
    steps = re.findall(
        "^  (make demo|make test|git init|.*dvc repro|docker build)",
        message,
        re.MULTILINE,
    )
    activated = ". .venv/bin/activate && dvc repro"
    optional = [activated, "docker build"] if asked else []
    assert sorted(steps) == sorted(["make demo", "make test", "git init", *optional])
    assert ("GitHub" in message) == asked


@pytest.mark.parametrize("question", CHOICES)
def test_a_choice_that_is_not_offered_is_refused(question: str) -> None:
    with pytest.raises(
        ValueError, match=f"'none of these' is not in .*{CHOICES[question][0]}"
    ):
        render_tree({question: "none of these"})


@pytest.mark.parametrize(
    ("question", "answer", "sentence"),
    [
        ("project_name", "", "must not be empty"),
        (
            "project_name",
            "two\nlines",
            "It contains a control character. Enter one line",
        ),
        (
            "project_name",
            "a tab\there",
            "It contains a control character. Enter one line",
        ),
        (
            "project_name",
            "line separator\u2028",
            "It contains a control character. Enter one line",
        ),
        ("project_name", " padded", "It starts or ends with a space"),
        ("project_name", "x" * 201, "longer than 200 characters"),
        ("project_name", "Tests", "'tests' is a folder, file or command"),
        ("project_name", "Kit", "'kit' is a folder, file or command"),
        ("project_name", "Pandas", "'pandas' is a package that projects install"),
        ("project_name", "scikit-learn", "'scikit_learn' is a package that"),
        ("project_name", "JSON", "'json' is a module of Python's standard library"),
        ("project_name", "Class", "'class' is a Python keyword"),
        ("package_name", "x", "2 to 30 lowercase letters"),
        ("package_name", "a" * 31, "2 to 30 lowercase letters"),
        ("package_name", "trailing_", "does not end with an underscore"),
        ("package_name", "9lives", "starts with a letter"),
        ("package_name", "Upper", "lowercase letters"),
        ("package_name", "mlflow", "'mlflow' is a package that projects install"),
        ("package_name", "data", "'data' is a folder, file or command"),
        ("package_name", "match", "'match' is a Python keyword"),
        ("package_name", "email", "'email' is a module of Python's standard library"),
        ("project_slug", "other-words", "must be project_slug with underscores"),
        ("description", "", "must not be empty"),
        (
            "description",
            "two\rlines",
            "It contains a control character. Enter one line",
        ),
        ("user_name", "bell\a", "It contains a control character. Enter one line"),
        ("user_email", "no address", "like ada@example.com"),
        ("user_email", 'quo"te@example.com', "like ada@example.com"),
        ("github_user", "not/a/name", "up to 39 letters"),
    ],
)
def test_a_bad_answer_is_refused_with_what_is_allowed(
    question: str, answer: str, sentence: str
) -> None:
    with pytest.raises(ValueError, match=f"'{question}'|'package_name'") as refused:
        render_tree({question: answer})
    assert sentence in str(refused.value)
    if question in ASKED | {"description"}:
        # A prompt shows what fits on one line of eighty columns.
        prompt, said = str(refused.value).split(": ", 1)
        gist = re.split(r"[:.](?: |$)", said, maxsplit=1)[0]
        assert len(f"{prompt}: {gist}") < 80


@pytest.mark.parametrize(
    ("project_name", "package"),
    [
        ("Churn model", "churn_model"),
        ("Größe & Gewicht", "groesse_gewicht"),
        ("Cafe\u0301 d'été", "cafe_dete"),
        ("売上予測", "ml_service"),
        ("🚢", "ml_service"),
        ("2024 sales", "ml_2024_sales"),
        ("x", "ml_x"),
        ("--- risk ---", "risk"),
        ("Customer lifetime value prediction engine", "customer_lifetime_value"),
        ("a" * 40, "a" * 30),
        ("b" * 29 + " c", "b" * 29),
    ],
)
def test_a_package_is_named_after_the_project(project_name: str, package: str) -> None:
    answers = answers_of(project_name=project_name)
    assert answers["package_name"] == package
    assert answers["project_slug"] == package.replace("_", "-")
    assert answers["project_name"] == project_name


def test_a_package_name_that_is_given_counts_instead() -> None:
    answers = answers_of(project_name="Tests", package_name="proof_of_worth")
    assert answers["project_slug"] == "proof-of-worth"


def test_copying_asks_for_no_trust(tmp_path: Path, copier_template: Path) -> None:
    copier.run_copy(str(copier_template), tmp_path, defaults=True, quiet=True)
    assert (tmp_path / ANSWERS_FILE).is_file()
