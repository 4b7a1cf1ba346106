"""Facts of many hosts from files, of which most differ in their serial numbers and boot ids alone.

A fleet is bought by the rack: of ten thousand files there are a dozen kinds. Of each kind one file
is parsed and checked; the others are compared with it byte by byte, which costs a hundredth.
"""

from __future__ import annotations

from pathlib import Path

from wholecard.core.input_files import read_input
from wholecard.host.facts.host import Host
from wholecard.host.facts.saved import read_host

# As `Host.to_json` has them, whatever the spaces of a line.
_OWN = (b'"serial": "', b'"boot_id": "')
_QUOTE = b'"'


class AlikeFacts:
    """Reads facts; hosts that are alike share one `Host`, with the first one's serials and boot id.

    For who looks at neither of the two.
    """

    def __init__(self) -> None:
        self._hosts: dict[bytes, Host] = {}

    def read(self, path: Path) -> Host:
        """The host whose facts the file has. Raises UsageError as `read_host`."""
        if path.suffix != ".json":
            return read_host(path)
        try:
            data = read_input(path)
        except (OSError, ValueError):
            # With the words for it.
            return read_host(path)
        kind = without_own(data)
        host = self._hosts.get(kind)
        if host is None:
            host = self._hosts[kind] = read_host(path)
        return host


def without_own(data: bytes) -> bytes:
    """The JSON text without the values of serial numbers and of the boot's id."""
    for key in _OWN:
        first, *parts = data.split(key)
        # What follows the value; a value with an escaped quote is cut too early, and is itself
        # then a kind of its own.
        data = key.join([first, *(part[part.find(_QUOTE) :] for part in parts)])
    return data
