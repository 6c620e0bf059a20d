"""The questions that an emitted test file may depend on. More of them mean more runs, for each option that comes."""

from collections.abc import Iterator

from tests.matrix.answers import Answer
from tests.matrix.verdicts import Decision

# All test on the project's own data and model, so on its problem, and on what its models are served by.
CORE = frozenset({"engine", "problem"})
# All parts at once, and how a project's whole life goes with them.
PARTS = CORE | {"auth", "limits", "prediction_log", "tracing"}
BUDGET = {
    "tests/test_adopt.py": CORE,
    "tests/test_auth.py": CORE | {"auth"},
    "tests/test_bulk.py": CORE,
    "tests/test_columns.py": CORE,
    # DVC's own processes list tools/, where options have files.
    "tests/test_dvc.py": CORE | {"auth", "container", "prediction_log"},
    "tests/test_engine.py": {"problem"},
    "tests/test_evaluate.py": CORE,
    "tests/test_features.py": CORE,
    "tests/test_journal.py": CORE | {"prediction_log"},
    "tests/test_learn.py": CORE,
    "tests/test_life.py": PARTS | {"container"},
    "tests/test_limits.py": CORE | {"limits"},
    "tests/test_logdb.py": CORE | {"prediction_log"},
    "tests/test_logs.py": CORE,
    "tests/test_parts.py": PARTS,
    "tests/test_personal.py": CORE,
    "tests/test_probes.py": {"problem"},
    "tests/test_reading.py": CORE,
    "tests/test_release.py": CORE,
    "tests/test_requests.py": CORE,
    "tests/test_schema.py": CORE,
    "tests/test_serve.py": CORE,
    "tests/test_shared.py": CORE,
    "tests/test_signing.py": CORE,
    "tests/test_tracing.py": CORE,
    "tests/test_train.py": CORE,
    "tests/test_turns.py": CORE,
    "tests/test_wire.py": CORE,
}


def reads(decision: Decision) -> set[str]:
    """The questions whose answers change what a test file reads, where the file is there."""
    answers: dict[str, set[Answer]] = {}
    for known, _ in decision.costs:
        for name, answer in known.items():
            answers.setdefault(name, set()).add(answer)
    return {name for name, given in answers.items() if len(given) > 1}


def over(decision: Decision) -> Iterator[str]:
    """Name each question that a file depends on beyond its budget, and each that it no longer needs."""
    file = decision.check.removeprefix("passes ")
    read, allowed = reads(decision), BUDGET.get(file, set())
    for name in sorted(read - allowed):
        yield f"{file} depends on the question {name}: test it against its seam, or add the question to its budget"
    for name in sorted(allowed - read):
        yield f"{file} does not depend on the question {name}: take it out of its budget"
