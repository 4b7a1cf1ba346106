"""The files of a node that a plan may change, by content, mode and owner, to compare later."""

from __future__ import annotations

from dataclasses import dataclass

from wholecard.lab.node.node import LabNode

# Left out: `adjtime` is the clock's, `.part` exists while a file is copied to the node, and nova's
# folder is the operator's. One sha256sum for all files: starting one for each of a thousand takes
# 15 s on an emulated CPU.
_LIST = r"""
seen() {
  find /etc /boot /usr/local/bin /usr/lib/dracut /var/lib/initramfs-tools -xdev \
    -not -path '*/.part' -not -name adjtime -not -path '/etc/nova*' "$@" 2> /dev/null
}
{
  seen -printf '%p %y %m %u %g %l\n'
  seen -type f -print0 | xargs -0 sha256sum | sed 's/^\([0-9a-f]*\)  \(.*\)/\2 \1/'
} | sort
"""


@dataclass(frozen=True)
class Manifest:
    """Lines for each file: path, kind, mode, owner, what a link points to; path and digest."""

    lines: tuple[str, ...]

    @property
    def paths(self) -> frozenset[str]:
        """What is listed: files, folders, links; without what follows a blank in a name."""
        return frozenset(line.partition(" ")[0] for line in self.lines)

    def difference(self, other: Manifest) -> list[str]:
        """The lines that only one of the two has, `-` before this one's, `+` before `other`'s."""
        gone = [f"- {line}" for line in self.lines if line not in set(other.lines)]
        return gone + [f"+ {line}" for line in other.lines if line not in set(self.lines)]


def read_manifest(node: LabNode) -> Manifest:
    """A node's files now."""
    text = node.ssh(["sh", "-c", _LIST], timeout=600).stdout
    return Manifest(tuple(text.splitlines()))
