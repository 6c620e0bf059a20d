"""The parts of Copier that are not public and that the matrix needs, in one place.

The matrix evaluates questions, paths and files by Copier's own code, so that what it decides is what Copier makes. Copier
promises nothing about these names: tests/test_inside_copier.py says which of them a new version of Copier has changed.
"""

from copier._jinja_ext import get_yield_context
from copier._main import Worker, _operation
from copier._settings import SettingsModel
from copier._template import load_template_config
from copier._tools import scantree
from copier._types import MISSING, LazyDict, Phase
from copier._user_data import AnswersMap, Question

__all__ = [
    "MISSING",
    "AnswersMap",
    "LazyDict",
    "Phase",
    "Question",
    "SettingsModel",
    "Worker",
    "get_yield_context",
    "load_template_config",
    "operation",
    "scantree",
]

operation = _operation
"""The context variable that says whether Copier copies or updates."""
COMMAND = "copier._cli"
"""The module that the command `copier` imports."""
