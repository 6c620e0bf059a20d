"""What owners do to their files: each edit changes a tree, path -> content.

An edit of one file is a function of its text now, its text in the next release and a
source of chance; it gives the owner's text, or nothing where it cannot be made there.
"""

from collections.abc import Callable, Collection
from random import Random

import black

from tests.rendering import ANSWERS_FILE, Tree
from tests.update.merging import Change, changes

Edit = Callable[[bytes, bytes, Random], bytes | None]
MINE = b"# mine: %d\n"
"""A line that no release has. It is a comment, or a heading, in whatever the file is."""


def line(random: Random) -> bytes:
    return MINE % random.randrange(10**6)


def inserted(text: bytes, place: int, new: bytes) -> bytes:
    lines = text.splitlines(True)
    return b"".join([*lines[:place], new, *lines[place:]])


def append(text: bytes, _: bytes, random: Random) -> bytes | None:
    """A line at the end."""
    return text + line(random)


def insert(text: bytes, _: bytes, random: Random) -> bytes | None:
    """A line somewhere."""
    return inserted(text, random.randrange(text.count(b"\n") + 1), line(random))


def near(text: bytes, new: bytes, random: Random) -> bytes | None:
    """A line two lines before one that the release changes."""
    found = changes(text, new)
    places = [change.start - 2 for change in found if change.start >= 2]
    return inserted(text, random.choice(places), line(random)) if places else None


def same(text: bytes, new: bytes, random: Random) -> bytes | None:
    """Other words for a line that the release changes too."""
    found = [change for change in changes(text, new) if change.end > change.start]
    if not found:
        return None
    change: Change = random.choice(found)
    lines = text.splitlines(True)
    lines[random.randrange(change.start, change.end)] = line(random)
    return b"".join(lines)


def cut(text: bytes, _: bytes, random: Random) -> bytes | None:
    """Some lines taken away."""
    lines = text.splitlines(True)
    if len(lines) < 3:
        return None
    place = random.randrange(len(lines) - 1)
    del lines[place : place + random.randint(1, 3)]
    return b"".join(lines)


def reformat(text: bytes, _: bytes, __: Random) -> bytes | None:
    """A run of a formatter that is set otherwise."""
    mode = black.Mode(line_length=72)
    return black.format_str(text.decode(), mode=mode).encode()


EDITS: dict[str, Edit] = {
    edit.__name__: edit for edit in (append, insert, near, same, cut, reformat)
}


def edits_of(path: str) -> dict[str, Edit]:
    """The edits that can be tried in a file: a formatter reads Python alone."""
    python = path.endswith(".py")
    return {name: e for name, e in EDITS.items() if python or e is not reformat}


# --- edits of a project ----------------------------------------------------------------

ProjectEdit = Callable[[Tree, Tree, Random], str]
"""Changes the first tree, and names what it changed; the second is the next release's."""


def some(tree: Tree, random: Random) -> str:
    """A file, but for the one that says what was answered."""
    return random.choice(sorted(tree.keys() - {ANSWERS_FILE}))


def deleted(tree: Tree, _: Tree, random: Random) -> str:
    """Take a file away."""
    path = some(tree, random)
    del tree[path]
    return path


def renamed(tree: Tree, _: Tree, random: Random) -> str:
    """Give a file another name, and leave its text."""
    path = some(tree, random)
    tree[f"mine/{path}"] = tree.pop(path)
    return path


def created(tree: Tree, _: Tree, random: Random) -> str:
    """Add a file beside another."""
    path = f"{some(tree, random)}.mine"
    tree[path] = line(random)
    return path


def met(tree: Tree, new: Tree, random: Random) -> str:
    """Add a file that the release adds too."""
    paths = sorted(new.keys() - tree.keys())
    if not paths:
        return ""
    path = random.choice(paths)
    tree[path] = line(random)
    return path


def depended(tree: Tree, _: Tree, random: Random) -> str:
    """Add dependencies to `[project]`."""
    path, none = "pyproject.toml", b"dependencies = []\n"
    if none not in tree.get(path, b""):
        return ""
    ours = b'dependencies = [\n    "polars>=%d",\n    "shap>=0.46",\n]\n'
    tree[path] = tree[path].replace(none, ours % random.randint(1, 3))
    return path


PROJECT_EDITS: dict[str, ProjectEdit] = {
    "delete": deleted,
    "rename": renamed,
    "create": created,
    "meet": met,
    "depend": depended,
}


def edited(kind: str, tree: Tree, new: Tree, random: Random) -> str:
    """Make an edit of one kind in one file, and name it: rather one that the release takes away, or changes."""
    every = [p for p in sorted(tree.keys() - {ANSWERS_FILE}) if kind in edits_of(p)]
    gone = [path for path in every if path not in new]
    changed = [path for path in every if new.get(path) != tree[path]]
    chance = random.random()
    among = gone if chance < 0.2 else changed if chance < 0.8 else every
    path = random.choice(among or every)
    text = EDITS[kind](tree[path], new.get(path, tree[path]), random)
    if text is None or text == tree[path]:
        return ""
    tree[path] = text
    return path


def edited_by_its_owner(
    old: Tree, new: Tree, off_limits: Collection[str], random: Random, told: list[str]
) -> Tree:
    """A project after up to eight edits, each of which is told."""
    mine = {path: text for path, text in old.items() if path not in off_limits}
    for _ in range(random.choice([0, 1, 2, 4, 8])):
        kind = random.choice([*EDITS, *PROJECT_EDITS])
        if kind in EDITS:
            path = edited(kind, mine, new, random)
        else:
            path = PROJECT_EDITS[kind](mine, new, random)
        told += [f"{kind} {path}"] if path else []
    return mine | {path: old[path] for path in off_limits}
