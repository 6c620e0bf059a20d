"""The emitted service beside other ways to serve the same model: `make bench-serving`."""
