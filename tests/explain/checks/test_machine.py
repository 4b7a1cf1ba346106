"""The host as a machine and its aggregates: what nova asks Placement for, whom it keeps out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from support.nova_conf import conf
from support.placement import provider, tree
from support.small_cloud import ALIAS, FILTERS, cloud, compute, host, request, scheduler
from wholecard.cloud.placement.provider_tree import Inventory, ProviderTree, ResourceProvider
from wholecard.explain.check_result import first_failed
from wholecard.explain.checks.aggregates import matches
from wholecard.explain.evidence.evidence import (
    CandidatesQuery,
    Evidence,
    HostAggregate,
    HostEvidence,
)
from wholecard.explain.explain import explain
from wholecard.nova.conf.service_conf import NovaConf

BY_KEYS = f"{FILTERS},AggregateInstanceExtraSpecsFilter"
GPU = "aggregate_instance_extra_specs:gpu"
PINNED = {"hw:cpu_policy": "dedicated"}
OLD_PINS = {"DEFAULT": {"vcpu_pin_set": "0-31"}}
PGPU = ResourceProvider(
    "pgpu", inventories=(Inventory("VGPU", 4),), traits=frozenset({"CUSTOM_A40"})
)
NEW_PINS = {"compute": {"cpu_dedicated_set": "0-15"}}


def outcome(evidence: Evidence) -> str:
    """The rule of the failure, the names of the only host's unknown checks, or yes."""
    explanation = explain(evidence)
    failure = first_failed(explanation.checks)
    if failure is None:
        (host,) = explanation.hosts
        failure = host.failed
    if failure:
        return failure.rule
    return " ".join(result.name for result in host.unknown) or "yes"


def says(evidence: Evidence) -> dict[str, str]:
    """What each check of the only host says."""
    return {result.name: result.says for result in explain(evidence).hosts[0].checks}


def without(resource: str, found: ProviderTree) -> ProviderTree:
    """A tree whose host has nothing of that class."""
    inventories = tuple(
        each for each in found.root.inventories or () if each.resource_class != resource
    )
    return replace(found, root=replace(found.root, inventories=inventories))


def asks(
    specs: Mapping[str, str],
    there: ProviderTree | None = None,
    pins: Mapping[str, Any] = NEW_PINS,
    series: str = "2026.2",
    **fields: Any,
) -> Evidence:
    """A flavor with these words, on a host of which Placement has this."""
    name = "device_spec" if series == "2026.2" else "passthrough_whitelist"
    mine = host(conf=compute(name=name, **pins), provider_tree=there or tree(()))
    return cloud(series=series, hosts=(mine,), request=request(specs=dict(specs)), **fields)


