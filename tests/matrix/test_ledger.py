"""A ledger cannot make something pass that fails, and two branches' ledgers merge by themselves."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.matrix.ledger import ContradictionError, Ledger
from tests.matrix.project import Project
from tests.matrix.runs import Look, decide_by_runs
from tests.matrix.synthetic import adversary, write
from tests.matrix.template import Template
from tests.matrix.verdicts import Check, Decision, Problems, decide


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(adversary(tmp_path_factory.mktemp("adversary")))


class Tool:
    """Finds an x in a content, and remembers which contents it was given."""

    def __init__(self) -> None:
        self.given: list[bytes] = []
        self.check = Check(
            "no x",
            lambda project, path: project.content(path),
            ("part-*",),
            settle=self.settle,
        )

    def settle(self, plans: Sequence[bytes]) -> dict[bytes, Problems]:
        self.given += plans
        return {plan: ("an x",) if b"x" in plan else () for plan in plans}

    def decide(self, template: Template, ledger: Ledger) -> Decision:
        return decide(template, self.check, ledger=ledger)


@pytest.fixture
def file(tmp_path: Path, template: Template) -> Path:
    """The ledger of a run that found a problem and passes."""
    file = tmp_path / "ledger.txt"
    Tool().decide(template, Ledger(file, "salt"))
    return file


def forged(template: Template, salt: str = "salt") -> str:
    """Lines that claim a pass for each content that fails."""
    key = Ledger(salt=salt).key
    trees = map(template.tree, template.questions.combinations())
    contents = {tree.get("part-x/own.txt", b"") for tree in trees}
    return "".join(f"{key(text)} 1.0\n" for text in contents if b"x" in text)


def test_what_passed_is_not_settled_again(template: Template, file: Path) -> None:
    tool = Tool()
    decision = tool.decide(template, Ledger(file, "salt"))
    assert all(b"x" in content for content in tool.given)
    assert [failed.problem for failed in decision.failing] == ["an x"]


def test_a_tool_is_not_run_when_all_is_taken_over(
    template: Template, tmp_path: Path
) -> None:
    runs: list[Sequence[bytes]] = []

    def settle(plans: Sequence[bytes]) -> dict[bytes, Problems]:
        runs.append(plans)
        return dict.fromkeys(plans, ())

    def content(project: Project, path: str) -> bytes:
        return project.content(path) or b""

    check = Check("any", content, ("part-*",), settle=settle)
    for _ in range(2):
        decide(template, check, ledger=Ledger(tmp_path / "any.txt", "salt"))
    assert len(runs) == 1


def test_a_forged_line_is_found_by_the_run_that_repeats_it(
    template: Template, file: Path
) -> None:
    file.write_text(file.read_text("utf-8") + forged(template), "utf-8")
    believing = Tool().decide(template, Ledger(file, "salt"))
    assert not believing.failing, "the line would be believed"
    # That run wrote it down once more, as any would.
    with pytest.raises(ContradictionError, match="no x passes, and it fails"):
        Tool().decide(template, Ledger(file, "salt", again=lambda key: True))


def test_a_line_of_another_tool_says_nothing(template: Template, file: Path) -> None:
    """A line made under another salt, or changed by hand, is the hash of nothing that is asked for."""
    foreign, text = forged(template, "another"), file.read_text("utf-8")
    changed = "".join(f"0{line[1:]}\n" for line in text.splitlines())
    file.write_text(foreign + changed, "utf-8")
    tool = Tool()
    assert tool.decide(template, Ledger(file, "salt")).failing
    assert any(b"x" not in content for content in tool.given)
    assert file.read_text("utf-8").splitlines() == text.splitlines()


def test_a_line_is_stale_when_what_it_read_changed(tmp_path: Path) -> None:
    settings = "q:\n  type: str\n  choices: [a, b]\n_subdirectory: template\n_envops:\n  keep_trailing_newline: true\n"
    file = tmp_path / "ledger.txt"
    ran: list[object] = []

    def decided(text: str) -> Decision:
        folder = tmp_path / f"template-{len(ran)}"
        files = {"copier.yml": settings, "template/a.txt.jinja": text}
        template = Template(write(folder, files))

        def execute(known: object) -> tuple[Sequence[Look], Problems]:
            ran.append(known)
            bad = b"x" in template.tree(known)["a.txt"]  # type: ignore[arg-type]
            return [("a.txt", "content")], ("an x",) if bad else ()

        ledger = Ledger(file, "salt")
        return decide_by_runs(template, "no x", "a.txt", execute, ledger, {})

    assert not decided("{{ q }}\n").failing
    assert not decided("{{ q }}\n").failing
    assert len(ran) == 2, "the second time nothing had changed"
    (failing,) = decided("{% if q == 'b' %}x{% endif %}{{ q }}\n").failing
    assert failing.combinations == 1
    assert len(ran) == 3, "only b's project is another"


def test_a_run_that_looks_at_less_another_time_leaves_the_ledger_as_it_is(
    template: Template, tmp_path: Path
) -> None:
    file = tmp_path / "ledger.txt"

    def decided(*looks: Look) -> Decision:
        ledger = Ledger(file, "salt", again=lambda key: True)
        return decide_by_runs(
            template, "runs", "names.txt", lambda known: (looks, ()), ledger, {}
        )

    decided(("fast.txt", "kind"), ("names.txt", "content"))
    text = file.read_text("utf-8")
    again = decided(("names.txt", "content"))
    assert again.repeated == again.plans
    assert file.read_text("utf-8") == text
    decided(("names.txt", "content"), ("aws", "kind"))
    assert '"aws"' in file.read_text("utf-8")


def test_two_branches_merge_by_keeping_the_lines_of_both(
    template: Template, file: Path
) -> None:
    text = file.read_text("utf-8")
    lines = text.splitlines(keepends=True)
    one, two = lines[::2], lines[1::2]
    # As `merge=union` leaves them, doubled lines included.
    file.write_text("".join([*two, *one, *two, "0" * 24 + " 3.0\n"]), "utf-8")
    tool = Tool()
    tool.decide(template, Ledger(file, "salt"))
    assert all(b"x" in content for content in tool.given)
    assert file.read_text("utf-8") == text, "what nothing needs any more is dropped"


def test_a_template_that_is_broken_on_purpose_writes_nothing(
    template: Template, file: Path
) -> None:
    before = file.read_text("utf-8")
    Tool().decide(template, Ledger(file, "another", keep=False))
    assert file.read_text("utf-8") == before
