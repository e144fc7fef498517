"""The ways senders write events: one file a dialect, each giving items."""
