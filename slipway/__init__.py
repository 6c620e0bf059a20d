"""Slipway: the command that starts a project from this template."""
