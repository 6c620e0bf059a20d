"""A limit for each caller in this process."""

from ..limits import Limits

PART = Limits
