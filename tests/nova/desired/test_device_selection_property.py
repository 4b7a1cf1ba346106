"""For generated hosts: what is rendered gives exactly what the site means, by nova's own rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.sites import AUDIO, BMC, H100, H100_SECOND, NVME, RTX, function, host, site
from wholecard.core import UsageError
from wholecard.core.releases import RELEASES, Release
from wholecard.host.facts.host import Host
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.desired.required_options import PciConfig, required_options
from wholecard.nova.desired.scheduler_filters import default_filters
from wholecard.nova.match import (
    DeviceSysfs,
    Pools,
    Spec,
    assign,
    devices_of,
    parse_aliases,
    parse_request,
    providers_of,
    rules_for,
)
from wholecard.pci import Function, is_bmc_display
from wholecard.site.card_matching import functions_of
from wholecard.site.model import Site

SOUND = {"match": [{"vendor": "10de", "product": "22ba"}], "extra_function": True}
KINDS: list[Mapping[str, Any]] = [
    {"h100": {"match": [{"vendor": "10de", "product": "2330"}]}},
    {"any": {"match": [{"vendor": "10de"}]}},
    {"h100": {"match": [{"vendor": "10de", "product": "2330"}]}, "sound": SOUND},
    {"rtx": {"match": [{"subsystem": "10de:16c1", "product": "2684"}]}},
    {"one": {"match": [{"address": "0000:10:00.0"}]}},
    {"asus": {"match": [{"subsystem": "1043:16c1"}]},
     "own": {"match": [{"subsystem": "10de:16c1", "vendor": "10de"}]}},
    {"h100": {"match": [{"vendor": "10de", "product": "2330"},
                        {"vendor": "10de", "product": "2331"}], "select": "address"}},
]  # fmt: skip


@st.composite
def made_hosts(draw: st.DrawFn) -> Host:
    """A host of some slots: cards of few ids, with and without SR-IOV, audio and VFs; a display."""
    functions: list[Function] = []
    boot = draw(st.integers(-1, 5))
    for number in range(draw(st.integers(1, 6))):
        slot = f"0000:{0x10 + number:02x}:00"
        ids = draw(st.sampled_from([H100, H100, H100_SECOND, RTX, RTX, BMC, NVME]))
        display = "010802" if ids == NVME else draw(st.sampled_from(["030000", "030200"]))
        sriov = draw(st.sampled_from([0, 0, 16]))
        maker = draw(st.sampled_from(["10de", "10de", "1043"]))
        functions.append(
            function(f"{slot}.0", ids, display, sriov, boot_vga=number == boot and ids != NVME,
                     subsystem_vendor=maker)
        )  # fmt: skip
        if draw(st.booleans()):
            functions.append(function(f"{slot}.1", AUDIO, "040300", subsystem_vendor=maker))
        if sriov and draw(st.integers(0, 3)) == 0:
            parent = functions[-1].address.parse(f"{slot}.0")
            functions.append(function(f"{slot}.4", "10de:2342", display, physfn=parent))
    return host(functions)


def wished(of: Site, name: str, facts: Host) -> dict[str, set[str]]:
    """The addresses that each kind means there, without what is the host's own. Said once more."""
    meant: dict[str, set[str]] = {}
    for kind, each in of.cards.items():
        meant[kind] = set()
        for one in functions_of(each, name, facts):
            slot = [
                other
                for other in facts.functions
                if other.address.slot_key == one.address.slot_key and other.physfn is None
            ]
            if not is_bmc_display(one) and not any(other.boot_vga for other in slot):
                meant[kind].add(str(one.address))
    return meant


@settings(max_examples=250, deadline=None)
@given(
    facts=st.lists(made_hosts(), min_size=1, max_size=2),
    cards=st.sampled_from(KINDS),
    of=st.sampled_from(RELEASES),
)
def test_just_the_wished_functions_are_given(
    facts: list[Host], cards: Mapping[str, Any], of: Release
) -> None:
    """nova of that release takes every value, gives what the site means and nothing else.

    A server that asks for all cards of a kind on a host gets them; one more is refused.
    """
    named = dict(zip(("a", "b"), facts, strict=False))
    wish = site(cards, hosts={name: {"facts": f"{name}.json"} for name in named})
    try:
        configs = pci_configs(wish, named, of)
    except UsageError:
        return
    for name, config in configs.items():
        check_host(wish, name, named[name], config, of)


def values(config: PciConfig, of: Release, name: str) -> list[str]:
    """The option's values as nova-compute reads them; its aliases since Newton, else the api's."""
    role = required_options("compute", config, default_filters(of.nova), of)
    api = required_options("api", config, (), of)
    return [
        v
        for need in (role if name == "device_spec" else api)
        if need.option.name == name
        for v in need.values
    ]


def check_host(wish: Site, name: str, facts: Host, config: PciConfig, of: Release) -> None:
    """The host's specs against its devices, and each alias against what they give."""
    rules = rules_for(
        of.nova,
        report_in_placement=config.report_in_placement,
        pci_in_placement=config.pci_in_placement,
    )
    devices = devices_of(facts.functions)
    sysfs = DeviceSysfs(devices)
    specs = [
        spec
        for text in values(config, of, "device_spec")
        for spec in Spec.parse(text, rules, sysfs)
    ]
    meant = wished(wish, name, facts)
    free = [device for device in devices if assign(device, specs)]
    assert {device.address for device in free} == set().union(*meant.values())
    providers = providers_of(name, devices, specs, rules)
    assert len(providers) == (len(free) if config.report_in_placement else 0)
    aliases = parse_aliases(values(config, of, "alias"), rules)
    assert set(aliases) == set(wish.cards)
    if config.pci_in_placement:
        # Placement chooses by class; without its answer the pools cannot be asked.
        for kind, addresses in meant.items():
            classes = {
                one.resource_class for one in providers if one.devices[0].address in addresses
            }
            assert len(classes) <= 1
            others = {
                one.resource_class for one in providers if one.devices[0].address not in addresses
            }
            assert not classes & others, kind
        return
    pools = Pools.of(free, specs, rules)
    for kind, addresses in meant.items():
        if addresses:
            assert pools.supports(parse_request(f"{kind}:{len(addresses)}", aliases))
        assert not pools.supports(parse_request(f"{kind}:{len(addresses) + 1}", aliases))
