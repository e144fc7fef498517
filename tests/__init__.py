"""Tests, mirrored and grouped as `docs` and CONTRIBUTING describe."""
