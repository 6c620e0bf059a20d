"""Entry point of `python -m slipway`, which the Makefile calls."""

from slipway.cli import app

app(prog_name="slipway")
