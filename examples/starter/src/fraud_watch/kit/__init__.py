"""The machinery around your model. Slipway keeps it up to date: change what is beside it, not in it."""


class UserError(Exception):
    """Something the reader of the message can mend; the command line prints it without a traceback."""
