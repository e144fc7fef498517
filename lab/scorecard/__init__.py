"""Check the scorecards and rules of a configuration, and the cases that say what they must give."""
