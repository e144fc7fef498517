"""Kafka, Redis and the services on this machine, from Python wheels and jars, without containers."""
