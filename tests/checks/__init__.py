"""What every project must hold, decided for all combinations of answers by tests/matrix."""

from collections.abc import Iterable

from tests.checks import dependencies, names, style, texts, typed, words
from tests.checks.excuses import EXCUSES
from tests.matrix.verdicts import Check, Failing
from tests.rendering import ROOT

RECORDS = ROOT / ".tools" / "verdicts"
"""Where slow verdicts are kept between sessions."""
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


def unexcused(failing: Iterable[Failing]) -> list[Failing]:
    """What must be mended."""
    return [f for f in failing if not any(excuse.covers(f) for excuse in EXCUSES)]
