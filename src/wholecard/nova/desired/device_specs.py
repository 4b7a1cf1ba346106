"""The device_specs of one host: by ids where that is enough, by address where it is not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.host.facts.host import Host
from wholecard.nova.desired.device_selection import type_of
from wholecard.nova.desired.json_values import PciDeviceSpec
from wholecard.nova.desired.placement_tags import PlacementTags
from wholecard.nova.desired.unsupported import UnsupportedError, unsupported
from wholecard.pci import Function
from wholecard.site.model import CardKind, Match


def specs_on_host(
    name: str,
    kind: CardKind,
    tags: PlacementTags,
    functions: tuple[Function, ...],
    host_name: str,
    host: Host,
    of: Release,
) -> Iterator[PciDeviceSpec]:
    """What gives exactly `functions` on a host whose facts are known.

    Raises UndoableError where nova of that release cannot be told to give just these.
    """
    for ids in dict.fromkeys((each.vendor, each.device) for each in functions):
        wanted = [each for each in functions if (each.vendor, each.device) == ids]
        addresses = {each.address for each in wanted}
        others = [
            each
            for each in host.functions
            if (each.vendor, each.device) == ids and each.address not in addresses
        ]
        _refuse_vfs(name, host_name, wanted, others)
        if kind.select == "ids" and others:
            raise unsupported(
                ("cards", name),
                f"cards.{name}: select: ids would give {_listed(others)} on {host_name} too",
                f"They are {ids[0]}:{ids[1]} as well, and are not meant or stay the host's own.",
                "Write select: auto or select: address.",
            )
        if kind.select == "ids" or (kind.select == "auto" and not others):
            yield tags.spec(*ids)
            continue
        _refuse_old_pf(name, host_name, wanted, of)
        yield from (tags.spec(*ids, str(each.address)) for each in wanted)


def specs_by_match(
    name: str, kind: CardKind, tags: PlacementTags, host_name: str
) -> Iterator[PciDeviceSpec]:
    """What the matches alone say, for a host whose facts are not known."""
    for match in kind.match:
        if match.hosts and host_name not in match.hosts:
            continue
        vendor, product = ids_of(name, match, host_name)
        if kind.select == "address" and match.address is None:
            raise _unknown(name, host_name, "which addresses its cards have")
        yield tags.spec(vendor, product, match.address if kind.select != "ids" else None)


def ids_of(name: str, match: Match, host_name: str) -> tuple[str, str]:
    """Vendor and product of a match that stands for itself. Raises UndoableError without both."""
    if match.vendor is None or match.product is None:
        raise _unknown(name, host_name, "which ids its cards have")
    if match.subsystem is not None:
        raise _unknown(name, host_name, "which of its cards have that subsystem")
    return match.vendor, match.product


def _unknown(name: str, host: str, what: str) -> UnsupportedError:
    return unsupported(
        ("cards", name),
        f"cards.{name}: {what} is not known" + (f" of {host}" if host else ""),
        "nova knows vendor, product and address; the rest comes from the host's facts.",
        "Write the facts there (wholecard-host inspect --json > host.json) and name the file as "
        "hosts.NAME.facts, or match by vendor and product.",
        is_lack=True,
    )


def _refuse_vfs(
    name: str, host: str, wanted: Iterable[Function], others: Iterable[Function]
) -> None:
    """A PF's address gives its VFs of the same ids too, and Placement takes no PF with VFs."""
    for function in wanted:
        vfs = [each for each in others if each.physfn == function.address]
        if vfs:
            raise unsupported(
                ("cards", name),
                f"cards.{name}: {function.address} on {host} has VFs and is not whole",
                f"nova would give {_listed(vfs)} with it.",
                f"Take them away: echo 0 > /sys/bus/pci/devices/{function.address}/sriov_numvfs",
            )


def _refuse_old_pf(name: str, host: str, wanted: Iterable[Function], of: Release) -> None:
    pf = next((each for each in wanted if type_of(each) == "type-PF"), None)
    if pf is not None and not has(of, Capability.PF_BY_ADDRESS):
        raise unsupported(
            ("cards", name),
            f"cards.{name}: nova of {of} cannot give {pf.address} on {host} by its address",
            f"Before {Capability.PF_BY_ADDRESS.series} a PF's address gives its VFs alone.",
            "Write select: ids, on a host where nothing else has these ids.",
        )


def _listed(functions: Iterable[Function]) -> str:
    return ", ".join(str(each.address) for each in functions)