FEW = tree((), PCPU=Inventory("PCPU", 8, 0, 0, 1.0, 8))
NO_PCPU = without("PCPU", tree(()))
MACHINES = {
    "custom-missing": (asks({"resources:CUSTOM_NVME": "1"}), "WC324"),
    "custom-of-the-host": (
        asks({"resources:CUSTOM_NVME": "1"}, tree((), CUSTOM_NVME=Inventory("CUSTOM_NVME", 1))),
        "yes",
    ),
    "vgpu-missing": (asks({"resources:VGPU": "1"}), "WC324"),
    "vgpu-below-the-host": (
        asks(
            {"resources:VGPU": "1", "trait:CUSTOM_A40": "required"},
            tree(
                (
                    ResourceProvider(
                        "pgpu",
                        inventories=(Inventory("VGPU", 4),),
                        traits=frozenset({"CUSTOM_A40"}),
                    ),
                )
            ),
        ),
        "yes",
    ),
    "trait-of-who-gives-nothing": (
        asks(
            {"trait:CUSTOM_A40": "required"},
            tree(
                (
                    ResourceProvider(
                        "pgpu",
                        inventories=(Inventory("VGPU", 4),),
                        traits=frozenset({"CUSTOM_A40"}),
                    ),
                )
            ),
        ),
        "WC325",
    ),
    "groups": (asks({"resources1:CUSTOM_X": "1"}), "machine"),
    "isolated-threads": (
        asks({**PINNED, "hw:cpu_thread_policy": "isolate"}, tree((), ["HW_CPU_HYPERTHREADING"])),
        "WC325",
    ),
    "threads-required": (asks({**PINNED, "hw:cpu_thread_policy": "require"}), "WC325"),
    "threads-there": (
        asks({**PINNED, "hw:cpu_thread_policy": "require"}, tree((), ["HW_CPU_HYPERTHREADING"])),
        "yes",
    ),
    "all-pcpus": (asks(PINNED, FEW), "yes"),
    "one-pcpu-more": (asks({**PINNED, "hw:emulator_threads_policy": "isolate"}, FEW), "WC324"),
    "tpm-missing": (asks({"hw:tpm_version": "2.0"}), "WC325"),
    "tpm-there": (
        asks(
            {"hw:tpm_version": "2.0"},
            tree(
                (),
                [
                    "COMPUTE_SECURITY_TPM_2_0",
                    "COMPUTE_SECURITY_TPM_TIS",
                    "COMPUTE_SECURITY_TPM_SECRET_SECURITY_USER",
                ],
            ),
        ),
        "yes",
    ),
    "tpm-of-no-version": (asks({"hw:tpm_version": "3.0"}), "WC302"),
    "secure-boot": (asks({"os:secure_boot": "required"}), "WC325"),
    "encrypted-memory": (asks({"hw:mem_encryption": "true"}), "WC324"),
    "old-pins": (asks(PINNED, NO_PCPU, OLD_PINS), "yes"),
    "old-pins-and-too-little": (asks(PINNED, without("VCPU", NO_PCPU), OLD_PINS), "WC324"),
    "old-pins-asked-once": (
        asks(
            PINNED,
            NO_PCPU,
            OLD_PINS,
            scheduler=conf(
                "scheduler.conf",
                filter_scheduler={"enabled_filters": FILTERS},
                workarounds={"disable_fallback_pcpu_query": "true"},
            ),
        ),
        "WC324",
    ),
    "old-pins-by-an-unknown-scheduler": (
        asks(PINNED, NO_PCPU, OLD_PINS, scheduler=None),
        "machine filters",
    ),
    "pcpu-by-its-name": (asks({"resources:PCPU": "8"}, NO_PCPU, OLD_PINS), "WC324"),
    "before-pcpu": (asks(PINNED, NO_PCPU, OLD_PINS, "stein"), "yes"),
}


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_machine(name: str) -> None:
    """The host is judged by all that nova asks Placement for, not by sizes alone."""
    evidence, expected = MACHINES[name]
    assert outcome(evidence) == expected


def test_groups_that_placement_answered() -> None:
    """A candidate for the whole question is one for the flavor's groups."""
    evidence = asks({"resources1:CUSTOM_X": "1"})
    mine = replace(evidence.hosts[0], queries=(CandidatesQuery("groups", "GET ...", True),))
    assert outcome(replace(evidence, hosts=(mine,))) == "yes"
    isolated = request(specs={"resources1:CUSTOM_X": "1", "group_policy": "isolate"})
    assert outcome(replace(evidence, request=isolated, hosts=(mine,))) == "machine"


def test_vcpu_instead_of_pcpu_is_shown() -> None:
    """Where a host without PCPU takes a pinned guest, VCPU is what it takes."""
    assert says(MACHINES["old-pins"][0])["machine"].startswith("VCPU 8")


def isolating(on: str = "true") -> NovaConf:
    """A scheduler that looks at aggregates' traits, or not."""
    return conf("scheduler.conf", filter_scheduler={"enabled_filters": FILTERS},
                scheduler={"enable_isolated_aggregate_filtering": on})  # fmt: skip


def within(*metadata: Mapping[str, str]) -> tuple[HostEvidence, ...]:
    """The host in aggregates with this metadata; in none without."""
    return (
        host(aggregates=tuple(HostAggregate(f"a{at}", each) for at, each in enumerate(metadata))),
    )


KEPT = {"trait:CUSTOM_GPU": "required"}
CARD_TRAIT = ALIAS.replace("}", ', "traits": "CUSTOM_GPU"}')


