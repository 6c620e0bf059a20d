"""A small template that tries to trip the engine, and every project that Copier itself makes of it."""

import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import copier
import yaml
from copier.errors import CopierError

SETTINGS = """
_subdirectory: template
_envops: {undefined: jinja2.StrictUndefined, trim_blocks: true, lstrip_blocks: true}
_exclude:
  - "*.bak"
  - |-
    {% if _copier_operation == "copy" and not secure %}
    /vault
    {% endif %}
"""
QUESTIONS = """
size: {type: str, choices: [small, big]}
cloud: {type: str, default: aws, choices: {Nowhere: none, Amazon: aws, Google: gcp}}
region:
  type: str
  when: "{{ cloud != 'none' }}"
  choices: "{% if cloud == 'aws' %}[east, west]{% else %}[north]{% endif %}"
secure: {type: bool, default: "{{ size == 'big' }}", ask: "{{ size == 'big' }}"}
mode:
  type: str
  default: slow
  choices:
    Fast: {value: fast, validator: "{% if size == 'small' %}fast needs big{% endif %}"}
    Slow: slow
parts: {type: str, multiselect: true, default: "[x]", choices: [x, y]}
# No question by itself forbids small with gcp, but then no name is left.
name:
  type: str
  ask: false
  default: "{{ size }}-{{ cloud }}"
  validator: "{% if name == 'small-gcp' %}{{ name }} does not exist{% endif %}"
derived: {type: bool, when: false, default: "{{ secure and cloud != 'none' }}"}
token: {type: str, secret: true, default: "t-{{ mode }}"}
"""
FILES = {
    "hooks/macros.jinja": "{% macro shout(size) %}{{ size | upper }}!{% endmacro %}",
    "hooks/part.jinja": "{% if secure %}locked {{ mode }}{% endif %}",
    "template/{{ _copier_conf.answers_file }}.jinja": (
        "# answers\n{{ _copier_answers | to_nice_yaml(indent=2) -}}\n"
    ),
    "template/four.txt.jinja": (
        "{% if size == 'big' and cloud == 'aws' and secure and mode == 'fast' %}\nfour\n{% endif %}\n"
    ),
    "template/{{ cloud }}/{{ '.' if secure }}/deep.txt": "{{ as it is }}\n",
    "template/{% if mode == 'fast' %}fast.txt{% endif %}.jinja": "{{ parts | length }}\n",
    "template/{% yield part from parts %}part-{{ part }}{% endyield %}/own.txt.jinja": (
        "{{ part }} of {{ size }}{% if part == 'y' %} in {{ cloud }}{% endif %}\n"
    ),
    "template/vault/key.txt.jinja": "{{ token }}\n",
    "template/vault/key.bak": "never\n",
    "template/{{ '.' if derived }}/derived.txt": "derived\n",
    "template/{{ '.' if region is defined and region == 'west' }}/west.txt": "west\n",
    "template/names.txt.jinja": (
        "{% from 'hooks/macros.jinja' import shout %}{{ shout(name) }}\n"
        "{% include 'hooks/part.jinja' %}\n"
        "{% import 'hooks/part.jinja' as part with context %}{{ part }}\n"
        "{% set size = 'local' %}{{ size }}\n"
        "{% for cloud in ['a', 'b'] %}{{ cloud }}{{ loop.index }}{{ mode }}{% endfor %}\n"
    ),
    "template/wide.md.jinja": (
        "{% from 'hooks/macros.jinja' import shout %}\n"
        "{% set where = cloud ~ (region if region is defined else '') %}\n"
        "# {{ name }}\n{% if secure %}\n{{ shout(where) }}\n{% elif mode == 'fast' %}\nopen\n{% endif %}\n"
        "{% for part in parts %}\n- {{ part }}{{ ' of ' ~ where if secure }}\n{% else %}\nno parts\n{% endfor %}\n"
        "{{ mode }}, {% include 'hooks/part.jinja' %}\n"
    ),
}
RAW: dict[str, list[Any]] = {
    "size": ["small", "big"],
    "cloud": ["none", "aws", "gcp"],
    "region": ["east", "west", "north"],
    "secure": [True, False],
    "mode": ["fast", "slow"],
    "parts": [[], ["x"], ["y"], ["x", "y"]],
}


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Put a template into a folder."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    return folder


def adversary(folder: Path) -> Path:
    """The template."""
    return write(folder, {"copier.yml": SETTINGS + QUESTIONS, **FILES})


def key(answers: Mapping[str, Any]) -> str:
    """Answers, told apart."""
    return json.dumps({name: answers.get(name) for name in RAW}, sort_keys=True)


def tree(folder: Path) -> dict[str, bytes | None]:
    """The files of a project, and its folders, which hold nothing."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() if p.is_file() else None
        for p in folder.rglob("*")
    }


def brute_force(
    template: Path,
) -> Iterator[tuple[dict[str, Any], dict[str, bytes | None] | str]]:
    """What Copier makes of all answers, or says against them, each given as by `--data`."""
    done = set()
    for values in itertools.product(*RAW.values()):
        answers = dict(zip(RAW, values, strict=True))
        if answers["cloud"] == "none":
            del answers["region"]  # the question that is not put
        if key(answers) in done:
            continue
        done.add(key(answers))
        with tempfile.TemporaryDirectory() as folder:
            try:
                copier.run_copy(
                    str(template),
                    folder,
                    answers,
                    defaults=True,
                    quiet=True,
                    settings=copier.Settings(),
                )
            except (ValueError, CopierError) as error:
                yield answers, str(error)
            else:
                yield answers, tree(Path(folder))


def recorded(project: Mapping[str, bytes | None]) -> Any:
    """The answers that a project remembers."""
    return yaml.safe_load(project[".copier-answers.yml"] or b"")
