"""What holds of any evidence: `explain` agrees with nova's matching, and it always answers."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from support.nova_conf import conf
from support.placement import provider, tree
from support.small_cloud import api, card, cloud, compute, facts, host, request
from wholecard.cloud.placement.provider_tree import Inventory
from wholecard.core.releases import RELEASES
from wholecard.explain.evidence.evidence import (
    CandidatesQuery,
    ComputeServiceState,
    Evidence,
    Refusal,
)
from wholecard.explain.explain import explain
from wholecard.nova.conf.conf_file import ConfFile
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.match import (
    DeviceSysfs,
    HostCell,
    Pools,
    Spec,
    devices_of,
    parse_aliases,
    parse_request,
    rules_for,
)

IDS = (("10de", "2330"), ("10de", "2331"), ("2330", "10de"))
TYPES = (None, "type-PCI", "type-PF")
POLICIES = (None, "required", "preferred", "legacy", "socket")
NODES = (0, 1)

cards = st.lists(
    st.tuples(st.sampled_from((0, 1, None)), st.sampled_from(IDS), st.sampled_from((0, 16))),
    max_size=5,
).map(
    lambda found: [
        card(f"0000:{0x40 + number:02x}:00.0", node, ids, sriov)
        for number, (node, ids, sriov) in enumerate(found)
    ]
)
specs = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "vendor_id": st.sampled_from(("10de", "2330", "*")),
            "product_id": st.sampled_from(("2330", "2331", "*")),
            "address": st.sampled_from(("0000:40:00.0", "*:41:*.*", ":42:", "*:*:*.*")),
        },
    ).map(json.dumps),
    max_size=3,
)


@st.composite
def aliases(draw: st.DrawFn) -> str:
    """An alias of an H100, or of what looks like one."""
    vendor, product = draw(st.sampled_from(IDS))
    value = {"name": "h100", "vendor_id": vendor, "product_id": product}
    dev_type = draw(st.sampled_from(TYPES))
    policy = draw(st.sampled_from(POLICIES))
    value |= {"device_type": dev_type} if dev_type else {}
    value |= {"numa_policy": policy} if policy else {}
    return json.dumps(value)


@given(
    functions=cards,
    lines=specs,
    alias=aliases(),
    count=st.integers(1, 4),
    nodes=st.integers(0, 2),
    taken=st.sets(st.integers(0, 4)),
    series=st.sampled_from(("wallaby", "2023.1", "2025.2", "2026.2")),
)
@settings(max_examples=200, deadline=None)
def test_agrees_with_the_matching(functions, lines, alias, count, nodes, taken, series) -> None:  # type: ignore[no-untyped-def]
    """With all known and no Placement, a host would take the server exactly where nova's pools
    support the request on some seat of the guest's nodes.
    """
    held = {f"0000:{0x40 + number:02x}:00.0": "5d1f" for number in taken}
    flavor = request(f"h100:{count}", specs={"hw:numa_nodes": str(nodes)} if nodes else {})
    name = "passthrough_whitelist" if series == "wallaby" else "device_spec"
    mine = host(conf=compute(lines, alias, name=name), facts=facts(functions), taken=held)
    evidence = cloud(series=series, request=flavor, hosts=(mine,), api=api(alias))
    major = evidence.release.nova
    rules = rules_for(major)
    devices = devices_of(functions)
    sysfs = DeviceSysfs(devices)
    given_by = [spec for text in lines for spec in Spec.parse(text, rules, sysfs)]
    free = [device for device in devices if device.address not in held]
    pools = Pools.of(free, given_by, rules, host_cells=[HostCell(node, node) for node in NODES])
    asked = parse_request(f"h100:{count}", parse_aliases([alias], rules))
    seats = itertools.combinations(NODES, nodes)
    supported = any(pools.supports(asked, seat) for seat in seats)
    answer = explain(evidence).hosts[0]
    assert (answer.answer == "yes") == supported, answer
    assert answer.answer in ("yes", "no")


words = st.one_of(
    st.text(max_size=12),
    st.sampled_from(("h100", "10de", "2330", "type-PF", "required", "1", "0", "large", "2MB", "-1",
                     "dedicated", "mixed", "0-3", "^0", "4294967296", "true", "h100:1", "h100:²")),
)  # fmt: skip
values = st.recursive(
    st.one_of(words, st.integers(), st.none(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(words, inner, max_size=3)),
    max_leaves=4,
)
lines_of_conf = st.one_of(
    st.tuples(
        st.sampled_from(("device_spec", "alias", "passthrough_whitelist", "report_in_placement",
                         "pci_in_placement", "enabled_filters", "cpu_dedicated_set", "pci_alias",
                         "optimize_for_wide_provider_trees")),
        st.one_of(values.map(json.dumps), words),
    ).map(" = ".join),
    st.sampled_from(("[pci]", "[filter_scheduler]", "[DEFAULT]", "[compute]", "[workarounds]")),
    st.text(max_size=20),
)  # fmt: skip
confs = st.one_of(
    st.none(),
    st.lists(lines_of_conf, max_size=8).map(
        lambda lines: NovaConf(
            (ConfFile.parse("\n".join(lines).encode("utf-8", "surrogatepass"), "x.conf"),)
        )
    ),
)
extra_specs = st.dictionaries(
    st.sampled_from(("pci_passthrough:alias", "hw:numa_nodes", "hw:mem_page_size", "hw:cpu_policy",
                     "hw:pci_numa_affinity_policy", "hw:cpu_dedicated_mask", "hw:numa_cpus.0",
                     "hw:numa_mem.0", "trait:X", "resources:VCPU", "resources1:PCPU", "x",
                     "hw:tpm_version", "hw:cpu_thread_policy", "hw:mem_encryption", "group_policy",
                     "hw:emulator_threads_policy", "hw:cpu_realtime", "hw:pmem",
                     "aggregate_instance_extra_specs:x")),
    words,
    max_size=5,
)  # fmt: skip
inventories = st.builds(
    Inventory,
    st.sampled_from(("VCPU", "MEMORY_MB", "CUSTOM_PCI_10DE_2330", "X")),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 9),
)


@st.composite
def odd_hosts(draw: st.DrawFn):  # type: ignore[no-untyped-def]
    """A host of which much is missing, and the rest is odd."""
    cards_there = draw(st.one_of(st.none(), cards))
    below = [
        replace(provider(f"0000:{0x40 + number:02x}:00.0"), inventories=(draw(inventories),))
        for number in range(draw(st.integers(0, 2)))
    ]
    queries = st.builds(
        CandidatesQuery,
        st.sampled_from(("machine", "traits", "class", "card traits", "count", "groups")),
        words,
        st.sampled_from((True, False, None)),
    )
    cpus = draw(st.sampled_from(((), ((0, "0-3"),), ((0, "0-3"), (3, "")), ((0, "x"),))))
    return host(
        conf=draw(confs),
        facts=None if cards_there is None else facts(cards_there, cpus=cpus),
        service=draw(
            st.one_of(st.none(), st.builds(ComputeServiceState, st.booleans(), st.booleans()))
        ),
        provider_tree=draw(st.one_of(st.none(), st.just(tree(below)))),
        taken=draw(st.one_of(st.none(), st.dictionaries(words, words, max_size=2))),
        zones=draw(st.one_of(st.none(), st.tuples(words))),
        queries=tuple(draw(st.lists(queries, max_size=2))),
        refused=tuple(draw(st.lists(words, max_size=1))),
    )


@st.composite
def odd_evidence(draw: st.DrawFn) -> Evidence:
    """Anything."""
    asked = request(
        draw(st.one_of(words, st.just("h100:1"), st.just("h100:2,other:1"))),
        specs=draw(extra_specs),
        properties={f"hw_{key[3:]}": value for key, value in draw(extra_specs).items()},
        vcpus=draw(st.one_of(st.none(), st.integers(0, 9))),
        ram_mb=draw(st.one_of(st.none(), st.integers(0, 9000))),
        zone=draw(st.one_of(st.none(), words)),
        operation=draw(st.sampled_from(("create", "resize"))),
    )
    refusals = st.builds(Refusal, st.one_of(words, st.just("No valid host was found. ")), words)
    return replace(
        cloud(),
        request=asked,
        hosts=tuple(draw(st.lists(odd_hosts(), max_size=2))),
        release=draw(st.sampled_from(RELEASES)),
        api=draw(st.one_of(confs, st.just(api()), st.just(api(placement=True)))),
        scheduler=draw(confs),
        placement=draw(st.one_of(confs, st.just(conf("placement.conf")))),
        refusal=draw(st.one_of(st.none(), refusals)),
    )


@given(odd_evidence())
@settings(max_examples=150, deadline=2000)
def test_always_answers(evidence: Evidence) -> None:
    """Whatever is known, there is an answer; a failure has a rule, a host one at most."""
    answer = explain(evidence)
    json.dumps(answer.to_json())
    assert answer.answer
    for results in (answer.checks, *(each.checks for each in answer.hosts)):
        states = [result.state for result in results]
        assert states.count("failed") <= 1
        if "failed" in states:
            assert set(states[states.index("failed") + 1 :]) <= {"not run"}
        assert all(result.rule for result in results if result.state == "failed")
