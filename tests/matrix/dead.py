"""What a template holds for nothing: answers that change no file, and branches that no answers take."""

import itertools
from collections.abc import Iterator

from tests.matrix.answers import Answer
from tests.matrix.jinja import Place
from tests.matrix.template import Template


def alike(
    template: Template, question: str, but: frozenset[str] = frozenset()
) -> Iterator[tuple[object, object]]:
    """Each two answers to a question that never differ in a file, whatever is answered with them, save the files `but`."""
    explore = template.questions.explore
    answers = dict.fromkeys(answer for _, answer in explore(lambda way: way(question)))
    files = [
        path
        for path in sorted(template.files - but)
        if question in template.questions_of(path)
    ]
    for one, other in itertools.combinations(answers, 2):
        if not any(_differ(template, path, question, one, other) for path in files):
            yield one.value, other.value


def _differ(
    template: Template, path: str, question: str, one: Answer, other: Answer
) -> bool:
    questions = template.questions
    for known, text in template.versions(path):
        if known.get(question) == one:
            changed = {**known, question: other}
            ways = questions.explore(lambda way: template.content(path, way), changed)
            if any(text != found for _, found in ways):
                return True
    return False


def untaken(*templates: Template) -> list[str]:
    """The conditions that always come out the same, in a template of which each knows other answers."""
    seen: dict[Place, set[bool]] = {}
    for template in templates:
        for place, outcomes in template.arms.items():
            seen.setdefault(place, set()).update(outcomes)
    return [
        f"{text}, line {line}: never {' or '.join(map(str, sorted({True, False} - outcomes)))}"
        for (text, line, _), outcomes in sorted(seen.items())
        if len(outcomes) < 2
    ]
