"""What is known, from files and from the cloud."""
