"""The command line: targets of the Makefile and stages of pipelines call it."""

import os
import traceback
from collections.abc import Callable

import typer

from .kit import UserError
from .kit.settings import PROJECT
from .kit.terminal import fail
from .kit.verbs import all_commands

# MLflow's own progress lines would drown ours.
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

REGISTRY = {"alembic", "mlflow", "sqlalchemy"}
"""Packages whose errors come from the registry: those of other databases are caught where they arise."""
HELP = "Train, judge, promote and serve the model. On a first day: fetch, train, promote, serve."
app = typer.Typer(name=PROJECT, help=HELP, no_args_is_help=True, pretty_exceptions_enable=False)
for commands in all_commands():
    app.add_typer(commands)


def run(command: Callable[[], object] = app) -> None:
    """Run a command; an error that the user can fix is printed without a traceback."""
    try:
        command()
    except ModuleNotFoundError as error:
        if not error.name or error.name.split(".")[0] == __package__:
            raise
        steps = traceback.extract_tb(error.__traceback__)
        where = [step for step in steps if not step.filename.startswith("<")][-1]
        what = f"{error.name} is not installed here; {where.filename} imports it in line {where.lineno}"
        fail(f"{what}. `uv sync` installs what is declared, `uv add` declares what your own code needs")
    except (UserError, OSError) as error:
        fail(str(error))
    except Exception as error:
        if type(error).__module__.split(".")[0] not in REGISTRY:
            raise
        why = str(error).strip().partition("\n")[0]
        fail(f"the registry failed: {why}. Check MLFLOW_TRACKING_URI, then try again")


if __name__ == "__main__":
    run()
