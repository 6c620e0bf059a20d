"""What is emitted: every file owned, tested, valid and needed, and not too many."""

import hashlib
import re

from pathspec import GitIgnoreSpec

from tests import manifests
from tests.manifests import CORE, PACKAGE, entry
from tests.rendering import CHOICES, ROOT, render_tree, settings
from tests.test_names import ENVIRONMENT
from tests.trees import template


def test_every_file_is_in_a_manifest_and_each_entry_has_its_file() -> None:
    assert sorted(manifests.files()) == sorted(template().files)


def test_a_file_of_an_option_is_there_for_its_question() -> None:
    """Else the manifest of another question, or the core's, should have it."""
    for manifest in manifests.manifests().values():
        for file in manifest.owned():
            deciding = {
                name
                for source in template().paths[file.path]
                for name in source.places.inputs()
            }
            expected = {manifest.question} if manifest.question != CORE else set()
            assert expected <= deciding, f"{file.path} does not depend on {expected}"
            assert expected or deciding <= {"package_name"}, f"{file.path}: {deciding}"


def test_the_test_that_an_entry_names_reads_the_file() -> None:
    """Of emitted tests the matrix knows what they open: tests/test_matrix.py holds those."""
    for path, file in manifests.files().items():
        if file.proof not in template().files:
            source = (ROOT / file.proof).read_text("utf-8")
            name = path.rpartition("/")[2]
            called = f'"{name.partition(".")[0]}"'
            assert (
                path in source or name in source or called in source
            ), f"{file.proof} does not name {path}"


def test_what_an_update_leaves_alone_is_what_the_manifests_call_yours() -> None:
    patterns = settings()["_exclude"]
    excluded = {}
    for operation in ("copy", "update"):
        context = {"_copier_operation": operation, "package_name": PACKAGE}
        lines = "\n".join(patterns)
        text = ENVIRONMENT.from_string(lines).render(context)
        spec = GitIgnoreSpec.from_lines(text.splitlines())
        excluded[operation] = {
            path for path in template().files if spec.match_file(path)
        }
    assert excluded["copy"] == set()
    assert excluded["update"] == {
        p for p in template().files if entry(p).owner == "yours"
    }


def test_what_is_yours_depends_on_the_problem_alone() -> None:
    for path in template().files:
        if entry(path).owner == "yours":
            decided = template().questions_of(path)
            assert decided <= {"problem", "package_name"}, f"{path}: {decided}"


def test_adopt_knows_the_demo_that_it_replaces() -> None:
    """Else the demo's features would stay in a project that has adopted another table."""
    for problem in CHOICES["problem"]:
        tree = render_tree({"problem": problem, "package_name": PACKAGE})
        adopt = tree["tools/adopt.py"].decode()
        known = set(re.findall(r'"([0-9a-f]{64})"', adopt))
        for path in ("schema.yaml", f"src/{PACKAGE}/features.py"):
            digest = hashlib.sha256(tree[path]).hexdigest()
            assert digest in known, f"{path} of {problem}: put {digest} into DEMO_FILES"
