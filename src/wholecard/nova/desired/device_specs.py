"""The device_specs of one host: by ids where that is enough, else by address. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.host.facts.host import Host
from wholecard.nova.desired.device_selection import device_type_of
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
    release: Release,
) -> Iterator[PciDeviceSpec]:
    """The device_specs that match exactly `functions` on a host whose facts are known.

    Raises UnsupportedError where no device_spec of that release matches just these.
    """
    for ids in dict.fromkeys(_ids(function) for function in functions):
        same_ids = _with_ids(ids, functions)
        addresses = [function.address for function in same_ids]
        others = [
            function
            for function in _with_ids(ids, host.functions)
            if function.address not in addresses
        ]
        _refuse_vfs(name, host_name, same_ids, others)
        if _is_by_ids(name, kind, host_name, others):
            yield tags.spec(*ids)
            continue
        _refuse_old_pf(name, host_name, same_ids, release)
        yield from (tags.spec(*ids, str(function.address)) for function in same_ids)


def _ids(function: Function) -> tuple[str, str]:
    return function.vendor, function.device


def _with_ids(ids: tuple[str, str], functions: Iterable[Function]) -> list[Function]:
    return [function for function in functions if _ids(function) == ids]


def _is_by_ids(name: str, kind: CardKind, host_name: str, others: list[Function]) -> bool:
    """Whether ids alone select the kind's functions; `others` on the host have the same ids."""
    if kind.select == "ids" and others:
        raise unsupported(
            ("cards", name),
            f"cards.{name}: select: ids would give {_listed(others)} on {host_name} too",
            f"They have the same ids ({others[0].ids}), but the kind does not select them, or the "
            "host keeps them.",
            "Write select: auto or select: address.",
        )
    return kind.select == "ids" or (kind.select == "auto" and not others)


def specs_by_match(
    name: str, kind: CardKind, tags: PlacementTags, host_name: str
) -> Iterator[PciDeviceSpec]:
    """The device_specs from the matches alone, for a host whose facts are not known."""
    for match in kind.match:
        if match.hosts and host_name not in match.hosts:
            continue
        vendor, product = ids_of(name, match, host_name)
        if any(_may_be_of(kept, match, host_name) for kept in kind.kept):
            raise _unknown(name, host_name, "which of its cards stay with the host")
        if kind.select == "address" and match.address is None:
            raise _unknown(name, host_name, "which addresses its cards have")
        yield tags.spec(vendor, product, match.address if kind.select != "ids" else None)


def _may_be_of(kept: Match, match: Match, host_name: str) -> bool:
    """Whether some function of the host may meet both."""
    if kept.hosts and host_name not in kept.hosts:
        return False
    pairs = ((kept.vendor, match.vendor), (kept.product, match.product),
             (kept.address, match.address))  # fmt: skip
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


def ids_of(name: str, match: Match, host_name: str) -> tuple[str, str]:
    """Vendor and product of a match used without facts. Raises UnsupportedError without both."""
    if match.vendor is None or match.product is None:
        raise _unknown(name, host_name, "which ids its cards have")
    if match.subsystem is not None:
        raise _unknown(name, host_name, "which of its cards have that subsystem")
    return match.vendor, match.product


def _unknown(name: str, host: str, what: str) -> UnsupportedError:
    return unsupported(
        ("cards", name),
        f"cards.{name}: {what} is not known" + (f" for {host}" if host else ""),
        "nova matches by vendor, product and address; everything else comes from the host's facts.",
        "Save the facts on the host (wholecard-host inspect --json > host.json) and name the file "
        "as hosts.NAME.facts, or match by vendor and product.",
        facts_missing=True,
    )


def _refuse_vfs(
    name: str, host: str, functions: Iterable[Function], others: Iterable[Function]
) -> None:
    """A PF's address gives its VFs of the same ids too, and Placement takes no PF with VFs."""
    for function in functions:
        vfs = [other for other in others if other.physfn == function.address]
        if vfs:
            raise unsupported(
                ("cards", name),
                f"cards.{name}: {function.address} on {host} has VFs, so a guest cannot get it as "
                "a whole",
                f"nova would also give {_listed(vfs)} to guests.",
                f"Remove the VFs: echo 0 > /sys/bus/pci/devices/{function.address}/sriov_numvfs",
            )


def _refuse_old_pf(name: str, host: str, functions: Iterable[Function], release: Release) -> None:
    pf = next((function for function in functions if device_type_of(function) == "type-PF"), None)
    if pf is not None and not has(release, Capability.PF_BY_ADDRESS):
        raise unsupported(
            ("cards", name),
            f"cards.{name}: nova of {release} cannot give {pf.address} on {host} by its address",
            f"Before {Capability.PF_BY_ADDRESS.series} the address of a PF selects only its VFs.",
            "Write select: ids, if no other function of the host has these ids.",
        )


def _listed(functions: Iterable[Function]) -> str:
    return ", ".join(str(function.address) for function in functions)
