"""A small template with five releases that contain every kind of change.

Each release is the one before it with the changes of a maintainer.
"""

import re

from tests.releases import MIGRATION
from tests.rendering import ROOT

Files = dict[str, str]

YOURS = {"model.py", "notes/today.md"}
"""The files that an update never touches."""
RENAMED = {"colour": "palette"}
"""New names of questions by their old names."""

SETTINGS = """\
_subdirectory: template
_envops:
  undefined: jinja2.StrictUndefined
  trim_blocks: true
  lstrip_blocks: true
  keep_trailing_newline: true
_exclude:
  - |-
    {% if _copier_operation == "update" %}
    /model.py
    /notes/
    {% endif %}
_migrations: []

preset: {type: str, default: small, choices: [small, large]}
name: {type: str, default: Harbour}
colour: {type: str, default: red, choices: [red, blue, green]}
docs: {type: str, default: "{{ 'none' if preset == 'small' else 'pages' }}", choices: [none, pages]}
"""
STEPS = '''

@before("2.0.0")
def settings_moved(project: Path) -> None:
    """Move conf.toml to settings.toml: every tool reads that name now."""
    move(project, "conf.toml", "settings.toml")


@before("2.0.0")
def tool_removed(project: Path) -> None:
    """Keep tools/old.py where it was edited: its work is done elsewhere now."""
    keep(project, "tools/old.py")
'''
APP = "".join(
    f'def part_{n}(number: int) -> int:\n    """Part {n}."""\n'
    f"    return number * {n}\n\n\n"
    for n in range(8)
)
FIRST: Files = {
    "copier.yml": SETTINGS,
    "hooks/migrate.py": (ROOT / "hooks/migrate.py").read_text("utf-8"),
    "template/{{ _copier_conf.answers_file }}.jinja": (
        "{{ _copier_answers | to_nice_yaml -}}\n"
    ),
    "template/README.md.jinja": (
        "# {{ name }}\n\nIt is {{ colour }}.\n\n"
        "{% if docs == 'pages' %}\nIts pages are in docs/.\n\n{% endif %}\n"
        "## Start\n\nRun it.\n\n## Test\n\nTest it.\n\n## Ship\n\nShip it.\n"
    ),
    "template/conf.toml.jinja": (
        'name = "{{ name }}"\ncolour = "{{ colour }}"\n\n[limits]\nlow = 1\nhigh = 9\n'
        '\n[paths]\ndata = "data"\nmodels = "models"\n'
    ),
    "template/pyproject.toml.jinja": (
        '[project]\nname = "{{ name | lower }}"\n# Yours.\ndependencies = []\n\n'
        '[dependency-groups]\nserve = [\n    "fastapi>=0.150",\n    "rich>=14",\n]\n'
    ),
    "template/src/app.py": APP,
    "template/src/tools.py": "import sys\n\n\ndef stop() -> None:\n    sys.exit(0)\n",
    "template/tools/old.py": 'print("old")\nprint("tool")\nprint("still")\n',
    "template/model.py": "def model() -> int:\n    return 1\n",
    "template/notes/today.md.jinja": "# {{ name }} today\n",
    "template/{{ '.' if docs == 'pages' }}/docs/index.md.jinja": (
        "# Pages of {{ name }}\n\nOne.\n\nTwo.\n\nThree.\n"
    ),
}


def add_question(files: Files) -> Files:
    """1.1.0: add a question, and change a default."""
    log = "log: {type: str, default: none, choices: [none, file]}\n"
    sheet = "template/{{ '.' if log == 'file' }}/src/log.py"
    readme = files["template/README.md.jinja"]
    return files | {
        "copier.yml": files["copier.yml"].replace("default: red", "default: blue")
        + log,
        sheet: 'FILE = "log.txt"\n\n\ndef log(text: str) -> None:\n    print(text)\n',
        "template/README.md.jinja": readme.replace("Run it.", "Run it twice."),
        "template/model.py": files["template/model.py"] + "\n# newer\n",
        "template/src/app.py": APP.replace('"Part 3."', '"The third part."'),
    }


def rename_question(files: Files) -> Files:
    """1.2.0: rename a question, and change a preset."""
    word = re.compile(r"\bcolour\b(?=[^{}]*\}\})")
    files = {path: word.sub("palette", text) for path, text in files.items()}
    settings = files["copier.yml"].replace("'small' else", "'tiny' else")
    question = "palette: {type: str, default: \"{{ colour | default('blue') }}\""
    return files | {
        "copier.yml": settings.replace("colour: {type: str, default: blue", question),
        "template/pyproject.toml.jinja": files["template/pyproject.toml.jinja"].replace(
            '"rich>=14"', '"pyyaml>=6",\n    "rich>=15"'
        ),
        "template/src/app.py": files["template/src/app.py"].replace(
            "number * 6", "number * 66"
        ),
    }


def move_files(files: Files) -> Files:
    """2.0.0: move and change a file, delete one, and split one."""
    files = dict(files)
    settings = files.pop("template/conf.toml.jinja").replace("high = 9", "high = 12")
    del files["template/tools/old.py"]
    app = files["template/src/app.py"]
    cut = app.index("def part_4")
    return files | {
        "copier.yml": files["copier.yml"].replace(
            "_migrations: []\n", MIGRATION % "2.0.0"
        ),
        "hooks/migrate.py": files["hooks/migrate.py"].replace(
            "\n\nif __name__", f"{STEPS}\n\nif __name__"
        ),
        "template/settings.toml.jinja": settings,
        "template/src/app.py": app[:cut].rstrip() + "\n",
        "template/src/more.py": app[cut:].rstrip() + "\n",
    }


def change_texts(files: Files) -> Files:
    """2.1.0: change texts only."""
    readme = files["template/README.md.jinja"]
    sheet = "template/{{ '.' if docs == 'pages' }}/docs/index.md.jinja"
    return files | {
        "template/README.md.jinja": readme.replace("Ship it.", "Ship it, or do not."),
        sheet: files[sheet].replace("Two.", "Second."),
        "template/settings.toml.jinja": files["template/settings.toml.jinja"].replace(
            "low = 1", "low = 2"
        ),
    }


def releases() -> dict[str, Files]:
    """Return the files of each release, the oldest first."""
    versions = {"1.0.0": FIRST}
    files = FIRST
    for version, change in (
        ("1.1.0", add_question),
        ("1.2.0", rename_question),
        ("2.0.0", move_files),
        ("2.1.0", change_texts),
    ):
        files = change(files)
        versions[version] = files
    return versions
