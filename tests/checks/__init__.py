"""What every project must hold, decided for all combinations of answers by tests/matrix."""

from collections.abc import Container, Iterable

from tests.checks import dependencies, names, style, texts, typed, words
from tests.checks.excuses import EXCUSES
from tests.checks.ledgers import Ledgers
from tests.matrix.template import Template
from tests.matrix.verdicts import Check, Decision, Failing, decide

CHECKS: dict[str, Check] = {
    check.name: check
    for checks in (
        texts.CHECKS,
        names.CHECKS,
        words.CHECKS,
        dependencies.CHECKS,
        style.CHECKS,
        typed.CHECKS,
    )
    for check in checks
}
# Code is laid out otherwise under other names; nothing else is.
NAMED = frozenset(check.name for check in style.CHECKS)


def decide_check(
    whole: Template, check: Check, ledgers: Ledgers, paths: Container[str] | None = None
) -> Decision:
    """Decide a check for every combination, with its ledger if it has one."""
    ledger = ledgers.of(check.name, check.salt()) if check.salt else None
    return decide(whole, check, paths, ledger)


def unexcused(failing: Iterable[Failing]) -> list[Failing]:
    """What must be mended."""
    return [f for f in failing if not any(excuse.covers(f) for excuse in EXCUSES)]
