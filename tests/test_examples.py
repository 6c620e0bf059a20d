"""The projects under examples/ are what the template makes today."""

from tests.examples import FOLDER, fresh
from tests.releases import git
from tests.rendering import ROOT


def test_the_examples_are_fresh() -> None:
    listed = git(
        ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "examples"
    )
    kept = {path: (ROOT / path).read_bytes() for path in listed.splitlines()}
    wanted = {f"{FOLDER.name}/{path}": text for path, text in fresh().items()}
    stale = {p for p in kept.keys() | wanted.keys() if kept.get(p) != wanted.get(p)}
    assert not stale, f"examples/ is stale: run `make examples`. {sorted(stale)}"
