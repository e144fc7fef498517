"""Score a history as it would have been scored, at the moments asked for."""
