"""What the regression model is."""

PROBLEM = "regression"
