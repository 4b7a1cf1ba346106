"""Diagnostics as text, JSON, SARIF and GitHub's commands."""
