"""The parts of the service that this project has chosen; the only file that depends on which."""

from starlette.types import ASGIApp

from ..settings import Settings
from . import app
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


def create_app(settings: Settings) -> ASGIApp:
    """The service with each of them."""
    return app.create_app(settings, [part() for part in PARTS])
