"""The package of fraud-watch."""
