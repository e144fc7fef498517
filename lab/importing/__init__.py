"""Read a history from files and send it through the ingest, each row with its job and number."""
