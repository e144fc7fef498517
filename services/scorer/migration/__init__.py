"""Move the event log and its state into a new generation of topics, with another number of partitions."""
