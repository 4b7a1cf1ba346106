"""The words by which Wholecard recognises what it made, on hosts, in configurations, in a cloud."""

from __future__ import annotations

# A file of ours begins with a comment that begins with these.
WRITTEN = "Written by Wholecard"

# The description of a flavor or a registered limit of ours.
MADE = "Made by Wholecard"
