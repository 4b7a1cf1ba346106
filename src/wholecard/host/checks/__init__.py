"""What prevents passthrough on a host: one file a subject, listed in `registry`."""
