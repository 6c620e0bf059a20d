"""What the classification model is."""

PROBLEM = "classification"
