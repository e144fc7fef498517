"""Measure against a floor or a peer in the same run; `make help` lists what can be measured."""
