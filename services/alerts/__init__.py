"""Transitions in, messages out, and the API."""
