"""HTTP in, Kafka out."""
