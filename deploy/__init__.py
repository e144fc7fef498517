"""How Churnwatch is run: on this machine, in containers, watched."""
