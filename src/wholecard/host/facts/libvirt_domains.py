"""libvirt's domains with the PCI functions and mediated devices that they have.

Read from the files of libvirt's QEMU driver, so that a libvirt that hangs keeps nobody waiting.
Source: libvirt, src/conf/virdomainobjlist.c and docs/formatdomain: the driver keeps the state of
each running domain in /run/libvirt/qemu/NAME.xml until it ends, and the configuration of each
persistent one in /etc/libvirt/qemu/NAME.xml.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wholecard.core import WholecardError
from wholecard.core.json_records import read_list, record_reader
from wholecard.core.record import dataclass
from wholecard.core.small_files import exists, under
from wholecard.pci import Address
from wholecard.pci.libvirt_xml import given_functions, given_mdevs, read_xml

TYPE_CHECKING = False
if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from typing import Any

RUNNING = Path("run/libvirt/qemu")
DEFINED = Path("etc/libvirt/qemu")

# virsh's words (tools/virsh-domain-monitor.c) for those of a domain's state
# (src/conf/domain_conf.c, virDomainState) that are not its own.
_STATES = {
    "nostate": "no state", "blocked": "idle", "shutdown": "in shutdown", "shutoff": "shut off",
}  # fmt: skip
_UUID = r"[0-9a-fA-F-]{36}"
_PATTERNS = {
    "uuid": _UUID,
    "name": "[ -~]{0,255}",
    "state": "[a-z ]{1,20}",
    "hostdevs": r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]",
    "mdevs": _UUID,
}


@dataclass(frozen=True)
class LibvirtDomain:
    """A domain: `hostdevs` are the host's PCI addresses it has, `mdevs` UUIDs.

    `state` is virsh's word: `running`, `paused`, `shut off`. One that is shut off only names its
    devices; `crashed` is also one whose QEMU has ended without libvirt's knowledge.
    """

    uuid: str
    name: str
    state: str
    hostdevs: tuple[str, ...] = ()
    mdevs: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The fields by their names."""
        lists = {"hostdevs": list(self.hostdevs), "mdevs": list(self.mdevs)}
        return {"uuid": self.uuid, "name": self.name, "state": self.state, **lists}


def domains_from_json(data: Any) -> tuple[LibvirtDomain, ...]:
    """The inverse of `to_json` for a list that others wrote. Raises ValueError."""
    return read_list(data, "domains", record_reader(LibvirtDomain, _PATTERNS))


def running_domains(root: Path) -> Iterator[tuple[str, frozenset[Address]]]:
    """Each running domain's name and the host's functions that it has.

    Raises WholecardError for a state that cannot be read: then its functions are not known.
    """
    for name, element in _files(root, RUNNING):
        try:
            yield name, given_functions(element)
        except ValueError as error:
            raise _unreadable(root / RUNNING / f"{name}.xml", error) from error


def running_mdevs(root: Path) -> Iterator[tuple[str, frozenset[str]]]:
    """Each running domain's name and the mediated devices that it has, by UUID."""
    for name, element in _files(root, RUNNING):
        yield name, given_mdevs(element)


def read_domains(root: Path) -> tuple[LibvirtDomain, ...]:
    """All domains, by name: those that run, and those that are only defined.

    Raises WholecardError where libvirt's folder is missing or a file in it cannot be read: then it
    is not known which domain has which device.
    """
    if not exists(under(root, str(RUNNING))):
        raise WholecardError(
            f"libvirt's QEMU driver has no folder /{RUNNING}",
            resolution="It makes it when it starts: look at `systemctl status libvirtd virtqemud`.",
        )
    domains: dict[str, LibvirtDomain] = {}
    for folder in (RUNNING, DEFINED):
        for name, element in _files(root, folder):
            # What runs counts, and not what it would have at its next start.
            if name not in domains:
                try:
                    domains[name] = _domain(root, name, element)
                except ValueError as error:
                    raise _unreadable(root / folder / f"{name}.xml", error) from error
    return tuple(domains[name] for name in sorted(domains))


def reduced(data: bytes) -> bytes:
    """A domain's file with what is read of it here alone: no password, no disk, no metadata.

    Raises ValueError for what is not XML.
    """
    import xml.etree.ElementTree as ET

    whole = read_xml(data)
    inner = _inner(whole)
    state = {key: whole.get(key, "") for key in ("state", "pid") if whole.get(key)}
    kept = ET.Element("domstatus", state) if whole.tag == "domstatus" else None
    domain = ET.Element("domain") if kept is None else ET.SubElement(kept, "domain")
    for tag in ("name", "uuid"):
        ET.SubElement(domain, tag).text = inner.findtext(tag)
    devices = ET.SubElement(domain, "devices")
    for tag in ("hostdev", "interface"):
        for device in inner.iter(tag):
            for address in device.findall("./source/address"):
                kind = {key: device.get(key, "") for key in ("type",) if device.get(key)}
                source = ET.SubElement(ET.SubElement(devices, tag, kind), "source")
                ET.SubElement(source, "address", address.attrib)
    return ET.tostring(domain if kept is None else kept)


def _files(root: Path, folder: Path) -> Iterator[tuple[str, ET.Element]]:
    for file in sorted((root / folder).glob("*.xml")):
        try:
            yield file.stem, read_xml(file.read_bytes())
        except FileNotFoundError:
            # The domain ended since the folder was read.
            continue
        except (OSError, ValueError) as error:
            raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> WholecardError:
    what = "running domain" if str(RUNNING) in str(file) else "domain"
    return WholecardError(
        f"cannot read the {what} in {file}",
        f"{error}. It is not known which cards the domain has.",
        f"Look at what virsh dumpxml {file.stem} prints.",
    )


def _domain(root: Path, name: str, element: ET.Element) -> LibvirtDomain:
    inner = _inner(element)
    return LibvirtDomain(
        (inner.findtext("uuid") or "").strip().lower(),
        name,
        _state(root, element),
        tuple(sorted(str(address) for address in given_functions(inner))),
        tuple(sorted(given_mdevs(inner))),
    )


def _state(root: Path, element: ET.Element) -> str:
    if element.tag != "domstatus":
        return "shut off"
    pid = element.get("pid", "")
    # A snapshot has no processes, so that there nothing follows from a missing one.
    if pid.isdigit() and exists(under(root, "proc/1")) and not exists(under(root, f"proc/{pid}")):
        return "crashed"
    state = element.get("state", "nostate")
    return _STATES.get(state, state)


def _inner(element: ET.Element) -> ET.Element:
    found = element.find("domain") if element.tag == "domstatus" else element
    return element if found is None else found
