"""Kafka in, Redis and Kafka out."""
