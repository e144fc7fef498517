"""Propose how the events of a product should be read, from the names it sends."""
