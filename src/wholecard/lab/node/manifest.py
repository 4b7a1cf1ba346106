"""The files of a node that a plan may change, by content, mode and owner, to compare later."""

from __future__ import annotations

from dataclasses import dataclass

from wholecard.lab.node.node import LabNode

# Left out: `adjtime` is the clock's, `.part` exists while a file is copied to the node, and nova's
# folder is the operator's.
_LIST = r"""
find /etc /boot /usr/local/bin /usr/lib/dracut /var/lib/initramfs-tools -xdev \
  -not -path '*/.part' -not -name adjtime -not -path '/etc/nova*' \
  \( -type f -printf '%p %m %u %g ' -exec sha256sum {} \; \
  -o -not -type f -printf '%p %y %m %u %g %l\n' \) 2> /dev/null | sort
"""


@dataclass(frozen=True)
class Manifest:
    """A line for each file: path, mode, owner, digest, or what a link points to."""

    lines: tuple[str, ...]

    def difference(self, other: Manifest) -> list[str]:
        """The lines that only one of the two has, `-` before this one's, `+` before `other`'s."""
        gone = [f"- {line}" for line in self.lines if line not in set(other.lines)]
        return gone + [f"+ {line}" for line in other.lines if line not in set(self.lines)]


def read_manifest(node: LabNode) -> Manifest:
    """A node's files now."""
    text = node.ssh(["sh", "-c", _LIST], timeout=600).stdout
    return Manifest(tuple(text.splitlines()))
