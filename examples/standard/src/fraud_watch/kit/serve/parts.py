"""The parts of the service that this project has chosen; the only file that depends on which."""

from ..settings import Settings
from .auth import Auth
from .front import Part
from .journal import Journal
from .limits import Limits

PARTS: tuple[type[Part], ...] = (
    # Each is asked in this order.
    Auth,
    Limits,
    Journal,
)


def parts(settings: Settings) -> list[Part]:
    """Each part, ready to be given to the service."""
    return [part() for part in PARTS]
