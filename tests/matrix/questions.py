"""The answers that copier.yml allows, and the ways through them that a cell takes.

A cell that reads an answer branches into one way for each value that the question may have, given what was answered before
it. So a way holds the answers that were read, and those that decided which of them were allowed; all others are open. The
ways of a cell share no combination of answers, and together they are all of them.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from random import Random
from typing import Any, TypeVar

from tests.inside_copier import (
    MISSING,
    AnswersMap,
    Phase,
    Question,
    SettingsModel,
    operation,
)
from tests.matrix.answers import (
    Answer,
    DeadEndError,
    Domain,
    Known,
    QuestionnaireError,
    Recording,
    Refusal,
)
from tests.matrix.cells import Cell, Trace
from tests.matrix.jinja import UnsettledError, record

T = TypeVar("T")
SUBSETS = 6
"""Choices of which all subsets are tried, where a question allows several."""


class Way:
    """One way through the questions: it answers those that are read, and leaves the other answers to later ways."""

    def __init__(
        self, questions: "Questions", known: Known, later: list[Known] | None = None
    ) -> None:
        self.known = dict(known)
        self._questions = questions
        self._later = later

    def __call__(self, name: Hashable) -> Answer:
        """The answer to a question."""
        assert isinstance(name, str)
        if name not in self.known:
            allowed = self._questions.domain(name, self).allowed
            if not allowed:
                raise DeadEndError(name)
            if self._later is not None:
                self._later += [{**self.known, name: other} for other in allowed[:0:-1]]
            self.known[name] = allowed[0]
        return self.known[name]


class Questions:
    """A template's questionnaire, and all ways through it."""

    def __init__(
        self, worker: Recording, domains: Mapping[str, list[Any]] | None = None
    ) -> None:
        """Free text takes its default, unless `domains` names the values to try."""
        self.worker = worker
        self.details: dict[str, dict[str, Any]] = worker.template.questions_data
        self.names = list(self.details)
        self.refusals: list[Refusal] = []
        self._given = dict(domains or {})
        self._dead: list[Known] = []
        record(worker.jinja_env)
        self._domains = {
            name: Cell(f"question {name}", self._asking(name, self._domain))
            for name in self.names
        }
        for name in self.names:
            for known, domain in self.explore(self._domains[name]):
                for value, reason in domain.refused:
                    self.refusals.append(Refusal(known, name, value, reason))
                if not domain.allowed:
                    self._dead.append(known)

    def domain(self, name: str, way: Way) -> Domain:
        """What may be answered to a question on this way."""
        return self._domains[name](way)

    # --- one question ----------------------------------------------------------------

    def _asking(self, name: str, ask: Callable[[Question], T]) -> Callable[[Trace], T]:
        """Evaluate something about a question, given the answers that come before it."""
        before = self.names[: self.names.index(name)]

        def evaluate(trace: Trace) -> T:
            def asked() -> T:
                question = Question(
                    answers=AnswersMap(),
                    context=self.worker._render_context(),
                    jinja_env=self.worker.jinja_env,
                    settings=SettingsModel(),
                    var_name=name,
                    **self.details[name],
                )
                try:
                    return ask(question)
                except (Exception, UnsettledError) as error:
                    raise QuestionnaireError(f"{name}: {error}") from error

            return self.evaluate(trace, asked, before, Phase.PROMPT)

        return evaluate

    def _domain(self, question: Question) -> Domain:
        if not question.get_when():
            return Domain((Answer.of(question.get_default(), hidden=True),), ())
        allowed, refused = [], []
        for value, reason in self._candidates(question):
            try:
                if reason:
                    raise ValueError(reason)
                answer = question.parse_answer(value)
                question.validate_answer(answer)
                allowed.append(Answer.of(answer))
            except ValueError as error:
                refused.append((value, str(error)))
        return Domain(tuple(dict.fromkeys(allowed)), tuple(refused))

    def _candidates(self, question: Question) -> Iterator[tuple[Any, str]]:
        """The values to try, and why one is refused from the start."""
        if question.var_name in self._given:
            yield from ((value, "") for value in self._given[question.var_name])
        elif question.choices and question.multiselect:
            open_ = [c.value for c in question._formatted_choices if not c.disabled]
            assert len(open_) <= SUBSETS, f"name the sets of {question.var_name} to try"
            for size in range(len(open_) + 1):
                yield from ((list(s), "") for s in itertools.combinations(open_, size))
        elif question.choices:
            for choice in question._formatted_choices:
                yield choice.value, choice.disabled or ""
        elif question.get_type_name() == "bool":
            yield from ((True, ""), (False, ""))
        else:
            try:
                yield question.get_default(), ""
            except ValueError as error:
                yield question.default, str(error)

    def texts(self) -> Iterator[Cell[None]]:
        """What a person is shown, and what is suggested: it must not fail, whatever was answered before."""

        def shown(question: Question) -> None:
            if question.get_when() and question.get_ask():
                question.get_message()
                question.get_placeholder()
            if question.get_when() and question.var_name not in self._given:
                question.get_default()

        for name in self.names:
            yield Cell(f"texts of {name}", self._asking(name, shown))

    # --- evaluation ------------------------------------------------------------------

    def evaluate(
        self,
        trace: Trace,
        function: Callable[[], T],
        names: list[str] | None = None,
        phase: Phase = Phase.RENDER,
    ) -> T:
        """Call a function of Copier's under the answers of a way, and trace the answers that it used."""
        assert isinstance(trace.source, Way)
        known = trace.source.known
        recorder = self.worker.settle(self.completed(known, names))
        token = operation.set("copy")
        try:
            with Phase.use(phase):
                result = function()
        finally:
            operation.reset(token)
        for name in recorder.reads:
            trace(name)
        return result

    def completed(self, known: Known, names: list[str] | None = None) -> Known:
        """These answers, and the first that is allowed to every other question."""
        way = Way(self, known)
        complete: Known = {}
        for name in self.names if names is None else names:
            try:
                complete[name] = way(name)
            except DeadEndError:
                # Who reads it is at a dead end; nobody else can tell.
                complete[name] = Answer.of(MISSING)
        return complete

    # --- ways ------------------------------------------------------------------------

    def explore(
        self, function: Callable[[Way], T], known: Known | None = None
    ) -> Iterator[tuple[Known, T]]:
        """Each way through a function that reads answers, and its result: all combinations, each once."""
        todo = [known or {}]
        while todo:
            way = Way(self, todo.pop(), todo)
            try:
                result = function(way)
            except DeadEndError:
                continue
            if self.alive(way.known):
                yield way.known, result

    def alive(self, known: Known) -> bool:
        """Whether these answers can be completed."""
        for dead in self._dead:
            if dead.items() <= known.items():
                return False
        for dead in self._dead:
            if all(known.get(name, answer) == answer for name, answer in dead.items()):
                name = next(name for name in self.names if name in dead.keys() - known)
                ways = self.explore(lambda way, name=name: way(name), known)  # type: ignore[misc]
                return any(True for _ in ways)
        return True

    def count(self, known: Known | None = None) -> int:
        """How many combinations have these answers. Only what later questions depend on is kept apart."""
        known = known or {}
        states: Counter[tuple[tuple[str, Answer], ...]] = Counter({(): 1})
        for place, name in enumerate(self.names):
            later = self.names[place + 1 :]
            live = {key for other in later for key in self._domains[other].inputs()}
            grown: Counter[tuple[tuple[str, Answer], ...]] = Counter()
            for state, number in states.items():
                for answer in self.domain(name, Way(self, dict(state))).allowed:
                    if known.get(name, answer) == answer:
                        kept = (
                            (n, a) for n, a in (*state, (name, answer)) if n in live
                        )
                        grown[tuple(kept)] += number
            states = grown
        return states.total()

    def combinations(self) -> Iterator[Known]:
        """All of them, one by one."""
        yield from (
            {name: known[name] for name in self.names}
            for known, _ in self.explore(lambda way: [way(name) for name in self.names])
        )

    def sample(self, random: Random) -> Known:
        """A combination at random: each answer among those that are allowed after the ones before it."""
        while True:
            way = Way(self, {})
            try:
                for name in self.names:
                    way.known[name] = random.choice(self.domain(name, way).allowed)
                return way.known
            except IndexError:
                continue  # a dead end
