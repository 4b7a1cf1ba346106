"""The views of all sources together, host by host in order of name."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Protocol

from wholecard.audit.record import (
    CloudViews,
    ComputeNode,
    Domain,
    HostViews,
    Mdev,
    PciDevice,
    View,
)
from wholecard.audit.views.placement_view import Holdings, HostTree, PlacementView
from wholecard.core import UsageError
from wholecard.host.facts.host import Host

# Hosts whose rows are read with one statement: enough that the statement's own time does not
# count, few enough that their rows are some MB.
BATCH = 200
# So many batches are read before they are compared: no source waits for another one.
AHEAD = 2


class NovaView(Protocol):
    """A reader of nova. Methods raise WholecardError where it cannot be read."""

    def compute_nodes(self) -> Mapping[str, ComputeNode | None]:
        """The compute nodes by hypervisor's host name; None for one that only has rows left."""

    def unread_hosts(self) -> Mapping[str, str]:
        """Hosts of which nova has more than could be read, and why."""

    def devices(self, hosts: Sequence[str]) -> Mapping[str, tuple[PciDevice, ...]] | None:
        """The rows of pci_devices of each of these hosts; None where this source has none."""

    def cloud_views(
        self,
        held: Callable[[], Holdings],
        hosts: Sequence[str] | None = None,
    ) -> CloudViews:
        """What concerns more than one host; `held` waits for what Placement has."""

    def close(self) -> None:
        """End all connections."""


@dataclass(frozen=True)
class HostFacts:
    """What a host says of itself; `unread` has the reason for each view that it does not give."""

    sysfs: Host | None = None
    domains: tuple[Domain, ...] | None = None
    mdevs: tuple[Mdev, ...] | None = None
    unread: Mapping[View, str] = field(default_factory=dict)


class FactsView(Protocol):
    """A reader of hosts: over ssh, or of files."""

    def facts(self, hosts: Sequence[str]) -> Mapping[str, HostFacts]:
        """What each of these hosts says; one that says nothing has why in `unread`."""


