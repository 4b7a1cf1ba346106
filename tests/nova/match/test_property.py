"""What holds for any input: only our own errors, and no loss by more devices."""

from __future__ import annotations

import json
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from support.match_hosts import ALL, CARD, EXAMPLES, FAR_CARD, PLAIN, SYSFS
from wholecard.nova.match import (
    AliasError,
    Device,
    HostCell,
    PciRequest,
    Pools,
    RequestError,
    Spec,
    SpecError,
    parse_aliases,
    parse_request,
    rules_for,
)

rules = st.builds(
    rules_for,
    st.integers(13, 34),
    report_in_placement=st.booleans(),
    pci_in_placement=st.booleans(),
)
words = st.sampled_from(
    ["10de", "2331", "*", "0000:41:00.0", "0000:81:00.0", "*:4?:", "true", "no", "eth0", "type-PF",
     "", "(a+)+", "[0-2]", "socket", "gpu", "pci", "0x10de", "-1", "¹", "gpu:1"]
) | st.text(max_size=8)  # fmt: skip
keys = st.sampled_from(
    ["vendor_id", "product_id", "address", "devname", "managed", "live_migratable", "one_time_use",
     "remote_managed", "traits", "resource_class", "name", "device_type", "numa_policy", "domain",
     "bus", "slot", "function", "count", "devices", "numa_node", "capability_type"]
) | st.text(max_size=6)  # fmt: skip
scalars = words | st.none() | st.booleans() | st.integers() | st.floats()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=12,
)
objects = st.dictionaries(keys, scalars | st.dictionaries(keys, scalars, max_size=4), max_size=6)
texts = st.text() | values.map(json.dumps) | objects.map(json.dumps)


@settings(max_examples=EXAMPLES)
@given(texts, rules)
def test_spec_of_anything(text: str, release: object) -> None:
    """A text makes specs or a SpecError, and what was made matches or does not."""
    assert isinstance(release, type(rules_for(34)))
    with suppress(SpecError):
        for found in Spec.parse(text, release, SYSFS):
            for device in ALL:
                assert found.match(device) is (found.why_not(device) is None)


@settings(max_examples=EXAMPLES)
@given(st.lists(texts, max_size=3), rules, st.text() | words)
def test_aliases_of_anything(given_texts: list[str], release: object, request: str) -> None:
    """Texts make aliases or an AliasError, and a text makes requests of them or a RequestError."""
    assert isinstance(release, type(rules_for(34)))
    with suppress(AliasError, RequestError):
        parse_request(request, parse_aliases(given_texts, release))


devices = st.builds(
    Device,
    st.integers(0, 63).map(lambda at: f"0000:{at:02x}:00.0"),
    st.just("10de"),
    st.sampled_from(["2331", "2204"]),
    st.sampled_from(["type-PCI", "type-PF"]),
    numa_node=st.sampled_from([None, 0, 1]),
)
requests = st.builds(
    lambda product, count, policy: PciRequest(
        "gpu",
        count,
        ({"vendor_id": "10de", "product_id": product, "dev_type": "type-PF"},),
        policy,
        "r0",
    ),
    st.sampled_from(["2331", "2204"]),
    st.integers(1, 4),
    st.sampled_from(["legacy", "preferred", "required", "socket"]),
)


@settings(max_examples=EXAMPLES)
@given(
    st.lists(devices, max_size=8, unique_by=lambda each: each.address),
    devices,
    requests,
    st.sampled_from([(), (0,), (0, 1)]),
    st.integers(13, 34),
)
def test_more_devices_never_hurt(
    host: list[Device], more: Device, request: PciRequest, cells: tuple[int, ...], major: int
) -> None:
    """A host that can meet a request can meet it with one device more, whichever that is."""
    release = rules_for(major)
    every = Spec.parse("{}", release, SYSFS)
    sockets = (HostCell(0, 0), HostCell(1, 1))

    def fits(with_devices: list[Device]) -> bool:
        pools = Pools.of(with_devices, every, release, host_cells=sockets)
        return bool(pools.supports((request,), cells))

    if fits(host):
        assert fits([*host, more])


def test_order_does_not_touch_one_request() -> None:
    """Of one request the order in which devices are listed decides nothing."""
    release = rules_for(34)
    every = Spec.parse("{}", release, SYSFS)
    wish = PciRequest("gpu", 2, ({"vendor_id": "10de", "dev_type": "type-PF"},), "legacy", "r0")
    for order in ((CARD, FAR_CARD, PLAIN), (PLAIN, FAR_CARD, CARD)):
        assert Pools.of(order, every, release).supports((wish,))
