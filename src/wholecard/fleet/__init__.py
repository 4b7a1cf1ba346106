"""The agent's commands on other hosts: sent by the system's ssh, many side by side."""

from __future__ import annotations

from wholecard.fleet.fleet import Fleet, Watcher
from wholecard.fleet.host_result import HostResult, worst
from wholecard.fleet.names import read_names
from wholecard.fleet.ssh import Ssh

__all__ = ["HostResult", "Fleet", "Ssh", "Watcher", "read_names", "worst"]
