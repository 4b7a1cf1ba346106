"""One file a subject: what a host must have for the server to start."""
