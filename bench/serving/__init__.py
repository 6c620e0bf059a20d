"""Compare the emitted service with other ways to serve the same model: `make bench-serving`."""
