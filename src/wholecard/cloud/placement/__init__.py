"""Placement: one model of a resource provider, and one reader."""
