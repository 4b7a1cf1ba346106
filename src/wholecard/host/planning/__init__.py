"""From facts and desired state to a plan. Pure."""
