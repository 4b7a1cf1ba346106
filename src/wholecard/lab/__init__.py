"""Emulated GPU hosts and a real OpenStack on one machine, in one folder, on loopback."""
