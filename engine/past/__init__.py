"""What is recorded of a service: its traffic, its usual values, and replays of a judge over it."""
