"""What a host has and how it is set up: read, never changed."""
