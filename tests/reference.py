"""Remake docs/questions.md, which says of every question what copier.yml says: part of `make examples`."""

import yaml

from tests.examples import ANSWERS, FOLDER
from tests.rendering import ANSWERS_FILE, ROOT, organisation, questions

PAGE = ROOT / "docs" / "questions.md"
INTRODUCTION = """\
# The questions

Made from `copier.yml` by `make examples`. Every answer is recorded in `.copier-answers.yml`, asked or not, and any may be given on the
command line as `--data NAME=VALUE`. A preset only suggests answers: the same answers given one by one make the same project.
"""


def page() -> str:
    """The whole page."""
    suggested = {
        preset: yaml.safe_load((FOLDER / preset / ANSWERS_FILE).read_text("utf-8"))
        for preset in ANSWERS
    }
    parts = [INTRODUCTION]
    for name, question in questions(organisation()).items():
        parts.append(f"## `{name}`\n")
        if "help" not in question:
            parts.append(
                "Never asked: made from `project_name`, recorded, and fixed.\n"
            )
            continue
        asked, *when = question["help"].splitlines()
        parts.append(f"{asked} {' '.join(line.strip() for line in when)}\n")
        choices = question.get("choices", {})
        if question.get("ask") is False:
            parts.append("Never asked: `org.yml` says it, for a fork's projects.\n")
        elif choices:
            rows = [
                f"| `{answer}` | {said.partition(': ')[2]} |"
                for said, answer in choices.items()
            ]
            parts.append("\n".join(["| answer | |", "| --- | --- |", *rows]) + "\n")
        if "preset" in str(question.get("ask", "")):
            values = {preset: answers[name] for preset, answers in suggested.items()}
            told = ", ".join(f"{preset}: `{v}`" for preset, v in values.items())
            parts.append(f"Asked under `preset=custom`. {told}.\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
