"""What a host can see of the health of cards that guests have."""
