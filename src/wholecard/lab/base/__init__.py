"""Folder, ports, processes, sandbox, cache: what every part of the lab uses."""
