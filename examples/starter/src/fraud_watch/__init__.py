"""A machine-learning service: your data, features and model here; the machinery in ``kit``."""
