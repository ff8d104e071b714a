"""What a plan is and how it is read. Importing this package alone loads nothing."""
