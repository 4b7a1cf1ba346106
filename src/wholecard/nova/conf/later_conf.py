"""The files of many services, parsed when somebody looks into them; and which of them are alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from wholecard.core.input_files import read_input
from wholecard.nova.conf.conf_file import LARGEST, ConfFile
from wholecard.nova.conf.service_conf import NovaConf, files_in
from wholecard.nova.options import Role

# What deployment tools write differently into every host's file. Nothing about cards is read from
# these, unless a value names one as `$my_ip`.
_OWN = re.compile(
    rb"(?m)^(my_ip|my_block_storage_ip|host|server_listen|server_proxyclient_address"
    rb"|live_migration_inbound_addr|novncproxy_host|html5_proxy_base_url)([ \t]*=).*$"
)
_REFERENCE = re.compile(rb"(?m)^[ \t]*(?:device_spec|passthrough_whitelist|alias|pci_\w+).*\$")


class LaterConf(NovaConf):
    """The files of one service, whose bytes were read and are parsed at the first use.

    `kind` is equal for two services whose files say the same but for the host's own addresses and
    name; positions in one are positions in the other.
    """

    def __init__(self, read: Sequence[tuple[str, bytes]]) -> None:
        # Not NovaConf's: it wants parsed files.
        self.__dict__["_read"] = tuple(read)

    @cached_property
    def files(self) -> tuple[ConfFile, ...]:
        """The files, parsed."""
        return tuple(ConfFile.parse(data, path) for path, data in self._pairs)

    @property
    def kind(self) -> tuple[bytes, ...]:
        """What the files say, without what is every host's own."""
        return tuple(_without_own(data) for _, data in self._pairs)

    @property
    def paths(self) -> tuple[str, ...]:
        """The files' paths, in the order in which they are read."""
        return tuple(path for path, _ in self._pairs)

    def at(self, paths: Sequence[str]) -> NovaConf:
        """The same files as if they were at other paths."""
        pairs = zip(paths, self._pairs, strict=True)
        return NovaConf(tuple(ConfFile.parse(data, path) for path, (_, data) in pairs))

    @property
    def _pairs(self) -> tuple[tuple[str, bytes], ...]:
        pairs: tuple[tuple[str, bytes], ...] = self.__dict__["_read"]
        return pairs


def read_later(paths: Sequence[Path], role: Role | None = None) -> NovaConf:
    """As `NovaConf.read`, and raises the same; the files are read now and parsed later."""
    read = []
    for file in (file for path in paths for file in files_in(path, role)):
        try:
            data = read_input(file, LARGEST)
        except (OSError, ValueError):
            # A pipe, a file that is too large, or one that cannot be read: it has the words.
            return NovaConf.read(paths, role)
        read.append((str(file), data))
    return LaterConf(read)


def _without_own(data: bytes) -> bytes:
    return data if _REFERENCE.search(data) else _OWN.sub(rb"\1\2", data)
