"""What fixes a disagreement that an audit found: planned, applied and rolled back."""
