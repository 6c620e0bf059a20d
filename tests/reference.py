"""Generate docs/questions.md from copier.yml: part of `make examples`."""

import yaml

from tests.examples import ANSWERS, FOLDER
from tests.rendering import ANSWERS_FILE, ROOT, organisation, questions

PAGE = ROOT / "docs" / "questions.md"
INTRODUCTION = """\
# The questions

Generated from `copier.yml` by `make examples`. Every answer is recorded in `.copier-answers.yml`, whether its question was asked or not. You
can set any of them on the command line: `--data NAME=VALUE`. A preset only suggests answers; the same answers given one by one produce the
same project.
"""


def page() -> str:
    """Return the whole page."""
    suggested = {
        preset: yaml.safe_load((FOLDER / preset / ANSWERS_FILE).read_text("utf-8"))
        for preset in ANSWERS
    }
    parts = [INTRODUCTION]
    for name, question in questions(organisation()).items():
        parts.append(f"## `{name}`\n")
        if "help" not in question:
            parts.append(
                "Never asked: derived from `project_name`, recorded, and fixed from then on.\n"
            )
            continue
        asked, *when = question["help"].splitlines()
        parts.append(f"{asked} {' '.join(line.strip() for line in when)}\n")
        choices = question.get("choices", {})
        if question.get("ask") is False:
            parts.append("Never asked: a fork sets it in `org.yml` for its projects.\n")
        elif choices:
            rows = [
                f"| `{answer}` | {label.partition(': ')[2]} |"
                for label, answer in choices.items()
            ]
            parts.append("\n".join(["| answer | |", "| --- | --- |", *rows]) + "\n")
        if "preset" in str(question.get("ask", "")):
            values = {preset: answers[name] for preset, answers in suggested.items()}
            listed = ", ".join(f"{preset}: `{v}`" for preset, v in values.items())
            parts.append(f"Asked only if `preset=custom`. {listed}.\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
