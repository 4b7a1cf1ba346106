"""One disagreement as the remedies see it, and what a remedy answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from wholecard.audit.record import Disagreement
from wholecard.cloud.placement.provider_tree import device_in_name
from wholecard.core import Action
from wholecard.repair.operations.placement import Consumer


class Placement(Protocol):
    """Placement as a plan reads it. Methods raise CloudError."""

    def consumer(self, uuid: str) -> Consumer:
        """What a consumer holds."""

    def tree(self, provider: str) -> dict[str, str]:
        """The names of all providers in the tree of this one, by uuid."""

    def parent(self, provider: str) -> str | None:
        """The uuid of a provider's parent."""

    def traits(self, provider: str) -> frozenset[str]:
        """A provider's traits."""


@dataclass(frozen=True)
class RepairOptions:
    """What the operator allows and says.

    `restart_compute`: restart nova-compute over ssh. `beyond_restart`: it was restarted, and that
    did not help. `powered_off` are hosts without power. `confirm` and `revert` are servers whose
    resize is decided so.
    """

    restart_compute: bool = False
    beyond_restart: bool = False
    powered_off: frozenset[str] = frozenset()
    confirm: frozenset[str] = frozenset()
    revert: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ManualStep:
    """What a person has to do, and why Wholecard does not do it.

    `waits` is whether it may pass by itself.
    """

    rule: str
    subject: str
    text: str
    reason: str
    waits: bool = False

    def to_json(self) -> dict[str, object]:
        """The fields."""
        return {**self.__dict__}


@dataclass(frozen=True)
class RepairCase:
    """A disagreement, the others of the same device, and what the operator allows.

    `stamp` is the `updated_at` that rows get: ISO text, UTC. `first` is a disagreement of the host
    because of which nova-compute would not start (fact `start_fails`), and which this plan leaves.
    """

    disagreement: Disagreement
    options: RepairOptions
    placement: Placement
    stamp: str
    beside: frozenset[str] = field(default_factory=frozenset)
    first: Disagreement | None = None

    def fact(self, name: str) -> str:
        """A fact of the disagreement, empty where it is not known."""
        return self.disagreement.facts.get(name, "")

    @property
    def host(self) -> str:
        """The hypervisor's host name."""
        return self.disagreement.host

    @property
    def is_off(self) -> bool:
        """Whether the operator says that the host has no power."""
        return self.host in self.options.powered_off

    @property
    def compute_is_up(self) -> bool:
        """Whether nova-compute reports; where that is not known it is taken for up."""
        return not self.fact("service").startswith(("down", "forced"))

    @property
    def kept_by_nova(self) -> bool:
        """Whether nova-compute keeps the row for a move in error (`FAILED_MOVE_KEEPS_ROWS`)."""
        return self.disagreement.rule == "WC515" and self.fact("migration_status") == "error"

    @property
    def held_by_domain(self) -> bool:
        """Whether the audit saw a domain that has the device."""
        return bool(self.fact("domain"))

    @property
    def addresses(self) -> tuple[str, ...]:
        """The functions that it is about, none for a provider that is no PCI device's."""
        # A rule about a provider names it in full, one about a row by the address alone.
        name = self.disagreement.address.removeprefix(f"{self.host}_")
        address = address_of(self.host, f"{self.host}_{name}")
        return (address,) if address else ()

    def by_hand(self, text: str, reason: str, *, waits: bool = False) -> ManualStep:
        """A step for a person; `text` may have {host}, {address} and {server}."""
        server = self.disagreement.server or self.fact("row_instance") or "SERVER"
        names = {"host": self.host, "address": self.disagreement.address, "server": server}
        return ManualStep(
            self.disagreement.rule, self.disagreement.subject, text.format(**names), reason, waits
        )


# A remedy answers None where it is not for this case; the next one is asked then.
Remedy = Callable[[RepairCase], Action | ManualStep | None]


def address_of(host: str, provider_name: str) -> str | None:
    """The address in a provider's name, in sysfs' spelling; None where it is no PCI device's."""
    owner, address = device_in_name(provider_name)
    return address if owner == host else None
