"""The one error that people see: a sentence, and nothing changed."""


class Refusal(Exception):
    """What was asked cannot be done; the text says why and what to do instead."""
