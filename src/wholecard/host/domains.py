"""libvirt's running domains and the PCI functions that they have.

Source: libvirt, src/conf/virdomainobjlist.c and docs/formatdomain: QEMU's driver keeps the state
of each running domain in /run/libvirt/qemu/NAME.xml until it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

from wholecard.core import WholecardError
from wholecard.pci import Address

RUNNING = Path("run/libvirt/qemu")


def running_domains(root: Path) -> Iterator[tuple[str, frozenset[Address]]]:
    """Each running domain's name and the host's functions that it has.

    Raises WholecardError for a state that cannot be read: then nobody knows what it has.
    """
    for place in sorted((root / RUNNING).glob("*.xml")):
        try:
            yield place.stem, _host_functions(place.read_bytes())
        except FileNotFoundError:
            # It ended in the meantime.
            continue
        except (OSError, ValueError, expat.ExpatError) as error:
            raise WholecardError(
                f"cannot read the running domain in {place}",
                f"{error}. So it cannot be known which cards it has.",
                f"See what virsh dumpxml {place.stem} says.",
            ) from error


def _host_functions(text: bytes) -> frozenset[Address]:
    """The addresses inside `<source>` of each hostdev or interface; the guest's own are outside."""
    inside: list[str] = []
    found: set[Address] = set()

    def start(name: str, attributes: dict[str, Any]) -> None:
        if name == "address" and inside[-1:] == ["source"] and "bus" in attributes:
            numbers = (attributes.get(key, "0") for key in ("domain", "bus", "slot", "function"))
            if inside[-2:-1] in (["hostdev"], ["interface"]) and "slot" in attributes:
                found.add(Address(*(int(number, 0) for number in numbers)))
        inside.append(name)

    def end(_name: str) -> None:
        inside.pop()

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.Parse(text, True)
    return frozenset(found)
