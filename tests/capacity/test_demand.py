"""What a server of a flavor takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.capacity_stock import CLASS, cards, flavor, host, split, stock
from wholecard.capacity.demand import NO_DEVICE, CardAsk, Demand, demands_of
from wholecard.nova.flavor.numa_topology import GuestCell


def demand(count: int = 1, /, **specs: str) -> Demand:
    """What the flavor takes of a cloud with H100 and slices."""
    cloud = stock(host(cards=(*cards(), split())), flavors=(flavor("g", count, **specs),))
    return demands_of(cloud)["g"]


def test_alias() -> None:
    """An alias asks for so many providers with one unit each, under the alias's own policy."""
    assert demand(2).cards == (CardAsk(frozenset({CLASS}), policy="legacy"),) * 2
    assert demand(2).amounts == {"VCPU": 16, "MEMORY_MB": 131072}


def test_flavors_policy() -> None:
    """The flavor's own NUMA policy goes before the alias's."""
    asked = demand(1, hw__pci_numa_affinity_policy="required")
    assert {ask.policy for ask in asked.cards} == {"required"}


def test_alias_of_several_products() -> None:
    """Without Placement two aliases of one name are either product."""
    second = '{"name": "h100", "vendor_id": "10de", "product_id": "2331", "device_type": "type-PF"}'
    cloud = stock(flavors=(flavor("g"),))
    both = replace(cloud, aliases=(*cloud.aliases, second))
    assert demands_of(both)["g"].cards[0].classes == {CLASS, "CUSTOM_PCI_10DE_2331"}


def test_alias_by_class_alone() -> None:
    """With Placement an alias may name a resource class and no ids."""
    alias = '{"name": "h100", "resource_class": "CUSTOM_GPU", "device_type": "type-PF"}'
    found = demands_of(replace(stock(flavors=(flavor("g"),)), aliases=(alias,)))
    assert found["g"].cards[0].classes == {"CUSTOM_GPU"}


def test_resources_of_a_slice() -> None:
    """An amount without suffix is of one provider, whose traits the flavor's may be."""
    asked = demand(0, resources__VGPU="2", trait__CUSTOM_L40S_8Q="required")
    assert asked.cards == (CardAsk(frozenset({"VGPU"}), 2, loose=True),)
    assert asked.required == {"CUSTOM_L40S_8Q"}
    assert "VGPU" not in asked.amounts


def test_groups_of_slices() -> None:
    """A numbered group's traits are the card's own, and `isolate` keeps groups apart."""
    asked = demand(0, resources1__VGPU="1", trait1__CUSTOM_L40S_8Q="required",
                   resources2__VGPU="1", group_policy="isolate")  # fmt: skip
    assert [ask.traits for ask in asked.cards] == [{"CUSTOM_L40S_8Q"}, frozenset()]
    assert asked.apart


def test_class_on_the_host() -> None:
    """A class of the host's own provider is an amount, also where cards below have the alias's."""
    assert demand(1, resources__CUSTOM_CARDS="1").amounts["CUSTOM_CARDS"] == 1


def test_pinned_cpus() -> None:
    """A pinned server asks for PCPU, and where no host has any for VCPU."""
    asked = demand(1, hw__cpu_policy="dedicated")
    assert asked.amounts == {"PCPU": 8, "MEMORY_MB": 65536}
    assert asked.second == {"VCPU": 8, "MEMORY_MB": 65536}


def test_numa_nodes_are_alike() -> None:
    """Of NUMA nodes of different size each counts as the largest, which is safe in any order."""
    asked = demand(1, hw__numa_nodes="2", **{
        "hw__numa_cpus.0": "0-5", "hw__numa_mem.0": "16384",
        "hw__numa_cpus.1": "6,7", "hw__numa_mem.1": "49152",
    })  # fmt: skip
    assert asked.guest.cells == (GuestCell(6, 0, 49152),) * 2


@pytest.mark.parametrize(
    ("specs", "why"),
    [
        ({"pci_passthrough__alias": "a100:1"}, "there is no alias 'a100'"),
        ({f"resources__{CLASS}": "1"}, NO_DEVICE),
        ({"pci_passthrough__alias": "h100:1", "hw__numa_nodes": "3"}, "nova refuses it: "
         "8 CPUs and 65536 MiB do not divide evenly over 3 NUMA nodes"),
    ],
    ids=["alias", "resources of PCI", "layout"],
)  # fmt: skip
def test_unknown(specs: dict[str, str], why: str) -> None:
    """A flavor that cannot be counted says why."""
    assert demand(0, **specs).unknown == why


@pytest.mark.parametrize(
    ("aliases", "why"),
    [((), "aliases are not known: add --conf api=PATH or --site FILE"),
     (("{",), "nova refuses the aliases: ")],
    ids=["none", "broken"],
)  # fmt: skip
def test_aliases_not_known(aliases: tuple[str, ...], why: str) -> None:
    """Without aliases no flavor that has one is counted."""
    found = demands_of(replace(stock(), aliases=aliases))
    assert all(each.unknown.startswith(why) for each in found.values())


def test_no_cards() -> None:
    """A flavor without cards is none of the answer's."""
    assert demands_of(stock(flavors=(flavor("plain", 0),))) == {}
