"""A release that follows today's template: much of it changes, some of it moves.

Nothing here knows more of the template than the few files that move.
"""

from pathlib import Path

from tests.manifests import entry
from tests.releases import Template, emitted

VERSION = "99.0.0"
QUESTION = """\
audience:
  type: str
  ask: false
  default: "{{ 'team' if preset == 'starter' else 'public' }}"
  choices: [team, public]

"""
SHEET = "template/{{ '.' if audience == 'public' }}/docs/public.md.jinja"
STEPS = f'''

@before("{VERSION}")
def guide_moved(project: Path) -> None:
    """Move docs/guide.md to docs/handbook.md."""
    move(project, "docs/guide.md", "docs/handbook.md")


@before("{VERSION}")
def load_test_removed(project: Path) -> None:
    """Keep tests/load/locustfile.py where it was edited."""
    keep(project, "tests/load/locustfile.py")
'''


def sources(template: Template) -> dict[str, list[Path]]:
    """The path that each file makes, and those that make it, whatever sheet they are in."""
    found: dict[str, list[Path]] = {}
    root = template.folder / "template"
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        # The file of answers says nothing of its own.
        if "_copier_conf" not in file.name:
            found.setdefault(emitted(file, template.folder), []).append(file)
    return found


def retold(text: str) -> str:
    """A text with a new line near its start, and other words here and there."""
    text = text.replace("\n\n", "\n\n# What follows is newer.\n\n", 1)
    lines = text.splitlines(keepends=True)
    for number in range(3, len(lines), 11):
        if "{" not in lines[number]:
            lines[number] = lines[number].replace(" the ", " this ", 1)
    return "".join(lines)


def tomorrow(template: Template) -> None:
    """Change the template as its next release might."""
    known = sources(template)
    for path, files in known.items():
        for file in files if entry(path).owner != "yours" else ():
            file.write_text(retold(file.read_text("utf-8")), "utf-8")
    asked = f"{QUESTION}_min_copier_version"
    template.replace("copier.yml", "_min_copier_version", asked)
    template.replace("copier.yml", "default: black", "default: ruff")
    template.replace("copier.yml", "'none' if preset == 'starter' else", "")
    template.write(SHEET, "# {{ project_name }}, for everybody\n\nWelcome.\n")
    template.migrate(VERSION, STEPS)
    for file in known["docs/guide.md"]:
        file.rename(file.with_name("handbook.md.jinja"))
    for file in known["tests/load/locustfile.py"]:
        file.unlink()
    modules = (
        file for files in known.values() for file in files if "kit" in file.parts
    )
    halve(
        max((m for m in modules if m.suffix == ".py"), key=lambda m: m.stat().st_size)
    )


def halve(module: Path) -> None:
    """Split a module before a function near its middle."""
    text = module.read_text("utf-8")
    place = text.index("\n\n\ndef ", len(text) // 3) + 3
    module.write_text(text[:place].rstrip() + "\n", "utf-8")
    module.with_name(f"{module.stem}_more.py").write_text(text[place:], "utf-8")
