"""The host's commands, as they travel in one zipapp."""
