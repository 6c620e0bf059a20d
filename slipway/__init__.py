"""The `slipway` command: create projects from this template, and keep them up to date."""
