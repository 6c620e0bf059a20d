"""The HTTP service. It reads the store and nothing else: no MLflow, no training code."""
