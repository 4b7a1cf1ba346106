"""Answers of Wholecard's own matching, in the shape of `novaside`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wholecard.nova.match import (
    Alias,
    Device,
    DeviceSysfs,
    HostCell,
    MatchError,
    PciRequest,
    Pools,
    Rules,
    Spec,
    assign,
    groups_of,
    parse_aliases,
    parse_request,
    providers_of,
    rules_for,
)
from wholecard.nova.match.fields import UnreadableAddressError

__all__ = ["answer"]

Answer = dict[str, Any]
HOST = "node1"


def answer(case: Mapping[str, Any], major: int) -> Answer:
    """What our matching says of a case under the rules of nova `major`."""
    rules = rules_for(
        major,
        report_in_placement=case["report"],
        pci_in_placement=case["pci_in_placement"],
    )
    devices = tuple(Device(**each) for each in case["devices"])
    sysfs = DeviceSysfs(devices, case["interfaces"])
    specs: list[Spec] = []
    result: Answer = {"specs": []}
    for text in case["specs"]:
        try:
            found = Spec.parse(text, rules, sysfs)
        except MatchError as error:
            result["specs"].append(_refused(error))
            continue
        result["specs"].append([[_match(spec, each) for each in devices] for spec in found])
        specs += found
    given = [assign(each, specs) for each in devices]
    result["given"] = [
        None if spec is None else next(at for at, each in enumerate(specs) if each is spec)
        for spec in given
    ]
    providers = _providers(devices, specs, rules)
    result["providers"] = providers
    uuids = (
        {}
        if "refused" in providers
        else {name.rpartition("_")[2].lower(): name for name in providers}
    )
    pools = Pools.of(
        devices,
        specs,
        rules,
        host_cells=None
        if case["host_cells"] is None
        else [HostCell(*each) for each in case["host_cells"]],
        providers=uuids,
    )
    result["pools"] = [
        [
            {**each.keys, "count": each.count},
            (each.provider or "").rpartition("_")[2].lower() or None,
        ]
        for each in pools.pools
    ]
    return {**result, **_requests(case, rules, pools, uuids)}


def _match(spec: Spec, device: Device) -> bool | str:
    try:
        return spec.fits(device)
    except UnreadableAddressError:
        return "unreadable"


def _refused(error: MatchError) -> Answer:
    return {"refused": f"{type(error).__name__}:{error.kind}"}


def _providers(devices: Sequence[Device], specs: Sequence[Spec], rules: Rules) -> Answer:
    try:
        found = providers_of(HOST, devices, specs, rules)
    except MatchError as error:
        return _refused(error)
    return {each.name: [each.resource_class, each.total, sorted(each.traits)] for each in found}


def _requests(
    case: Mapping[str, Any], rules: Rules, pools: Pools, uuids: Mapping[str, str]
) -> Answer:
    aliases: dict[str, Alias] = {}
    result: Answer = {}
    try:
        aliases = parse_aliases(case["aliases"], rules)
    except MatchError as error:
        refusal = _refused(error)
        return {"aliases": refusal, "requests": refusal}
    result["aliases"] = {
        name: [alias.numa_policy, [dict(each) for each in alias.specs]]
        for name, alias in aliases.items()
    }
    try:
        requests = parse_request(case["request"], aliases, case["policy"])
    except MatchError as error:
        return {**result, "requests": _refused(error)}
    result["requests"] = [
        [each.alias, each.count, [dict(spec) for spec in each.specs], each.numa_policy]
        for each in requests
    ]
    try:
        groups = groups_of(requests, rules)
        result["groups"] = [[[[each.resource_class, 1]], sorted(each.traits)] for each in groups]
    except MatchError as error:
        result["groups"] = _refused(error)
    chosen, mapping = _chosen(case, requests, uuids)
    verdict = pools.supports(chosen, case["cells"], mapping)
    result["supports"] = bool(verdict)
    return result


def _chosen(
    case: Mapping[str, Any], requests: Sequence[PciRequest], uuids: Mapping[str, str]
) -> tuple[list[PciRequest], dict[str, list[str]] | None]:
    if case["mapping"] is None:
        return list(requests), None
    mapping, stored = {}, []
    for position, request in enumerate(requests):
        addresses = case["mapping"][position] if position < len(case["mapping"]) else []
        found = [uuids.get(each, f"unknown-{each}") for each in addresses]
        specs = request.specs
        if case["stored"] and found:
            specs = ({**specs[0], "rp_uuids": ",".join(found)}, *specs[1:])
        stored.append(
            PciRequest(request.alias, request.count, specs, request.numa_policy, request.request_id)
        )
        mapping.update({f"{request.request_id}-{at}": [one] for at, one in enumerate(found)})
    return stored, None if case["stored"] else mapping
