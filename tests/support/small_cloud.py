"""A small cloud as evidence: a host of two H100 on two NUMA nodes, nova's files, Placement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from support import hosts
from support.hosts import GIB
from support.nova_conf import conf
from support.placement import tree
from wholecard.core.releases import release
from wholecard.explain.evidence.evidence import ComputeServiceState, Evidence, HostEvidence
from wholecard.host.facts.host import Cpu, Host, HugePagePool, Memory
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.pci import Function

H100 = ("10de", "2330")
ALIAS = '{"name": "h100", "vendor_id": "10de", "product_id": "2330", "device_type": "type-PF"}'
SPEC = '{"vendor_id": "10de", "product_id": "2330"}'
FILTERS = "ComputeFilter,PciPassthroughFilter,NUMATopologyFilter"


def api(alias: str | Iterable[str] = ALIAS, placement: bool = False) -> NovaConf:
    """nova-api's file."""
    return conf("api.conf", pci={"alias": alias}, filter_scheduler=_placement(placement))


def scheduler(
    filters: str = FILTERS, placement: bool = False, available: Iterable[str] = ()
) -> NovaConf:
    """nova-scheduler's file."""
    return conf(
        "scheduler.conf",
        filter_scheduler={**({"enabled_filters": filters} if filters else {}),
                          "available_filters": available, **_placement(placement)},
    )  # fmt: skip


def compute(
    spec: str | Iterable[str] = SPEC,
    alias: str | Iterable[str] = ALIAS,
    report: bool = False,
    name: str = "device_spec",
    **more: Mapping[str, str],
) -> NovaConf:
    """nova-compute's file."""
    pci: dict[str, str | Iterable[str]] = {"alias": alias, name: spec}
    if report:
        pci["report_in_placement"] = "true"
    return conf("compute.conf", pci=pci, **more)


def _placement(on: bool) -> dict[str, str]:
    return {"pci_in_placement": "true"} if on else {}


def card(
    address: str, node: int | None = 0, ids: tuple[str, str] = H100, sriov: int = 16
) -> Function:
    """A function that is a GPU."""
    return hosts.function(
        address, ":".join(ids), numa_node=node, sriov_total=sriov, driver="vfio-pci"
    )


CARDS = (card("0000:41:00.0", 0), card("0000:c1:00.0", 1))
CPUS = ((0, "0-15"), (1, "16-31"))


def facts(
    functions: Iterable[Function] = CARDS,
    cpus: tuple[tuple[int, str], ...] = CPUS,
    gib: int = 128,
    pages: tuple[HugePagePool, ...] = (),
    sockets: int = 2,
) -> Host:
    """A host of these functions, with so much RAM on each NUMA node."""
    memory = tuple((node, gib * GIB) for node, _ in cpus)
    return hosts.host(
        *functions,
        group=hosts.by_slot,
        cpu=Cpu(sockets=sockets, nodes=cpus),
        memory=Memory(gib * len(cpus) * GIB, memory, pages),
    )


def host(name: str = "gpu-01", **fields: Any) -> HostEvidence:
    """The host with all that can be known of it, and every card free."""
    placement = fields.pop("placement", False)
    full = HostEvidence(
        name,
        conf=compute(report=placement),
        facts=facts(),
        facts_source=f"{name}.json",
        service=ComputeServiceState(True, True),
        provider_tree=tree(None if placement else ()),
        taken={},
        zones=("nova",),
    )
    return replace(full, **fields)


def request(alias: str = "h100:1", **fields: Any) -> ServerRequest:
    """A flavor of 8 CPUs, 16 GiB and 40 GB; `specs` are extra specs besides the alias."""
    specs = {"pci_passthrough:alias": alias} if alias else {}
    specs |= fields.pop("specs", {})
    return replace(ServerRequest("g1.h100", "site.yaml:12", specs, 8, 16384, 40), **fields)


def cloud(by_placement: bool = False, /, series: str = "2026.2", **fields: Any) -> Evidence:
    """The whole of it: a request that the host would take, unless `fields` say otherwise."""
    full = Evidence(
        request=request(),
        hosts=(host(placement=by_placement),),
        release=release(series),
        api=api(placement=by_placement),
        scheduler=scheduler(placement=by_placement),
        placement=conf("placement.conf", placement={}),
    )
    return replace(full, **fields)
