"""`explain` on the small cloud of `small_cloud.py`: what breaks, and nothing else."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from support.nova_conf import conf
from support.placement import CLASS, provider, tree
from support.small_cloud import (
    ALIAS,
    CARDS,
    SPEC,
    api,
    card,
    cloud,
    compute,
    facts,
    host,
    request,
    scheduler,
)
from wholecard.cloud.placement.provider_tree import Inventory, ResourceProvider
from wholecard.core import exit_status
from wholecard.explain.evidence.evidence import (
    CandidatesQuery,
    ComputeServiceState,
    Evidence,
    Guest,
    HostAggregate,
    HostEvidence,
    Refusal,
)
from wholecard.explain.explain import explain
from wholecard.explain.text import blocks
from wholecard.host.facts.host import HugePagePool
from wholecard.pci import Address, Function

GOLDEN = Path(__file__).parent / "golden"
NO_TYPE = ALIAS.replace(', "device_type": "type-PF"', "")
OTHER = ALIAS.replace("h100", "other")
SWAPPED = '{"vendor_id": "2330", "product_id": "10de"}'
ONE_NODE = {"hw:numa_nodes": "1"}
PINNED = {"hw:cpu_policy": "dedicated"}
REQUIRED = {**ONE_NODE, "hw:pci_numa_affinity_policy": "required"}
NINE = tuple(card(f"0000:{0x40 + number:02x}:00.0", number % 2) for number in range(9))
NINE_REPORTED = tuple(provider(str(each.address)) for each in NINE)


def one(placement: bool = False, **fields: Any) -> dict[str, Any]:
    """`hosts=` of the one host, changed."""
    return {"hosts": (host(placement=placement, **fields),)}


LIMITED = {"placement": {"max_allocation_candidates": "100"}}
OPTIMISED = {"workarounds": {"optimize_for_wide_provider_trees": "true"}}


def nine(*settings: dict[str, dict[str, str]], series: str = "2026.2") -> Evidence:
    """Eight of nine cards are asked for, and Placement has these settings."""
    made = {section: options for each in settings for section, options in each.items()}
    return cloud(
        True, series, request=request("h100:8"), placement=conf("placement.conf", **made),
        **one(True, facts=facts(NINE), provider_tree=tree(NINE_REPORTED)),
    )  # fmt: skip


def plain(**fields: Any) -> HostEvidence:
    """A host without cards, which nobody meant for any."""
    return host("plain-01", conf=compute(()), facts=facts(()), provider_tree=tree(()), **fields)


def vf(address: str, of: str) -> Function:
    """A VF of a card."""
    return Function(
        Address.parse(address), vendor="10de", device="2330", physfn=Address.parse(of), numa_node=0
    )


def said(message: str) -> Refusal:
    """What nova said of a server."""
    return Refusal(message, "openstack server show 5d1f")


EMPTY_POOL = "Attempt to consume PCI device 1:0000:41:00.1 from empty pool"
Case = tuple[Callable[[], Evidence], str]

# Name: the evidence, and the findings in short (`subject rule severity`), one a line.
CASES: dict[str, Case] = {
    "takes": (cloud, ""),
    "takes-placement": (lambda: cloud(True), ""),
    "no-alias": (
        lambda: cloud(request=request("", specs={"pci_passthrough:aliases": "h100:1"})),
        "g1.h100 WC301 error",
    ),
    "malformed": (lambda: cloud(request=request("h100")), "g1.h100 WC302 error"),
    "flavor-against-image": (
        lambda: cloud(
            request=request(
                specs=REQUIRED,
                image="ubuntu",
                properties={"hw_pci_numa_affinity_policy": "preferred"},
            )
        ),
        "g1.h100 WC302 error",
    ),
    "odd-layout": (
        lambda: cloud(request=request(specs={"hw:numa_nodes": "3"})),
        "g1.h100 WC302 error",
    ),
    "alias-missing-on-api": (lambda: cloud(api=api(OTHER)), "g1.h100 WC303 error"),
    "alias-by-an-old-name-in-the-new-section": (
        lambda: cloud(api=conf("api.conf", pci={"pci_alias": ALIAS})),
        "g1.h100 WC303 error",
    ),
    "alias-in-a-wrong-section": (
        lambda: cloud(api=conf("api.conf", filter_scheduler={"alias": ALIAS})),
        "g1.h100 WC303 error",
    ),
    "alias-of-others": (
        lambda: cloud(api=conf("api.conf", other={"alias": "x"}, pci={"comment": "x"})),
        "g1.h100 WC303 error",
    ),
    "alias-in-another-case": (lambda: cloud(request=request("H100:2")), "g1.h100 WC303 error"),
    "no-card-at-all": (lambda: cloud(request=request("h100:0")), "g1.h100 WC301 error"),
    "one-alias-of-none": (lambda: cloud(request=request("h100:1,h100:0")), ""),
    "count-without-alias": (lambda: cloud(request=request(":1")), "g1.h100 WC302 error"),
    "alias-missing-on-api-placement": (
        lambda: cloud(True, api=api((), placement=True)),
        "g1.h100 WC303 error",
    ),
    "alias-missing-by-its-words": (
        lambda: cloud(api=None, refusal=said("PCI alias h100 is not defined")),
        "g1.h100 WC303 error",
    ),
    "alias-not-json": (lambda: cloud(api=api([OTHER, "{'name': 'h100'}"])), "g1.h100 WC304 error"),
    "alias-twice-placement": (
        lambda: cloud(True, series="2023.1", api=api([ALIAS, ALIAS.replace("2330", "2331")], True)),
        "g1.h100 WC304 error",
    ),
    "quota": (
        lambda: cloud(refusal=said("Quota exceeded for cores: Requested 8, but already used 20")),
        "g1.h100 WC305 error",
    ),
    "alias-missing-on-compute": (lambda: cloud(**one(conf=compute(alias=()))), ""),
    "alias-missing-on-compute-resize": (
        lambda: cloud(**one(conf=compute(alias=())), request=request(operation="resize")),
        "gpu-01 WC306 error",
    ),
    "alias-refused-on-compute": (
        lambda: cloud(**one(conf=compute(alias='{"name": "h100", "ids": "10de:2330"}'))),
        "gpu-01 WC304 error",
    ),
    "alias-refused-on-compute-2024.2": (
        lambda: cloud(
            series="2024.2", **one(conf=compute(alias='{"name": "h100", "ids": "10de:2330"}'))
        ),
        "",
    ),
    "down": (lambda: cloud(**one(service=ComputeServiceState(False, True))), "gpu-01 WC307 error"),
    "disabled": (
        lambda: cloud(True, **one(True, service=ComputeServiceState(True, False, "new board"))),
        "gpu-01 WC307 error",
    ),
    "spec-not-json": (
        lambda: cloud(**one(conf=compute([SPEC, "{'vendor_id': '10de'}"]))),
        "gpu-01 WC308 error",
    ),
    "pf-and-vf-placement": (
        lambda: cloud(True, **one(True, facts=facts([*CARDS, vf("0000:41:00.4", "0000:41:00.0")]))),
        "gpu-01 WC308 error",
    ),
    "spec-by-a-later-name": (lambda: cloud(series="wallaby"), "gpu-01 WC309 error"),
    "no-spec": (lambda: cloud(**one(conf=compute(()))), "gpu-01 WC309 error"),
    "spec-matches-nothing": (
        lambda: cloud(**one(conf=compute(SPEC.replace("2330", "2331")))),
        "gpu-01 WC310 error",
    ),
    "spec-matches-nothing-placement": (
        lambda: cloud(
            True,
            **one(
                True,
                conf=compute(SPEC.replace("2330", "2331"), report=True),
                provider_tree=tree(()),
            ),
        ),
        "gpu-01 WC310 error",
    ),
    "spec-gives-one-of-two": (
        lambda: cloud(
            request=request("h100:2"),
            **one(
                conf=compute(
                    '{"vendor_id": "10de", "product_id": "2330", "address": "0000:41:00.0"}'
                )
            ),
        ),
        "gpu-01 WC310 error",
    ),
    "spec-other-ids-without-facts": (
        lambda: cloud(**one(conf=compute(SPEC.replace("2330", "2331")), facts=None)),
        "gpu-01 WC310 error",
    ),
    "spec-swapped": (lambda: cloud(**one(conf=compute(SWAPPED))), "gpu-01 WC311 error"),
    "alias-swapped": (
        lambda: cloud(api=api('{"name": "h100", "vendor_id": "2330", "product_id": "10de"}')),
        "gpu-01 WC311 error",
    ),
    "no-such-card": (lambda: cloud(**one(facts=facts(()))), "gpu-01 WC312 error"),
    "too-few-cards": (lambda: cloud(request=request("h100:4")), "gpu-01 WC312 error"),
    "two-aliases-of-one-card": (
        lambda: cloud(request=request("h100:2,other:1"), api=api([ALIAS, OTHER])),
        "gpu-01 WC312 error",
    ),
    "wide-domain": (
        lambda: cloud(**one(facts=facts([card("10000:41:00.0")]))),
        "gpu-01 WC313 error",
    ),
    "type-missing": (lambda: cloud(api=api(NO_TYPE)), "gpu-01 WC314 error"),
    "type-missing-placement": (lambda: cloud(True, api=api(NO_TYPE, True)), "gpu-01 WC314 error"),
    "type-is-vf": (
        lambda: cloud(api=api(ALIAS.replace("type-PF", "type-VF"))),
        "gpu-01 WC314 error",
    ),
    "not-live-migratable": (
        lambda: cloud(api=api(ALIAS.replace("}", ', "live_migratable": "true"}'))),
        "gpu-01 WC315 error",
    ),
    "numa-nowhere": (
        lambda: cloud(
            request=request(specs=REQUIRED), **one(facts=facts([card("0000:41:00.0", None)]))
        ),
        "gpu-01 WC316 error",
    ),
    "numa-nowhere-placement": (
        lambda: cloud(
            True,
            request=request(specs=REQUIRED),
            **one(True, facts=facts([card("0000:41:00.0", None)])),
        ),
        "gpu-01 WC316 error",
    ),
    "numa-both-cards-on-one-node": (
        lambda: cloud(request=request("h100:2", specs=REQUIRED)),
        "gpu-01 WC316 error",
    ),
    "numa-by-alias": (
        lambda: cloud(request=request("h100:2", specs=ONE_NODE)),
        "gpu-01 WC316 error",
    ),
    "numa-socket": (
        lambda: cloud(
            request=request("h100:2", specs={**ONE_NODE, "hw:pci_numa_affinity_policy": "socket"}),
            **one(provider_tree=tree((), traits=["COMPUTE_SOCKET_PCI_NUMA_AFFINITY"])),
        ),
        "gpu-01 WC316 error",
    ),
    "numa-without-a-guest-layout": (
        lambda: cloud(request=request("h100:2", specs={"hw:pci_numa_affinity_policy": "required"})),
        "",
    ),
    "layout-too-many-nodes": (
        lambda: cloud(request=request(specs={"hw:numa_nodes": "4"})),
        "gpu-01 WC317 error",
    ),
    "layout-hugepages": (
        lambda: cloud(
            request=request(specs={"hw:mem_page_size": "1GB"}),
            **one(
                facts=facts(pages=(HugePagePool(1 << 30, 8, 8, 0), HugePagePool(1 << 30, 4, 4, 1)))
            ),
        ),
        "gpu-01 WC317 error",
    ),
    "layout-pinned": (lambda: cloud(request=request(specs=PINNED)), "gpu-01 WC317 error"),
    "pinned-takes": (
        lambda: cloud(
            request=request(specs=PINNED),
            **one(conf=compute(compute={"cpu_dedicated_set": "4-15,20-31"})),
        ),
        "",
    ),
    "taken": (
        lambda: cloud(request=request("h100:2"), **one(taken={"0000:41:00.0": "5d1f"})),
        "gpu-01 WC318 error",
    ),
    "taken-placement": (
        lambda: cloud(
            True,
            request=request("h100:2"),
            **one(
                True,
                taken={"0000:41:00.0": "5d1f"},
                provider_tree=tree(
                    (provider("0000:41:00.0", 1, consumers=("5d1f",)), provider("0000:c1:00.0"))
                ),
            ),
        ),
        "gpu-01 WC318 error",
    ),
    "taken-near-the-guest": (
        lambda: cloud(
            request=request(specs=REQUIRED),
            **one(taken={"0000:41:00.0": "5d1f"}, facts=facts(cpus=((0, "0-15"), (1, "16-19")))),
        ),
        "gpu-01 WC318 error",
    ),
    "taken-by-flavors": (
        lambda: cloud(
            request=request("h100:2"), **one(taken=None, guests=(Guest("5d1f", {"h100": 1}),))
        ),
        "gpu-01 WC318 error",
    ),
    "allocated-without-facts": (
        lambda: cloud(
            True,
            **one(
                True,
                facts=None,
                taken=None,
                provider_tree=tree((provider("0000:41:00.0", 1, consumers=("5d1f",)),)),
            ),
        ),
        "gpu-01 WC318 error",
    ),
    "not-reported": (lambda: cloud(True, **one(True, conf=compute())), "gpu-01 WC319 error"),
    "not-reported-without-files": (
        lambda: cloud(True, **one(True, conf=None, facts=None, provider_tree=tree(()))),
        "gpu-01 WC319 error",
    ),
    "other-class": (
        lambda: cloud(
            True,
            **one(
                True, provider_tree=tree((provider("0000:41:00.0", resource_class="CUSTOM_H100"),))
            ),
        ),
        "gpu-01 WC320 error",
    ),
    "other-class-offline": (
        lambda: cloud(
            True,
            **one(
                True,
                provider_tree=None,
                taken=None,
                conf=compute(SPEC.replace("}", ', "resource_class": "H100"}'), report=True),
            ),
        ),
        "gpu-01 WC320 error",
    ),
    "lacks-trait": (
        lambda: cloud(True, api=api(ALIAS.replace("}", ', "traits": "nvlink"}'), True)),
        "gpu-01 WC321 error",
    ),
    "reserved": (
        lambda: cloud(
            True,
            **one(
                True,
                provider_tree=tree(
                    (provider("0000:41:00.0", reserved=1), provider("0000:c1:00.0", reserved=1))
                ),
            ),
        ),
        "gpu-01 WC322 error",
    ),
    "eight-of-nine": (
        lambda: cloud(
            True,
            request=request("h100:8"),
            **one(True, facts=facts(NINE), provider_tree=tree(NINE_REPORTED)),
        ),
        "gpu-01 WC323 error",
    ),
    "eight-of-nine-tuned": (lambda: nine(LIMITED, OPTIMISED), ""),
    "eight-of-nine-limited-alone": (lambda: nine(LIMITED), ""),
    "eight-of-nine-optimised-alone": (lambda: nine(OPTIMISED), "gpu-01 WC323 error"),
    "eight-of-nine-without-limit": (
        lambda: nine({"placement": {"max_allocation_candidates": "-1"}}, OPTIMISED),
        "gpu-01 WC323 error",
    ),
    # What the release's Placement passes over, and whose mend it cannot be.
    "eight-of-nine-too-old": (
        lambda: nine(LIMITED, OPTIMISED, series="2023.1"),
        "gpu-01 WC323 error",
    ),
    "no-answer": (
        lambda: cloud(
            True,
            **one(
                True,
                queries=(
                    CandidatesQuery(
                        "count", "GET /allocation_candidates?...", None, 60.0, "timed out"
                    ),
                ),
            ),
        ),
        "gpu-01 WC323 error",
    ),
    "query-names-the-class": (
        lambda: cloud(
            True,
            **one(
                True,
                queries=(
                    CandidatesQuery("machine", "GET /allocation_candidates?resources=VCPU:8", True),
                    CandidatesQuery("traits", "GET /allocation_candidates?resources=VCPU:8", True),
                    CandidatesQuery(
                        "class", f"GET /allocation_candidates?resources_C0={CLASS}:1", False
                    ),
                ),
            ),
        ),
        "gpu-01 WC320 error",
    ),
    "too-little-ram": (
        lambda: cloud(
            **one(provider_tree=tree((), MEMORY_MB=Inventory("MEMORY_MB", 262144, 512, 250000)))
        ),
        "gpu-01 WC324 error",
    ),
    "no-pcpu": (
        lambda: cloud(
            request=request(specs=PINNED),
            **one(conf=None, taken={}, provider_tree=tree((), PCPU=Inventory("PCPU", 0))),
        ),
        "gpu-01 WC324 error",
    ),
    "lacks-host-trait": (
        lambda: cloud(
            request=request(specs={"hw:maxphysaddr_mode": "emulate", "hw:maxphysaddr_bits": "46"})
        ),
        "gpu-01 WC325 error",
    ),
    "other-aggregate": (
        lambda: cloud(
            request=request(specs={"aggregate_instance_extra_specs:gpu": "h100"}),
            scheduler=scheduler("PciPassthroughFilter,AggregateInstanceExtraSpecsFilter"),
            **one(aggregates=(HostAggregate("a100", {"gpu": "a100"}),)),
        ),
        "gpu-01 WC326 error",
    ),
    "aggregate-of-no-filter": (
        lambda: cloud(
            request=request(specs={"aggregate_instance_extra_specs:gpu": "h100"}),
            **one(aggregates=(HostAggregate("a100", {"gpu": "a100"}),)),
        ),
        "",
    ),
    "other-zone": (lambda: cloud(request=request(zone="az2")), "gpu-01 WC326 error"),
    "filter-missing": (
        lambda: cloud(scheduler=scheduler("ComputeFilter"), hosts=(host(), plain())),
        "gpu-01 WC327 error\nplain-01 WC309 note",
    ),
    "filter-missing-placement": (
        lambda: cloud(
            True, scheduler=scheduler("ComputeFilter", True), hosts=(host(placement=True), plain())
        ),
        "plain-01 WC309 note",
    ),
    "filter-missing-alone": (lambda: cloud(scheduler=scheduler("")), ""),
    "filter-gone": (
        lambda: cloud(scheduler=scheduler("ComputeFilter,RamFilter,PciPassthroughFilter")),
        "gpu-01 WC237 error",
    ),
    "filter-misspelled": (
        lambda: cloud(
            scheduler=scheduler("ComputeFilter,PciPassThroughFilter,OurOwnFilter"),
            hosts=(host(), plain()),
        ),
        "gpu-01 WC237 error\nplain-01 WC309 note",
    ),
    "filter-of-somebody-elses": (
        lambda: cloud(
            scheduler=scheduler(
                "OurOwnFilter,PciPassthroughFilter",
                available=("nova.scheduler.filters.all_filters", "our.module.OurOwnFilter"),
            )
        ),
        "",
    ),
    "filter-of-somebody-elses-alike": (
        lambda: cloud(
            scheduler=scheduler(
                "AvailabilityZoneFilter,NumInstancesFilters,PciPassthroughFilter",
                available=(
                    "nova.scheduler.filters.all_filters",
                    "our.AvailabilityZoneFilter",
                    "our.NumInstancesFilters",
                ),
            )
        ),
        "",
    ),
    "filter-missing-by-its-words": (
        lambda: cloud(
            scheduler=None,
            refusal=said("PCI device request InstancePCIRequests(instance_uuid=5d1f) failed"),
        ),
        "gpu-01 WC327 error",
    ),
    "numa-filter-missing": (
        lambda: cloud(
            request=request(specs=ONE_NODE),
            scheduler=scheduler("ComputeFilter,PciPassthroughFilter"),
            refusal=said("Exceeded maximum number of retries. Exhausted all hosts"),
        ),
        "gpu-01 WC327 error",
    ),
    "group-not-viable": (
        lambda: cloud(
            refusal=said("Exceeded maximum number of retries."),
            **one(refused=("vfio 0000:41:00.0: group 12 is not viable",)),
        ),
        "gpu-01 WC328 error",
    ),
    "tried-and-refused": (
        lambda: cloud(refusal=said("Exceeded maximum number of retries."), **one(refused=("",))),
        "gpu-01 WC328 error",
    ),
    "filter-missing-and-tried": (
        lambda: cloud(
            True,
            scheduler=scheduler("ComputeFilter", True),
            refusal=said("Exceeded maximum number of retries."),
            **one(True, refused=("",)),
        ),
        "gpu-01 WC327 error",
    ),
    "unexplained": (
        lambda: cloud(refusal=said("No valid host was found. ")),
        "g1.h100 WC329 error",
    ),
    "unexplained-with-little-known": (
        lambda: cloud(
            api=None,
            scheduler=None,
            placement=None,
            refusal=said("No valid host was found. There are not enough hosts available."),
            hosts=(HostEvidence("gpu-01"),),
        ),
        "g1.h100 WC329 error",
    ),
    "known-bug-of-nova": (
        lambda: cloud(
            series="yoga",
            refusal=said(EMPTY_POOL),
            **one(conf=compute(name="passthrough_whitelist")),
        ),
        "g1.h100 WC329 error",
    ),
    "known-bug-that-is-fixed": (
        lambda: cloud(series="zed", refusal=said(EMPTY_POOL)),
        "gpu-01 WC318 error",
    ),
    "little-known": (
        lambda: cloud(api=None, scheduler=None, placement=None, hosts=(HostEvidence("gpu-01"),)),
        "",
    ),
    "many-hosts": (
        lambda: cloud(
            request=request("h100:2"),
            hosts=(
                host("gpu-01", taken={"0000:41:00.0": "5d1f"}),
                host("gpu-02", taken={"0000:c1:00.0": "77aa"}),
                *(
                    host(f"gpu-{number:02}", service=ComputeServiceState(False, True))
                    for number in range(3, 15)
                ),
                plain(),
            ),
        ),
        "gpu-01 WC318 error\ngpu-02 WC318 error\n"
        + "".join(f"gpu-{number:02} WC307 error\n" for number in range(3, 15))
        + "plain-01 WC309 note",
    ),
    "a-free-host-beside-a-full-one": (
        lambda: cloud(
            request=request("h100:2"),
            hosts=(host("gpu-01", taken={"0000:41:00.0": "5d1f"}), host("gpu-02")),
        ),
        "gpu-01 WC318 note",
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_names_the_cause(name: str) -> None:
    """The findings are the cause and nothing else, and the text is the golden one."""
    made, expected = CASES[name]
    answer = explain(made())
    short = [f"{each.subject} {each.rule} {each.severity.value}" for each in answer.findings]
    assert short == expected.splitlines()
    assert exit_status(answer.findings) == int("error" in expected)
    out = io.StringIO()
    console = Console(file=out, width=100, highlight=False, color_system=None)
    for block in blocks(answer):
        console.print(block, crop=False)
    text = "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("WHOLECARD_RENEW") == "1":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert golden.read_text() == text


def test_every_golden_text_has_its_case() -> None:
    """No golden text is left of a case that is gone."""
    assert {file.stem for file in GOLDEN.glob("*.txt")} == set(CASES)


def test_every_rule_fires() -> None:
    """Each rule of explain is the cause in one of the cases at least."""
    rules = {word for _, expected in CASES.values() for word in expected.split() if "WC3" in word}
    assert {f"WC{number}" for number in range(301, 330)} <= rules


BANDWIDTH = ResourceProvider(
    "gpu-01:Open vSwitch agent:br-ex", inventories=(Inventory("NET_BW_EGR_KILOBIT_PER_SEC", 1000),)
)


def test_bandwidth_below_a_host_makes_it_none_for_cards() -> None:
    """A host of which Placement has Neutron's providers alone, beside none with cards at all."""
    bare = host("plain", conf=None, facts=None, provider_tree=tree(()))
    other = host("gpu-01", conf=None, facts=None, provider_tree=tree((BANDWIDTH,)))
    answer = explain(cloud(hosts=(other, bare)))
    assert [each.for_cards for each in answer.hosts] == [True, True]


def test_bandwidth_below_a_host_leaves_the_flavors_of_its_servers() -> None:
    """Where Placement has no card of the host, its servers' flavors tell what is free."""
    guests = (Guest("5d1f", {"h100": 2}),)
    held = host(provider_tree=tree((BANDWIDTH,)), taken=None, guests=guests)
    answer = explain(cloud(hosts=(held,)))
    assert [each.rule for each in answer.findings] == ["WC318"]
