"""What is known of customers beside their events: brought in from other systems, and checked."""
