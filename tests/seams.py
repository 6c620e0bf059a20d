"""Where the repository names an option outside its folder, its manifest and `copier.yml`.

An option should be its question, its folder and its manifest. A file that names it elsewhere has to be edited with it.
"""

import re
from collections.abc import Iterator

from tests.manifests import CORE, TARGETS, Manifest, manifests
from tests.rendering import CHOICES, ROOT

SEARCHED = ("template", "tests", "slipway", "hooks")
LEFT_OUT = {
    # Generated: verdicts, locks, durations, and what is made of the manifests.
    *("tests/ledger", "tests/checks/emitted.txt", "tests/durations.json", *TARGETS),
    # About naming options.
    *("tests/leaks.toml", "tests/test_seams.py"),
}
TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
SHEET = re.compile(r"^template/\{\{ '\.' if (?P<condition>.*?) \}\}/")


def options() -> Iterator[Manifest]:
    """The manifests of questions."""
    yield from (m for question, m in manifests().items() if question != CORE)


def naming(manifest: Manifest) -> re.Pattern[str]:
    """Find the words of an option, and its answers where they are quoted, in code."""
    # `none` is an answer to many questions, and names no option.
    answers = [answer for answer in CHOICES[manifest.question] if answer != "none"]
    quoted = [rf"[\"']{re.escape(answer)}[\"']" for answer in answers]
    words = [word for found in manifest.words.values() for word in found]
    return re.compile("|".join([*quoted, *words]))


def folder_of(path: str) -> set[str]:
    """The questions that decide about the folder of a file of the template."""
    found = SHEET.match(path)
    return set(re.findall(r"(\w+) [=!]=", found["condition"])) if found else set()


def named(path: str, text: str) -> set[str]:
    """The questions of options that a file names and whose folder it is not in."""
    found = set()
    for manifest in options():
        question = manifest.question
        if path.endswith(".jinja") and path.startswith("template/"):
            # Under a condition, a text may name the option: then the condition names it.
            naming_it = re.search(rf"\b{question}\b", "\n".join(TAG.findall(text)))
        else:
            naming_it = naming(manifest).search(text)
        if naming_it and question not in folder_of(path):
            found.add(question)
    return found


def leaks() -> dict[str, list[str]]:
    """Each file that names options which are not its own, with their questions."""
    found = {}
    for folder in SEARCHED:
        for file in sorted((ROOT / folder).rglob("*")):
            path = file.relative_to(ROOT).as_posix()
            if not file.is_file() or "__pycache__" in path:
                continue
            if any(path == p or path.startswith(f"{p}/") for p in LEFT_OUT):
                continue
            if questions := named(path, file.read_text("utf-8", errors="replace")):
                found[path] = sorted(questions)
    return found


if __name__ == "__main__":
    for path, questions in leaks().items():
        print(f"{path}: {', '.join(questions)}")
