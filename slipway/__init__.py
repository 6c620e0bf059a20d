"""Slipway's own command: it starts a project from this template."""
