"""Copies between host and device, within a device, and between devices.

What passthrough costs shows here first: a card in the wrong slot, a link that came up narrow,
memory of the other NUMA node, and peer access that goes through the host.
"""

from wholecard_bench.bandwidth.report import text, to_json
from wholecard_bench.bandwidth.run import run

__all__ = ["run", "text", "to_json"]
