"""The agent that a guest runs: one file for Linux, one for Windows, and how it starts."""
