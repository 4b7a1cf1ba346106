"""Large files of whatever is slow to lint: for the tests of its work, and for its benchmark."""

from __future__ import annotations

from dataclasses import dataclass

from support.lint_hosts import ALIAS, H100

_REGEX = b'device_spec = {"address": {"bus": "(a?b?c?d?){9}[0-9a-f]*"}}\n'


@dataclass(frozen=True)
class Large:
    """A piece that is repeated between a head and a tail; `most` times at most.

    `%d` in the piece becomes its number.
    """

    name: str
    head: bytes
    piece: bytes
    most: int
    tail: bytes = b""

    def data(self, count: int | None = None) -> bytes:
        """The file with that many pieces, with the most without a number."""
        count = self.most if count is None else min(count, self.most)
        if b"%d" in self.piece:
            return self.head + b"".join(self.piece % n for n in range(count)) + self.tail
        return self.head + self.piece * count + self.tail


# The largest that is read has 4 MiB and 50,000 lines.
LARGE = (
    Large("zeros", b"", b"\0", 50 << 20),
    Large("comments", b"", b"# a comment of nova's own\n", 2 << 20),
    Large("assignments", b"[pci]\n", b"a=1\n", 49_000),
    Large("specs", b"[pci]\n", f"device_spec = {H100}\n".encode(), 49_000),
    Large("aliases", b"[pci]\n", f"alias = {ALIAS}\n".encode(), 30_000),
    Large("near names", b"[pci]\n", b"device_sp%dec = 1\n", 49_000),
    Large("ignored", b"[pci]\n", f"whitelist = {H100}\n".encode(), 49_000,
          f" device_spec = {H100}\n".encode() * 500),
    Large("one value", b"[pci]\nalias = ", b"{", 4_000_000),
    Large("list of specs", b"[pci]\ndevice_spec = [", b"{},", 20_000, b"{}]\n"),
    Large("continued", b"[pci]\nalias = {\n", b' "a": "b",\n', 49_000),
    Large("dollars", b"[pci]\nalias = ", b"$a", 30_000,
          b"\n[DEFAULT]\na = " + b"b" * 49_000),
    Large("quotes", b"[pci]\nalias = {", b"'", 60_000, b"}\n"),
    Large("commas", b"[pci]\nalias = {", b" ,", 30_000, b"}\n"),
    Large("regexes", b"[pci]\n", _REGEX, 9_000),
    Large("globs", b"[pci]\n", b'device_spec = {"address": "*:*:*.*"}\n', 9_000),
    Large("filters", b"[filter_scheduler]\nenabled_filters = ", b"Pci,", 20_000, b"\n"),
    Large("headers", b"", b"[pci]\n[default]\n", 24_000),
    Large("swallowed", b"[pci]\nx = 1\n", b"  alias = {}\n", 49_000),
)  # fmt: skip
