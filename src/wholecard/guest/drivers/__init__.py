"""Which driver a guest's cards need, whether it will build, and what would bind the card."""
