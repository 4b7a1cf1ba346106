"""What a guest reports of its cards, and how it is compared with what was asked for."""