def keyed(specs: Mapping[str, str], *metadata: Mapping[str, str], **fields: Any) -> Evidence:
    """A flavor with keys for aggregates, and a scheduler that reads them."""
    given = {"scheduler": scheduler(BY_KEYS), **fields}
    return cloud(request=request(specs=dict(specs)), hosts=within(*metadata), **given)


AGGREGATES = {
    "one-of-a-list": (keyed({GPU: "h100"}, {"gpu": "a100, h100"}), "yes"),
    "of-two-aggregates": (keyed({GPU: "h100"}, {"gpu": "a100"}, {"gpu": "h100"}), "yes"),
    "key-without-scope": (keyed({"gpu": "h100"}), "WC326"),
    "key-of-another-scope": (keyed({"mine:gpu": "h100"}), "yes"),
    "operator": (keyed({GPU: "s== a100"}, {"gpu": "h100"}), "WC326"),
    "operator-that-holds": (keyed({GPU: "<or> a100 <or> h100"}, {"gpu": "h100"}), "yes"),
    "filter-not-enabled": (keyed({GPU: "h100"}, scheduler=scheduler(FILTERS)), "yes"),
    "scheduler-not-known": (keyed({GPU: "h100"}, scheduler=None), "zone filters"),
    "scheduler-not-known-no-scope": (keyed({"gpu": "h100"}, scheduler=None), "filters"),
    "aggregates-not-known": (
        cloud(scheduler=scheduler(BY_KEYS), request=request(specs={GPU: "h100"})), "zone"),
    "kept": (cloud(scheduler=isolating(), hosts=within(KEPT)), "WC326"),
    "kept-in-the-right-zone": (
        cloud(scheduler=isolating(), hosts=within(KEPT), request=request(zone="nova")), "WC326"),
    "not-kept": (cloud(scheduler=isolating("false"), hosts=within(KEPT)), "yes"),
    "kept-by-an-unknown-scheduler": (cloud(scheduler=None, hosts=within(KEPT)), "zone filters"),
    "kept-for-the-flavor": (
        cloud(scheduler=isolating(), request=request(specs=KEPT), hosts=(
            replace(within(KEPT)[0], provider_tree=tree((), ["CUSTOM_GPU"])),)), "yes"),
    "kept-for-the-image": (
        cloud(scheduler=isolating(), request=request(properties=KEPT), hosts=(
            replace(within(KEPT)[0], provider_tree=tree((), ["CUSTOM_GPU"])),)), "yes"),
    "kept-for-two": (
        cloud(scheduler=isolating(), request=request(specs=KEPT), hosts=(
            replace(within({**KEPT, "trait:CUSTOM_B": "required"})[0],
                    provider_tree=tree((), ["CUSTOM_GPU"])),)), "WC326"),
    "kept-for-the-cards": (
        cloud(True, scheduler=isolating(), api=conf(
            "api.conf", pci={"alias": CARD_TRAIT}, filter_scheduler={"pci_in_placement": "true"}),
            hosts=(replace(
                within(KEPT)[0], conf=compute(alias=CARD_TRAIT, report=True),
                provider_tree=tree((provider("0000:41:00.0", traits=["CUSTOM_GPU"]),))),)), "yes"),
    "forbidden-traits-keep-nobody-out": (
        cloud(scheduler=isolating(), hosts=within({"trait:CUSTOM_GPU": "forbidden"})), "yes"),
    "before-it-was-there": (
        cloud(series="stein", scheduler=isolating(), hosts=(
            replace(within(KEPT)[0], conf=compute(name="passthrough_whitelist")),)), "yes"),
    "isolating-aggregates-not-known": (cloud(scheduler=isolating()), "zone"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(AGGREGATES))
def test_aggregates(name: str) -> None:
    """The host's aggregates let in what nova's filter and its request filter let in."""
    evidence, expected = AGGREGATES[name]
    assert outcome(evidence) == expected


@pytest.mark.parametrize("wish", ["<or>", ">=", "s==", "<all-in>", "= x", "== 1 2x"])
def test_a_wish_that_nova_stumbles_over(wish: str) -> None:
    """What is no number, or has no word after its operator, nothing fulfils."""
    assert not matches("x", wish)
