"""Decides which events are admitted, of which kind, for which account."""
