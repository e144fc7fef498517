"""Decides what an alert is, whom it concerns and what it says."""
