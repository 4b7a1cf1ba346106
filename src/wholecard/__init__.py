"""Whole GPUs for OpenStack servers: the whole card or nothing."""

from __future__ import annotations

__version__ = "0.1.0"
