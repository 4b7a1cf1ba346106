"""Metrics for Prometheus: what they are, how they are read again and again, how served."""
