"""A file that depends on many answers, cut into pieces that depend on few and stand one after another in it.

A cut falls only between top-level nodes of Jinja's syntax tree. Each piece gets the definitions that it uses: what is
set, imported and defined before it. A file that is not plainly such a sequence stays whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jinja2
from jinja2 import nodes

from tests.matrix.jinja import ALL_ANSWERS

ONE_ANSWER = "_matrix_answer"
DEFINITIONS = (
    nodes.Assign,
    nodes.AssignBlock,
    nodes.FromImport,
    nodes.Import,
    nodes.Macro,
)
# These reach over their own node: inheritance, and what changes a value in place.
UNCUTTABLE = (
    nodes.Block,
    nodes.EvalContextModifier,
    nodes.ExprStmt,
    nodes.Extends,
    nodes.NSRef,
)


@dataclass(frozen=True)
class Piece:
    """A part of a file. One that is written for each recorded answer says which by its name."""

    template: jinja2.Template
    answer: str = ""


def pieces(
    environment: jinja2.Environment, text: str, name: str, answers: list[str]
) -> list[Piece] | None:
    """The pieces of a file, or nothing where it cannot be cut. `answers` are the names that may be recorded."""
    tree = environment.parse(text, name)
    defined = [node for node in tree.body if isinstance(node, DEFINITIONS)]
    inside = [n for node in tree.body if node not in defined for n in _within(node)]
    if any(tree.find_all(UNCUTTABLE)) or any(
        isinstance(n, DEFINITIONS) for n in inside
    ):
        return None
    if _changed_in_place(tree, defined):
        return None
    found: list[Piece] = []
    before: list[nodes.Node] = []
    for node in tree.body:
        if isinstance(node, DEFINITIONS):
            before.append(node)
            continue
        if not isinstance(node, (nodes.Output, nodes.If, nodes.For, nodes.Include)):
            return None
        for part in node.nodes if isinstance(node, nodes.Output) else [node]:
            found += _piece(environment, name, part, before, answers)
    return found


def _piece(
    environment: jinja2.Environment,
    name: str,
    part: nodes.Node,
    before: list[nodes.Node],
    answers: list[str],
) -> Iterator[Piece]:
    keys = [""]
    if isinstance(part, nodes.Filter) and _lists_all_answers(part):
        keys = sorted(answers)
        part = nodes.Filter(
            nodes.Name(ONE_ANSWER, "load", lineno=part.lineno),
            *(getattr(part, field) for field in part.fields[1:]),
            lineno=part.lineno,
        )
    if isinstance(part, nodes.Expr):
        part = nodes.Output([part], lineno=part.lineno)
    body = [*_needed(part, before), part]
    tree = nodes.Template(body, lineno=1)
    tree.set_environment(environment)
    code = environment.compile(tree, name, name)
    template = environment.template_class.from_code(
        environment, code, environment.make_globals(None)
    )
    yield from (Piece(template, key) for key in keys)


def _within(node: nodes.Node) -> Iterator[nodes.Node]:
    return node.find_all(nodes.Node)


def _names(node: nodes.Node) -> set[str]:
    own = {node.name} if isinstance(node, nodes.Name) else set()
    return own | {name.name for name in node.find_all(nodes.Name)}


def _defines(node: nodes.Node) -> set[str]:
    if isinstance(node, (nodes.Assign, nodes.AssignBlock)):
        return _names(node.target)
    if isinstance(node, nodes.FromImport):
        return {n if isinstance(n, str) else n[1] for n in node.names}
    assert isinstance(node, (nodes.Import, nodes.Macro))
    return {node.target if isinstance(node, nodes.Import) else node.name}


def _needed(part: nodes.Node, before: list[nodes.Node]) -> list[nodes.Node]:
    """The definitions that a part uses, and those that they use in turn. An included file may use them all."""
    if isinstance(part, nodes.Include) or part.find(nodes.Include):
        return list(before)
    wanted = _names(part)
    needed: list[nodes.Node] = []
    for node in reversed(before):
        if _defines(node) & wanted:
            needed.insert(0, node)
            wanted |= _names(node)
    return needed


def _changed_in_place(tree: nodes.Template, defined: Sequence[nodes.Node]) -> bool:
    """Whether a method is called of something that the file sets: `list.append` would reach over pieces."""
    own = {
        name
        for node in defined
        if isinstance(node, (nodes.Assign, nodes.AssignBlock))
        for name in _defines(node)
    }
    return any(
        isinstance(call.node, nodes.Getattr) and _names(call.node) & own
        for call in tree.find_all(nodes.Call)
    )


def _lists_all_answers(part: nodes.Filter) -> bool:
    """Whether it is `_copier_answers | to_nice_yaml`, which writes one entry after another, by their names."""
    return (
        part.name == "to_nice_yaml"
        and isinstance(part.node, nodes.Name)
        and part.node.name == ALL_ANSWERS
        and not part.args
        and {option.key for option in part.kwargs} <= {"indent", "width"}
    )
