"""The durable record of all releases. Importing this package alone loads nothing."""
