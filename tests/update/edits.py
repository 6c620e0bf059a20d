"""Random edits by owners of projects, in one file or in the tree of files.

An edit of a file is a function of its current text, its text in the next release and a random
generator. It returns the owner's text, or None if the edit is impossible in this file.
"""

from collections.abc import Callable, Collection
from random import Random

import black

from tests.rendering import ANSWERS_FILE, Tree
from tests.update.merging import Change, find_changes

Edit = Callable[[bytes, bytes, Random], bytes | None]
MINE = b"# mine: %d\n"
"""A line that no release has; a comment, or a heading in Markdown."""


def random_line(random: Random) -> bytes:
    return MINE % random.randrange(10**6)


def insert_line(text: bytes, index: int, line: bytes) -> bytes:
    lines = text.splitlines(True)
    return b"".join([*lines[:index], line, *lines[index:]])


def append(text: bytes, _: bytes, random: Random) -> bytes | None:
    """Add a line at the end."""
    return text + random_line(random)


def insert(text: bytes, _: bytes, random: Random) -> bytes | None:
    """Add a line at a random place."""
    return insert_line(
        text, random.randrange(text.count(b"\n") + 1), random_line(random)
    )


def insert_near_change(text: bytes, new: bytes, random: Random) -> bytes | None:
    """Add a line two lines before one that the release changes."""
    starts = [change.start for change in find_changes(text, new)]
    indexes = [start - 2 for start in starts if start >= 2]
    if not indexes:
        return None
    return insert_line(text, random.choice(indexes), random_line(random))


def change_same_line(text: bytes, new: bytes, random: Random) -> bytes | None:
    """Replace a line that the release changes too."""
    changed = [c for c in find_changes(text, new) if c.end > c.start]
    if not changed:
        return None
    change: Change = random.choice(changed)
    lines = text.splitlines(True)
    lines[random.randrange(change.start, change.end)] = random_line(random)
    return b"".join(lines)


def delete_lines(text: bytes, _: bytes, random: Random) -> bytes | None:
    """Delete up to three lines."""
    lines = text.splitlines(True)
    if len(lines) < 3:
        return None
    start = random.randrange(len(lines) - 1)
    del lines[start : start + random.randint(1, 3)]
    return b"".join(lines)


def reformat(text: bytes, _: bytes, __: Random) -> bytes | None:
    """Format the file with another line length."""
    mode = black.Mode(line_length=72)
    return black.format_str(text.decode(), mode=mode).encode()


EDITS: dict[str, Edit] = {
    edit.__name__: edit
    for edit in (
        append,
        insert,
        insert_near_change,
        change_same_line,
        delete_lines,
        reformat,
    )
}
"""The edits of a file by name."""


def applicable_edits(path: str) -> dict[str, Edit]:
    """Return the edits for a type of file: the formatter reads only Python."""
    python = path.endswith(".py")
    return {n: edit for n, edit in EDITS.items() if python or edit is not reformat}


# --- edits of a project ----------------------------------------------------------------

ProjectEdit = Callable[[Tree, Tree, Random], str]
"""A function that changes the first tree and returns the path, or an empty text if the edit is impossible. The second tree is
that of the next release."""


def random_path(tree: Tree, random: Random) -> str:
    """Return the path of a random file other than the answers file."""
    return random.choice(sorted(tree.keys() - {ANSWERS_FILE}))


def delete_file(tree: Tree, _: Tree, random: Random) -> str:
    """Delete a file."""
    path = random_path(tree, random)
    del tree[path]
    return path


def move_file(tree: Tree, _: Tree, random: Random) -> str:
    """Move a file without changing its text."""
    path = random_path(tree, random)
    tree[f"mine/{path}"] = tree.pop(path)
    return path


def create_file(tree: Tree, _: Tree, random: Random) -> str:
    """Create a file next to another."""
    path = f"{random_path(tree, random)}.mine"
    tree[path] = random_line(random)
    return path


def create_new_file_of_release(tree: Tree, new: Tree, random: Random) -> str:
    """Create a file that the release adds too."""
    paths = sorted(new.keys() - tree.keys())
    if not paths:
        return ""
    path = random.choice(paths)
    tree[path] = random_line(random)
    return path


def add_dependencies(tree: Tree, _: Tree, random: Random) -> str:
    """Add dependencies to `[project]`."""
    path, empty = "pyproject.toml", b"dependencies = []\n"
    if empty not in tree.get(path, b""):
        return ""
    filled = b'dependencies = [\n    "polars>=%d",\n    "shap>=0.46",\n]\n'
    tree[path] = tree[path].replace(empty, filled % random.randint(1, 3))
    return path


PROJECT_EDITS: dict[str, ProjectEdit] = {
    "delete file": delete_file,
    "move file": move_file,
    "create file": create_file,
    "create new file of release": create_new_file_of_release,
    "add dependencies": add_dependencies,
}
"""The edits of the tree by name."""


def edit_file(kind: str, tree: Tree, new: Tree, random: Random) -> str:
    """Apply an edit to a random file, and return the path; empty if the edit is impossible there.

    A file that the release deletes or changes is more likely, as it is harder to update.
    """
    paths = sorted(tree.keys() - {ANSWERS_FILE})
    editable = [path for path in paths if kind in applicable_edits(path)]
    deleted = [path for path in editable if path not in new]
    changed = [path for path in editable if new.get(path) != tree[path]]
    share = random.random()
    candidates = deleted if share < 0.2 else changed if share < 0.8 else editable
    path = random.choice(candidates or editable)
    text = EDITS[kind](tree[path], new.get(path, tree[path]), random)
    if text is None or text == tree[path]:
        return ""
    tree[path] = text
    return path


def edit_project(
    old: Tree, new: Tree, off_limits: Collection[str], random: Random
) -> tuple[Tree, list[str]]:
    """Return a project's files after up to eight random edits, and a description of each edit."""
    mine = {path: text for path, text in old.items() if path not in off_limits}
    descriptions = []
    for _ in range(random.choice([0, 1, 2, 4, 8])):
        kind = random.choice([*EDITS, *PROJECT_EDITS])
        if kind in EDITS:
            path = edit_file(kind, mine, new, random)
        else:
            path = PROJECT_EDITS[kind](mine, new, random)
        if path:
            descriptions.append(f"{kind}: {path}")
    return mine | {path: old[path] for path in off_limits}, descriptions
