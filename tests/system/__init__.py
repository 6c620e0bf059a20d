"""Tests against real parts: a Docker Engine of our own, a real server, a real client."""
