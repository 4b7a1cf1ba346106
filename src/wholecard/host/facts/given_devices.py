"""What servers have on a host: libvirt's domains and the mediated devices, as one record."""

from __future__ import annotations

from pathlib import Path

from wholecard.core import WholecardError
from wholecard.core.record import dataclass
from wholecard.host.facts.libvirt_domains import LibvirtDomain, domains_from_json, read_domains
from wholecard.host.facts.mediated_devices import MediatedDevice, mdevs_from_json, read_mdevs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True)
class GivenDevices:
    """`domains` is None where they could not be read; `unread` says why, in a sentence."""

    domains: tuple[LibvirtDomain, ...] | None
    mdevs: tuple[MediatedDevice, ...]
    unread: str = ""

    def to_json(self) -> dict[str, Any]:
        """`{"domains", "mdevs", "domains_unread"}`, members beside those of the host's facts."""
        domains = None if self.domains is None else [row.to_json() for row in self.domains]
        mdevs = [row.to_json() for row in self.mdevs]
        return {"domains": domains, "mdevs": mdevs, "domains_unread": self.unread}


def read_given_devices(root: Path) -> GivenDevices:
    """Read libvirt's files and sysfs under `root`. Raises nothing for what cannot be read."""
    mdevs = read_mdevs(root)
    try:
        return GivenDevices(read_domains(Path(root)), mdevs)
    except WholecardError as error:
        details = error.details.partition(". ")[0]
        reason = f"{error.brief}: {details}" if details else error.brief
        return GivenDevices(None, mdevs, f"{reason[:1].upper()}{reason[1:]}.")


def given_from_json(data: dict[str, Any]) -> GivenDevices:
    """The inverse of `to_json`, of what others wrote. Raises ValueError and KeyError."""
    domains = data["domains"]
    unread = data.get("domains_unread", "")
    return GivenDevices(
        None if domains is None else domains_from_json(domains),
        mdevs_from_json(data["mdevs"]),
        unread[:1000] if isinstance(unread, str) else "",
    )


def given_text(given: GivenDevices) -> str:
    """A line for each domain and each mediated device, for a person."""
    lines = []
    for domain in given.domains or ():
        devices = ", ".join((*domain.hostdevs, *domain.mdevs)) or "no device"
        lines.append(f"domain {domain.name} {domain.uuid} {domain.state}: {devices}")
    if given.domains is None:
        lines.append(f"not read: {given.unread}")
    elif not given.domains:
        lines.append("domains:    none")
    for mdev in given.mdevs:
        state = "" if mdev.active else ", defined only"
        lines.append(f"mdev {mdev.uuid} {mdev.type_id} of {mdev.parent}{state}")
    return "\n".join(lines)
