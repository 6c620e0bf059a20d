"""The error that users see: a sentence without a traceback."""


class UserError(Exception):
    """A request that cannot be carried out; the text says why and what to do instead."""
