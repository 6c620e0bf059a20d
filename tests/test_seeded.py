"""The matrix finds what is broken: bugs of different kinds, seeded one at a time, each under exactly the answers that have it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.checks import CHECKS, decide_check, suite, unexcused
from tests.checks.ledgers import READ
from tests.matrix.dead import alike, untaken
from tests.matrix.faults import faults
from tests.matrix.template import Template
from tests.matrix.verdicts import shown
from tests.rendering import source
from tests.trees import usual

SHEET = "template/{{{{ '.' if {} }}}}"
DVC = SHEET.format("data_versioning == 'dvc'")
DOCKER = SHEET.format("container == 'docker'")
CI = SHEET.format("ci == 'github'")


@dataclass(frozen=True)
class Bug:
    """A change of one file of the template, and where it must be found."""

    name: str
    file: str
    old: str
    new: str
    found_by: str
    under: str


BUGS = (
    Bug(
        "a typo in a rare arm",
        "template/README.md.jinja",
        '{% if container == "docker" %}\n    image',
        '{% if container == "docker" and licence == "BSD-3-Clause" %}\n{{ projet_name }}\n    image',
        "renders",
        "container=docker, licence=BSD-3-Clause",
    ),
    Bug(
        "a missing dependency",
        "template/pyproject.toml.jinja",
        '    "imbalanced-learn>=0.14",\n',
        "",
        "imports are declared",
        "problem=classification",
    ),
    Bug(
        "a four-way interaction",
        "template/docs/guide.md.jinja",
        "# Guide\n",
        '{% if ci == "github" and formatter == "ruff" and problem == "regression" and'
        ' python_version == "3.13" %}\n[gone](gone.md)\n\n{% endif %}\n# Guide\n',
        "links",
        "ci=github, formatter=ruff, problem=regression, python_version=3.13",
    ),
    Bug(
        "a name in another file",
        f"{DVC}/dvc.yaml.jinja",
        "cmd: {{ project_slug }} check",
        "cmd: {{ project_slug }} validate",
        "pipeline",
        "data_versioning=dvc",
    ),
    Bug(
        "a sheet with the wrong condition",
        SHEET.format("ci == 'github' and container == 'docker'")
        + "/.github/workflows/image.yml",
        "name: Image",
        "",
        "meets",
        "ci=github, container=docker",
    ),
    Bug(
        "formatting in one arm",
        "template/tests/conftest.py.jinja",
        "ROWS = 600",
        '{% if data_versioning == "none" %}\nROWS = (600)\n{% else %}\nROWS = 600\n{% endif %}',
        "black",
        "data_versioning=none",
    ),
    Bug(
        "a link",
        "template/README.md.jinja",
        "](docs/guide.md)",
        "](docs/guides.md)",
        "links",
        "any answers",
    ),
    Bug(
        "a make target",
        f"{CI}/.github/workflows/ci.yml.jinja",
        "- run: make test",
        "- run: make tests",
        "make targets",
        "ci=github",
    ),
    Bug(
        "an unused answer",
        "template/pyproject.toml.jinja",
        '{% if github_user %}\n[project.urls]\nRepository = "https://github.com/{{ github_user }}/{{ project_slug }}"\n\n{% endif %}\n',
        "",
        "alike",
        "github_user",
    ),
    Bug(
        "an import in the wrong set",
        "template/src/{{ package_name }}/kit/serve/app.py",
        "\nfrom fastapi import",
        "\nimport optuna\nfrom fastapi import",
        "imports are declared",
        "any answers",
    ),
    Bug(
        "a left-over word",
        "template/.gitignore.jinja",
        "\n",
        "\n/.dvc/tmp\n",
        "words",
        "data_versioning=none",
    ),
    Bug(
        "a far file that a test reads",
        "template/tests/test_schema.py.jinja",
        "\nfrom {{ package_name }}.kit",
        "\ndef test_far() -> None:\n    from pathlib import Path\n\n"
        '    assert (Path(__file__).parents[1] / "Dockerfile").exists()\n\n\n'
        "from {{ package_name }}.kit",
        "passes tests/test_schema.py",
        "container=none",
    ),
    Bug(
        "a type of one problem, wrong for who calls it",
        "template/{{ '.' if problem == 'regression' }}/src/{{ package_name }}/kit/task.py",
        "def outcome(schema: Schema, raw: Numbers) -> Numbers:",
        "def outcome(schema: Schema, raw: Numbers) -> str:",
        "mypy src/own_name/kit/evaluate.py",
        "problem=regression",
    ),
    Bug(
        "a branch that is never taken",
        "template/README.md.jinja",
        '{% if ci == "github" %}\n| `.github',
        '{% if ci == "gitlab" %}\n| `.gitlab-ci.yml` | checks | Slipway\'s |\n{% endif %}\n{% if ci == "github" %}\n| `.github',
        "untaken",
        "never True",
    ),
)


def seeded(folder: Path, bug: Bug) -> Template:
    """The template with the bug."""
    root = folder / "template"
    shutil.copytree(source(), root)
    file = root / bug.file
    text = file.read_text("utf-8")
    assert bug.old in text, f"{bug.file} does not hold {bug.old!r}"
    if bug.found_by == "meets":
        other = (
            root / CI / file.relative_to(root).relative_to(Path(bug.file).parents[2])
        )
        other.write_text(text, "utf-8")
    file.write_text(text.replace(bug.old, bug.new, 1), "utf-8")
    return usual(root)


def found(template: Template, bug: Bug) -> set[str]:
    """The answers under which the bug is found."""
    if bug.found_by in ("renders", "meets"):
        failing = tuple(f for f in faults(template) if f.check == bug.found_by)
        return {shown(answers) for failed in failing for answers in failed.answers}
    if bug.found_by == "untaken":
        return {
            line.rpartition(": ")[2] for line in untaken(template) if bug.file in line
        }
    if bug.found_by == "alike":
        return (
            {bug.under}
            if list(alike(template, bug.under, frozenset({".copier-answers.yml"})))
            else set()
        )
    name, _, file = bug.found_by.partition(" ")
    if name == "passes":
        (decision,) = suite.decisions(template, READ, {file})
    elif name == "mypy":
        decision = decide_check(template, CHECKS[name], READ, {file})
    else:
        decision = decide_check(template, CHECKS[bug.found_by], READ)
    left = unexcused(decision.failing)
    return {shown(answers) for failed in left for answers in failed.answers}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_seeded_bug_is_found_where_it_is(bug: Bug, tmp_path: Path) -> None:
    template = seeded(tmp_path, bug)
    assert {",".join(sorted(one.split(", "))) for one in found(template, bug)} == {
        ",".join(sorted(bug.under.split(", ")))
    }
