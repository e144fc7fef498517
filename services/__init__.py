"""The three services: ingest, scorer and alerts."""
