"""The one exception of the command line: its text is shown, and the exit code is 1."""


class Trouble(Exception):
    """Something the person at the terminal can mend; the message says how."""
