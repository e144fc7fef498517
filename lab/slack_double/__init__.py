"""A stand-in for Slack: the Web API methods we use, faults on demand, and a page that looks like the channel."""
