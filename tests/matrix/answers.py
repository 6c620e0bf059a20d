"""An answer, what may be answered to a question, and Copier's worker with answers given from outside."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.inside_copier import MISSING, AnswersMap, Worker
from tests.matrix.jinja import RECORDER, Recorder, Settings


@dataclass(frozen=True)
class Answer:
    """A value, told apart by its type too; hidden where the question was not put, so that it is not recorded."""

    code: str
    hidden: bool
    value: Any = field(compare=False)

    @classmethod
    def of(cls, value: Any, hidden: bool = False) -> "Answer":
        """The answer with this value."""
        text = "" if value is MISSING else json.dumps(value, default=str)
        return cls(f"{type(value).__name__} {text}", hidden, value)


Known = dict[str, Answer]
"""Some answers: all combinations that have them."""


@dataclass(frozen=True)
class Refusal:
    """An answer that the questionnaire refuses after these."""

    known: Known
    question: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Domain:
    """What may be answered after some answers."""

    allowed: tuple[Answer, ...]
    refused: tuple[tuple[Any, str], ...]


class DeadEndError(Exception):
    """No answer is allowed after these."""


class QuestionnaireError(Exception):
    """A question fails where Copier itself would."""


class Recording(Worker):
    """Copier's worker, with answers given from outside and every read of them recorded."""

    recorder: Recorder

    def settle(self, known: Mapping[str, Answer]) -> Recorder:
        """Take these as all the answers so far."""
        given = {k: a.value for k, a in known.items() if a.value is not MISSING}
        self.answers = AnswersMap(user=given, metadata=self.template.metadata)
        self.answers.hidden = {name for name, a in known.items() if a.hidden}
        self.recorder = Recorder(known)
        return self.recorder

    def _render_context(self) -> dict[str, Any]:
        context = dict(super()._render_context())
        settings = context["_copier_conf"]
        guarded = Settings({key: partial(settings.get, key) for key in settings})
        return context | {"_copier_conf": guarded, RECORDER: self.recorder}
