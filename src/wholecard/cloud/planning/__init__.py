"""Desired and current state of a cloud, and the plan between them."""
