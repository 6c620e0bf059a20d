"""The template's own files: names, sheets, and what no committed file may say."""

import re
from functools import cache
from itertools import combinations
from pathlib import Path

from tests.releases import git
from tests.rendering import ROOT, every_answer
from tests.test_names import ENVIRONMENT

TEMPLATE = ROOT / "template"
CONDITION = re.compile(r"\{\{ '\.' if (.+) \}\}")
# Windows keeps these characters and names for itself.
ILLEGAL = re.compile(
    r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE
)
INDEX_HOSTS = (
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "anaconda" + ".org",
    "npmjs" + ".org",
)


@cache
def committed() -> list[Path]:
    """Every file of the repository, today's included."""
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return [
        ROOT / path for path in listed.split("\0") if path and (ROOT / path).is_file()
    ]


def sources() -> list[Path]:
    return [path for path in committed() if path.is_relative_to(TEMPLATE)]


def sheet_of(path: Path) -> tuple[str, str]:
    """The condition of a file's sheet, empty for the base, and its path in a project."""
    parts = path.relative_to(TEMPLATE).parts
    condition = CONDITION.fullmatch(parts[0])
    rest = "/".join(parts[1:] if condition else parts).removesuffix(".jinja")
    return (condition[1] if condition else ""), rest


@cache
def chosen(condition: str) -> frozenset[int]:
    """The combinations of answers that lay the sheet over the project."""
    holds = ENVIRONMENT.compile_expression(condition) if condition else None
    answers = enumerate(every_answer())
    return frozenset(n for n, given in answers if holds is None or holds(**given))


def test_file_names_are_legal_on_windows() -> None:
    for path in sources():
        for part in path.relative_to(TEMPLATE).parts:
            assert not ILLEGAL.search(part), path
        assert len(str(path.relative_to(ROOT))) < 160, path
    folded = [str(path).casefold() for path in sources()]
    assert len(folded) == len(set(folded)), "two names differ in case alone"


def test_a_sheet_is_one_folder_at_the_top() -> None:
    for path in sources():
        assert not any(
            "{{ '.'" in part for part in path.relative_to(TEMPLATE).parts[1:]
        )
        condition, _ = sheet_of(path)
        assert chosen(condition), f"no answers choose {condition}"


def test_sheets_never_hold_the_same_path() -> None:
    places: dict[str, list[str]] = {}
    for path in sources():
        condition, place = sheet_of(path)
        places.setdefault(place, []).append(condition)
    for place, conditions in places.items():
        for one, other in combinations(conditions, 2):
            both = chosen(one) & chosen(other)
            assert not both, f"{place} is in two sheets: {one or 'base'} and {other}"


def test_only_templates_hold_jinja() -> None:
    for path in sources():
        text = path.read_text("utf-8")
        holds = bool(re.search(r"\{\{|\{%|\{#", text))
        if path.suffix == ".jinja":
            assert holds, f"{path} holds no Jinja: drop its suffix"


def test_no_committed_file_names_a_package_index() -> None:
    for path in committed():
        text = path.read_bytes().decode("utf-8", "replace")
        for host in INDEX_HOSTS:
            assert host not in text, f"{path} names {host}"


def test_a_template_is_short_and_mostly_text() -> None:
    for path in sources():
        if path.name == "LICENSE":
            continue
        lines = path.read_text("utf-8").splitlines()
        tags = [line for line in lines if line.lstrip().startswith("{%")]
        assert len(tags) * 3 <= len(lines), f"{path}: more than a third is conditions"
        assert path.suffix != ".py" or len(lines) <= 300, path
