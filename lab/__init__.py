"""Offline work: the command line, simulation, training, the oracle."""
