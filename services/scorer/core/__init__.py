"""Decides what activity, health and episodes are."""
