"""Servers with cards moved, hosts drained, cards changed."""
