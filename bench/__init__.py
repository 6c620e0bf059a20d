"""Benchmarks against other tools; one make target runs each."""
