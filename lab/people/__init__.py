"""Check who looks after accounts against Slack."""
