"""A release after the current template, in which most files change and some move.

It depends on the template only by the names of the few files that move.
"""

from pathlib import Path

from tests.manifests import entry
from tests.releases import Template, emitted_path

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


def sources_by_path(template: Template) -> dict[str, list[Path]]:
    """Return the template's files by the path that they have in a project."""
    sources: dict[str, list[Path]] = {}
    root = template.folder / "template"
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        # Copier writes the answers file itself.
        if "_copier_conf" not in file.name:
            sources.setdefault(emitted_path(file, template.folder), []).append(file)
    return sources


def reword(text: str) -> str:
    """Return the text with a new line near its start, and some other words."""
    text = text.replace("\n\n", "\n\n# What follows is newer.\n\n", 1)
    lines = text.splitlines(keepends=True)
    for number in range(3, len(lines), 11):
        if "{" not in lines[number]:
            lines[number] = lines[number].replace(" the ", " this ", 1)
    return "".join(lines)


def change_template(template: Template) -> None:
    """Change the template as its next release might."""
    sources = sources_by_path(template)
    for path, files in sources.items():
        for file in files if entry(path).owner != "yours" else ():
            file.write_text(reword(file.read_text("utf-8")), "utf-8")
    with_question = f"{QUESTION}_min_copier_version"
    template.replace("copier.yml", "_min_copier_version", with_question)
    template.replace("copier.yml", "default: black", "default: ruff")
    template.replace("copier.yml", "'none' if preset == 'starter' else", "")
    template.write(SHEET, "# {{ project_name }}, for everybody\n\nWelcome.\n")
    template.migrate(VERSION, STEPS)
    for file in sources["docs/guide.md"]:
        file.rename(file.with_name("handbook.md.jinja"))
    for file in sources["tests/load/locustfile.py"]:
        file.unlink()
    modules = [
        file
        for files in sources.values()
        for file in files
        if "kit" in file.parts and file.suffix == ".py"
    ]
    split_module(max(modules, key=lambda module: module.stat().st_size))


def split_module(module: Path) -> None:
    """Split a module before a function near its middle."""
    text = module.read_text("utf-8")
    place = text.index("\n\n\ndef ", len(text) // 3) + 3
    module.write_text(text[:place].rstrip() + "\n", "utf-8")
    module.with_name(f"{module.stem}_more.py").write_text(text[place:], "utf-8")
