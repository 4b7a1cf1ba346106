"""Where an audit's views come from: the shape that every source of them has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from wholecard.audit.record import CloudViews, HostViews


class Views(Protocol):
    """The four views of one cloud, read as they are asked for."""

    def cloud_views(self) -> CloudViews:
        """What concerns more than one host. Raises WholecardError where nova cannot be read."""

    def host_views(self) -> Iterator[HostViews]:
        """Each host, by name, one at a time: nothing of a host is kept after the next is read.

        A view that one host does not give is in that host's `unread`; nothing is raised for it.
        """
