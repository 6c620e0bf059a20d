"""The parts of the service that this project has chosen; the only file that depends on which."""

from ..settings import Settings
from .front import Part

PARTS: tuple[type[Part], ...] = (
    # Each is asked in this order.
)


def parts(settings: Settings) -> list[Part]:
    """Each part, ready to be given to the service."""
    return [part() for part in PARTS]
