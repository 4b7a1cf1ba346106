"""What fixes a disagreement of an audit: planned, applied and rolled back by the one engine."""
