"""Copier's Jinja environment, which records the answers that a text uses and the branches that it takes.

Jinja looks all names of a block up when it enters the block, used or not. Here a name counts as
read where it is used, so that an answer which only a branch not taken names is not read.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.idtracking import VAR_LOAD_ALIAS, VAR_LOAD_RESOLVE
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

from tests.inside_copier import LazyDict, get_yield_context

RECORDER = "_matrix_recorder"
ALL_ANSWERS = "_copier_answers"
# What is not the same on another day, in another folder, or for another person.
UNSETTLED = {
    "_copier_python": "the path of an interpreter",
    "_external_data": "files of the folder it is rendered to",
    "_folder_name": "the folder it is rendered to",
    "lipsum": "chance",
    "make_secret": "chance",
    "now": "the clock",
}
UNSETTLED_FILTERS = {
    "ans_random": "chance",
    "expanduser": "whose machine it is",
    "expandvars": "the environment",
    "fileglob": "files outside the template",
    "random": "chance",
    "random_mac": "chance",
    "realpath": "files outside the template",
    "relpath": "the current folder",
    "shuffle": "chance",
    "strftime": "the clock and its time zone",
}
SETTLED_SETTINGS = {"answers_file", "os", "sep"}
Place = tuple[str, int, int]
"""A condition: the name of its text, its line, and which of that line's it is."""


class UnsettledError(BaseException):
    """The text would not be the same tomorrow. No `except Exception` of Copier's may take it for a refused answer."""


class Recorder:
    """The answers that one evaluation used, in order. It travels in the context, so that what cannot see answers records none."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = dict.fromkeys(names)
        self.reads: dict[str, None] = {}

    def use(self, name: str) -> None:
        """Note that a name is used."""
        if name in self.names:
            self.reads[name] = None
        elif name == ALL_ANSWERS:
            self.reads |= self.names
        elif name in UNSETTLED:
            raise UnsettledError(f"{name} depends on {UNSETTLED[name]}")


class Settings(LazyDict[str, Any]):
    """`_copier_conf`, of which only what never varies may be read."""

    def __getitem__(self, key: str) -> Any:
        """Read a setting."""
        if key not in SETTLED_SETTINGS:
            raise UnsettledError(f"_copier_conf.{key} depends on how Copier is called")
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        """Refuse: some of it varies."""
        raise UnsettledError("_copier_conf as a whole depends on how Copier is called")


class RecordingContext(Context):
    """Notes what is looked up by name while a text runs."""

    def note(self, name: str) -> None:
        """Note a use, where answers can be seen."""
        recorder = self.parent.get(RECORDER)
        if recorder is not None and name not in self.vars:
            recorder.use(name)

    def resolve_or_missing(self, key: str) -> Any:
        """Look up for a function that was handed the context."""
        self.note(key)
        return super().resolve_or_missing(key)

    def peek(self, key: str) -> Any:
        """Look up ahead of the use that `use` will note."""
        return super().resolve_or_missing(key)

    def use(self, name: str, value: Any) -> Any:
        """Hand a value that was looked up before on to where it is used."""
        self.note(name)
        return value


class RecordingGenerator(CodeGenerator):
    """Code that notes each name where it is used, and each condition's outcome."""

    def get_resolve_func(self) -> str:
        """Look up without a note."""
        return f"{self.get_context_ref()}.peek"

    def visit_Name(self, node: nodes.Name, frame: Frame) -> None:
        """Write a use, with its note where the name comes from the context."""
        if node.ctx == "load":
            ref = frame.symbols.ref(node.name)
            load = frame.symbols.find_load(ref)
            if load is None or load[0] in (VAR_LOAD_RESOLVE, VAR_LOAD_ALIAS):
                used = f"{self.get_context_ref()}.use({node.name!r}, {ref})"
                unknown = f"undefined(name={node.name!r})"
                self.write(f"({unknown} if {used} is missing else {ref})")
                return
        super().visit_Name(node, frame)

    def visit_If(self, node: nodes.If, frame: Frame) -> None:
        """Note which arm is taken."""
        for arm in (node, *node.elif_):
            self._watch(arm)
        super().visit_If(node, frame)

    def visit_CondExpr(self, node: nodes.CondExpr, frame: Frame) -> None:
        """Note which arm is taken."""
        self._watch(node)
        super().visit_CondExpr(node, frame)

    def _watch(self, node: nodes.If | nodes.CondExpr) -> None:
        test = node.test
        if isinstance(test, nodes.Call) and isinstance(
            test.node, nodes.EnvironmentAttribute
        ):
            return  # this piece was compiled before, as part of another
        # A line may hold several conditions.
        place = (self.name or "", node.lineno, zlib.crc32(repr(node).encode()))
        self.environment.arms.setdefault(place, set())  # type: ignore[attr-defined]
        note = nodes.EnvironmentAttribute("taken")
        arguments = [nodes.Const(place), test]
        node.test = nodes.Call(note, arguments, [], None, None, lineno=node.lineno)


def record(environment: SandboxedEnvironment) -> None:
    """Make Copier's environment, before it compiles anything, record what texts read."""
    arms: dict[Place, set[bool]] = {}
    texts: dict[str, str] = {}

    def taken(place: Place, outcome: Any) -> Any:
        arms[place].add(bool(outcome))
        return outcome

    compiled: dict[str, jinja2.Template] = {}

    def from_string(source: Any, *_: Any, **__: Any) -> jinja2.Template:
        """Compile once. Copier counts on each compilation to forget the last `yield`."""
        if not isinstance(source, str):
            raise TypeError(f"{source!r} is no text")
        if source not in compiled:
            name = f"text {len(compiled)}"
            texts[name] = source
            code = environment.compile(source, name, name)
            compiled[source] = environment.template_class.from_code(
                environment, code, environment.make_globals(None)
            )
        last = get_yield_context(environment)
        last.yield_name = last.yield_iterable = None
        return compiled[source]

    def refuse(name: str, reason: str) -> Any:
        def unsettled(*_: Any, **__: Any) -> Any:
            raise UnsettledError(f"the filter {name} depends on {reason}")

        return unsettled

    for name, reason in UNSETTLED_FILTERS.items():
        environment.filters[name] = refuse(name, reason)
    environment.context_class = RecordingContext
    environment.code_generator_class = RecordingGenerator
    environment.auto_reload = False
    environment.from_string = from_string  # type: ignore[method-assign]
    environment.arms = arms  # type: ignore[attr-defined]
    environment.texts = texts  # type: ignore[attr-defined]
    environment.taken = taken  # type: ignore[attr-defined]
