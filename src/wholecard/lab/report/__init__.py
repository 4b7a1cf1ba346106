"""The demo's record and its page."""
