"""One file a kind of operation: what it does, how it is undone, what it backs up."""