class CombinedViews:
    """`Views` of nova, Placement and hosts; `placement` and `facts` are a reason where not read.

    `only` are hypervisor's host names; None for all hosts. One that neither nova nor Placement has
    is a UsageError, or left out where it `may_be_gone`.
    """

    def __init__(
        self,
        nova: NovaView,
        placement: PlacementView | str,
        facts: FactsView | str,
        only: Sequence[str] | None = None,
        *,
        may_be_gone: bool = False,
    ) -> None:
        self._nova = nova
        self._placement = placement
        self._facts = facts
        self._only = only
        self._may_be_gone = may_be_gone
        self._nodes: Mapping[str, ComputeNode | None] = {}
        self._not_in_nova: Mapping[str, str] = {}
        self._hosts: tuple[str, ...] | None = None
        # Providers without a parent, by the host whose name they have.
        self._strays: dict[str, list[str]] = {}
        self._every: frozenset[str] = frozenset()

    def cloud_views(self) -> CloudViews:
        """See `Views`."""
        hosts = self._names()
        chosen = self._only is not None
        # Placement works while nova's servers are read.
        with ThreadPoolExecutor(1) as thread:
            held = thread.submit(self._held, hosts)
            return self._nova.cloud_views(held.result, hosts if chosen else None)

    def _held(self, hosts: Sequence[str]) -> Holdings:
        if isinstance(self._placement, str):
            return Holdings()
        return self._placement.holdings(frozenset(hosts), self._every)

    def host_views(self) -> Iterator[HostViews]:
        """See `Views`.

        While the hosts of one batch are compared the next ones are read, each source by a thread
        of its own: databases and hosts work meanwhile.
        """
        hosts = self._names()
        batches = [hosts[start : start + BATCH] for start in range(0, len(hosts), BATCH)]
        with ExitStack() as stack:
            threads = [ThreadPoolExecutor(1) for _ in range(3)]
            for each in threads:
                # Where the comparison fails, what is not read yet need not be.
                stack.callback(each.shutdown, cancel_futures=True)
            following = deque(self._read(threads, names) for names in batches[:AHEAD])
            for number, names in enumerate(batches):
                reading = following.popleft()
                devices, trees, facts = (
                    reading[0].result(),
                    reading[1].result(),
                    reading[2].result(),
                )
                if number + AHEAD < len(batches):
                    following.append(self._read(threads, batches[number + AHEAD]))
                for name in names:
                    placed = self._with_strays(name, trees)
                    yield self._host(name, devices, placed, facts.get(name))

    def _read(
        self, threads: Sequence[ThreadPoolExecutor], names: Sequence[str]
    ) -> tuple[
        Future[Mapping[str, tuple[PciDevice, ...]] | None],
        Future[Mapping[str, HostTree]],
        Future[Mapping[str, HostFacts]],
    ]:
        placement, facts = self._placement, self._facts
        placed = [*names, *(each for name in names for each in self._strays.get(name, ()))]
        nova_thread, placement_thread, facts_thread = threads
        return (
            nova_thread.submit(self._nova.devices, names),
            placement_thread.submit(
                lambda: {} if isinstance(placement, str) else placement.trees(placed)
            ),
            facts_thread.submit(lambda: {} if isinstance(facts, str) else facts.facts(names)),
        )

    def close(self) -> None:
        """End all connections."""
        self._nova.close()
        if not isinstance(self._placement, str):
            self._placement.close()

    def _names(self) -> tuple[str, ...]:
        """The hosts in order of name: nova's, and those that only Placement still has."""
        if self._hosts is None:
            self._nodes = self._nova.compute_nodes()
            self._not_in_nova = self._nova.unread_hosts()
            names = {*self._nodes, *self._not_in_nova}
            if not isinstance(self._placement, str):
                names |= self._placement.managed_hosts()
                names -= self._take_strays(names)
            self._every = frozenset(names)
            if self._only is not None:
                if not self._may_be_gone:
                    _refuse_unknown(self._only, names)
                names &= set(self._only)
            self._hosts = tuple(sorted(names))
        return self._hosts

    def _take_strays(self, names: Collection[str]) -> set[str]:
        """Root providers that nova has not, and whose name is that of a known host's device.

        nova names a device's provider `HOST_ADDRESS`; one without a parent belongs to that host.
        """
        strays = set()
        for name in set(names).difference(self._nodes):
            owner = name.rpartition("_")[0]
            while owner and owner not in self._nodes:
                owner = owner.rpartition("_")[0]
            if owner:
                strays.add(name)
                self._strays.setdefault(owner, []).append(name)
        return strays

    def _with_strays(self, name: str, trees: Mapping[str, HostTree]) -> HostTree | None:
        own = trees.get(name)
        below = [trees[each] for each in self._strays.get(name, ()) if each in trees]
        if own is None or not below:
            return own
        providers = (*own.tree.below, *(each.tree.root for each in below))
        held = (*own.allocations, *(row for each in below for row in each.allocations))
        return HostTree(replace(own.tree, below=providers), held)

    def _host(
        self,
        name: str,
        devices: Mapping[str, tuple[PciDevice, ...]] | None,
        placed: HostTree | None,
        facts: HostFacts | None,
    ) -> HostViews:
        unread: dict[View, str] = {}
        if devices is None:
            unread[View.NOVA] = "nova's API does not show its pci_devices: name its databases."
        elif name in self._not_in_nova:
            unread[View.NOVA] = self._not_in_nova[name]
        if isinstance(self._placement, str):
            unread[View.PLACEMENT] = self._placement
        if facts is None:
            reason = self._facts if isinstance(self._facts, str) else "No facts of it were given."
            unread |= {View.SYSFS: reason, View.LIBVIRT: reason}
            facts = HostFacts()
        return HostViews(
            name,
            self._nodes.get(name),
            facts.sysfs,
            facts.domains,
            facts.mdevs,
            None if devices is None or name in self._not_in_nova else devices.get(name, ()),
            placed.tree if placed else None,
            None if isinstance(self._placement, str) else placed.allocations if placed else (),
            {**unread, **facts.unread},
        )


def _refuse_unknown(only: Sequence[str], names: Collection[str]) -> None:
    unknown = sorted(set(only).difference(names))
    if unknown:
        raise UsageError(
            f"neither nova nor Placement has the host {unknown[0]}",
            f"They have: {', '.join(sorted(names)[:20]) or 'none'}",
            "Name hosts as `openstack hypervisor list` does.",
        )


def sentence(text: str) -> str:
    """A message as the one sentence that `unread` has; the name of a host keeps its letters."""
    text = text.strip().rstrip(".")
    if text.partition(" ")[0].isalpha():
        text = f"{text[:1].upper()}{text[1:]}"
    return f"{text}."
