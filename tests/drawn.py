"""How much a run does, and what it draws by chance.

The commit decides what is drawn, so that two runs of one commit are equal and the next commit draws something else.
"""

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
"""What every draw of this run starts from; SEED=… repeats the draws of another run."""
