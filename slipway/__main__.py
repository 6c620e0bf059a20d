"""`python -m slipway`, as the Makefile calls it."""

from slipway.cli import app

app(prog_name="slipway")
