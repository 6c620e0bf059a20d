"""A program is run once for all combinations in which it looks at the same, in whatever order it looks."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.matrix.answers import Known
from tests.matrix.ledger import Ledger
from tests.matrix.questions import Way
from tests.matrix.runs import Look, decide_by_runs
from tests.matrix.synthetic import adversary
from tests.matrix.template import Template
from tests.matrix.verdicts import Decision, Problems, shown


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(adversary(tmp_path_factory.mktemp("adversary")))


class Program:
    """It looks for one file, then into others; every second time the other way round."""

    def __init__(self, template: Template) -> None:
        self.ran: list[str] = []
        self._template = template

    def __call__(self, known: Known) -> tuple[Sequence[Look], Problems]:
        tree = self._template.tree(known)
        self.ran.append(shown(known))
        looks: list[Look] = [
            ("fast.txt", "kind"),
            ("aws", "kind"),
            ("vault", "listing"),
        ]
        if "fast.txt" in tree:
            looks.append(("names.txt", "long"))
        bad = b"BIG" in tree["names.txt"] and "fast.txt" in tree
        problems = ("big and fast",) if bad else ()
        return looks[:: -1 if len(self.ran) % 2 else 1], problems


def long(content: bytes) -> bool:
    """A part of what the file says."""
    return b"BIG" in content


VIEWS: dict[str, Callable[[bytes], object]] = {"long": long}


def decided(template: Template, program: Program, ledger: Ledger) -> Decision:
    return decide_by_runs(template, "runs", "names.txt", program, ledger, VIEWS)


def test_one_run_counts_for_all_that_look_the_same(template: Template) -> None:
    program = Program(template)
    decision = decided(template, program, Ledger())
    (failing,) = decision.failing
    assert [shown(answers) for answers in failing.answers] == ["mode=fast"]
    # Whether it is fast, whether aws is there, what the vault holds, and whether a name is big.
    assert len(set(program.ran)) == decision.plans <= 12


def combinations(template: Template) -> list[Known]:
    return list(template.questions.combinations())


def way_of(template: Template, known: Known) -> Way:
    return Way(template.questions, known)


def test_a_run_is_taken_over_until_its_salt_changes(
    template: Template, tmp_path: Path
) -> None:
    file = tmp_path / "ledger.txt"
    first = Program(template)
    decision = decided(template, first, Ledger(file, "one"))
    text = file.read_text("utf-8")
    again = Program(template)
    assert decided(template, again, Ledger(file, "one")).failing == decision.failing
    # A failure is not kept: it may have been the machine's fault.
    assert again.ran
    assert all("size=big" in ran and "mode=fast" in ran for ran in again.ran)
    assert file.read_text("utf-8") == text
    assert not decision.opened, "it only asked for files, and looked at a part of one"
    other = Program(template)
    assert decided(template, other, Ledger(file, "two")).failing == decision.failing
    assert len(other.ran) == len(first.ran)


def test_each_run_is_due_to_some_answers(template: Template) -> None:
    decision = decided(template, Program(template), Ledger())
    spent = [known for known, seconds in decision.costs if seconds]
    assert len(spent) == decision.plans
    counted = sum(template.questions.count(known) for known, _ in decision.costs)
    assert counted == template.questions.count({})


def test_a_listing_and_a_folder_are_looks(template: Template) -> None:
    for known in combinations(template):
        way, tree = way_of(template, known), template.tree(known)
        names = {path.split("/")[0] for path in tree}
        assert template.listing("", way).splitlines() == sorted(names)
        has = any(path.startswith("aws/") for path in tree)
        assert template.kind("aws", way) == ("folder" if has else "")
        assert template.kind("four.txt", way) == "file"
