"""libvirt's running domains and the PCI functions that they have.

Source: libvirt, src/conf/virdomainobjlist.c and docs/formatdomain: QEMU's driver keeps the state
of each running domain in /run/libvirt/qemu/NAME.xml until it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wholecard.core import WholecardError
from wholecard.pci import Address
from wholecard.pci.libvirt_xml import given_functions, read_xml

RUNNING = Path("run/libvirt/qemu")


def running_domains(root: Path) -> Iterator[tuple[str, frozenset[Address]]]:
    """Each running domain's name and the host's functions that it has.

    Raises WholecardError for a state that cannot be read: then nobody knows what it has.
    """
    for place in sorted((root / RUNNING).glob("*.xml")):
        try:
            yield place.stem, given_functions(read_xml(place.read_bytes()))
        except FileNotFoundError:
            # It ended in the meantime.
            continue
        except (OSError, ValueError) as error:
            raise WholecardError(
                f"cannot read the running domain in {place}",
                f"{error}. So it cannot be known which cards it has.",
                f"See what virsh dumpxml {place.stem} says.",
            ) from error
