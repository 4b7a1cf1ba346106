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

    Raises WholecardError for a state that cannot be read: then its functions are not known.
    """
    for state in sorted((root / RUNNING).glob("*.xml")):
        try:
            yield state.stem, given_functions(read_xml(state.read_bytes()))
        except FileNotFoundError:
            # The domain ended since the folder was read.
            continue
        except (OSError, ValueError) as error:
            raise WholecardError(
                f"cannot read the running domain in {state}",
                f"{error}. It is not known which cards the domain has.",
                f"Look at what virsh dumpxml {state.stem} prints.",
            ) from error
