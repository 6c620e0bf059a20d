"""How much a run does, and its random draws.

The commit decides what is drawn, so that two runs of one commit are equal and the next commit draws something else.
"""

import hashlib
import os
import subprocess

from tests.rendering import ROOT

PROVE = os.environ.get("PROVE", "0") not in {"", "0"}
"""Whether everything runs (`make prove`), and not only what a change needs (`make test`)."""


def commit() -> str:
    """Return the id of the checked-out commit; empty outside a git repository."""
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        check=False,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return done.stdout.strip()


SEED = int(os.environ.get("SEED") or int(commit()[:6] or "0", 16))
"""The start of every draw of this run; SEED=… repeats the draws of another run."""
SHARE = 0.03
"""The share of the ledger that a run repeats."""


def again(key: str) -> bool:
    """Whether this run repeats a verdict that the ledger has: all in `make prove`, else a share drawn by the commit."""
    drawn = int(hashlib.sha256(f"{SEED} {key}".encode()).hexdigest()[:8], 16)
    return PROVE or drawn < SHARE * 2**32
