"""What every project must hold, decided for all combinations of answers by tests/matrix."""

from functools import cache

from tests.checks import dependencies, names, style, texts, words
from tests.checks.excuses import EXCUSES, Excuse
from tests.matrix.template import Template
from tests.matrix.verdicts import Check, Failing, run

CHECKS: dict[str, Check] = {
    check.name: check
    for checks in (
        texts.CHECKS,
        names.CHECKS,
        words.CHECKS,
        dependencies.CHECKS,
        style.CHECKS,
    )
    for check in checks
}


@cache
def decide(
    template: Template, name: str
) -> tuple[tuple[Failing, ...], frozenset[Excuse]]:
    """What fails without an excuse, and the excuses that were needed."""
    found = run(template, CHECKS[name])
    used = frozenset(e for e in EXCUSES for failing in found if e.covers(failing))
    left = (f for f in found if not any(excuse.covers(f) for excuse in used))
    return tuple(left), used
