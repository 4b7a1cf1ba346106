"""One file a subject; the checks are listed in `lint/registry`."""
