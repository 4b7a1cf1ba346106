"""Why a flavor with mediated devices finds no host: by files, by facts, by Placement."""

from __future__ import annotations

from typing import Any

import pytest

from support.lint_hosts import hosts
from support.nova_conf import conf
from support.placement import tree
from support.small_cloud import cloud, host, request
from wholecard.cloud.placement.provider_tree import Inventory, ResourceProvider
from wholecard.explain.evidence.evidence import HostEvidence
from wholecard.explain.explain import Explanation, explain
from wholecard.nova.conf.service_conf import NovaConf

ONE = {"resources:VGPU": "1"}
A, B = "0000:84:00.0", "0000:85:00.0"


def compute(types: str = "nvidia-35", **sections: dict[str, str]) -> NovaConf:
    devices = {"devices": {"enabled_mdev_types": types}} if types else {}
    named = {f"mdev_{name.replace('_', '-')}": values for name, values in sections.items()}
    return conf("compute.conf", **devices, **named)


def parent(name: str, used: int = 0, total: int = 8, of: str = "VGPU") -> ResourceProvider:
    return ResourceProvider(
        f"gpu-01_pci_{name}", inventories=(Inventory(of, total, 0, used),), consumers=("s1",)
    )


def asked(specs: dict[str, str], **fields: Any) -> Explanation:
    """The explanation for one host, of which Placement has two parents unless told otherwise."""
    given: dict[str, Any] = {
        "conf": compute(), "facts": hosts()["vgpu-01"],
        "provider_tree": tree((parent("0000_84_00_0"), parent("0000_85_00_0"))),
    }  # fmt: skip
    one: HostEvidence = host(**{**given, **fields})
    return explain(cloud(request=request("", specs=specs), hosts=(one,), api=None))


def rule(specs: dict[str, str], **fields: Any) -> str:
    failed = asked(specs, **fields).hosts[0].failed
    return f"{failed.name}: {failed.rule}" if failed else "yes"


@pytest.mark.parametrize(
    ("specs", "fields", "expected"),
    [
        (ONE, {}, "yes"),
        (ONE, {"conf": compute("")}, "types: WC351"),
        (ONE, {"conf": compute("nvidia-35, nvidia-36",
                               nvidia_35={"device_addresses": A},
                               nvidia_36={"device_addresses": A})}, "types: WC351"),
        ({"resources:CUSTOM_B": "1"}, {}, "types: WC353"),
        (ONE, {"conf": compute(nvidia_35={"mdev_class": "CUSTOM_B"})}, "types: WC353"),
        ({"resources:CUSTOM_B": "1"},
         {"conf": compute(nvidia_35={"mdev_class": "CUSTOM_B", "device_addresses": A}),
          "provider_tree": tree((parent("0000_84_00_0", of="CUSTOM_B"),))}, "yes"),
        (ONE, {"conf": compute("nvidia-99")}, "parents: WC352"),
        (ONE, {"conf": compute(nvidia_35={"max_instances": "1"})}, "parents: WC352"),
        ({"resources:VGPU": "9"}, {}, "parents: WC356"),
        (ONE, {"provider_tree": tree(())}, "providers: WC353"),
        (ONE, {"provider_tree": tree((parent("0000_84_00_0", used=8),))}, "inventory: WC355"),
        ({"resources:VGPU": "5"},
         {"provider_tree": tree((parent("a", used=4), parent("b", used=4)))}, "inventory: WC356"),
        ({"resources1:VGPU": "4", "resources2:VGPU": "4", "group_policy": "isolate"},
         {"provider_tree": tree((parent("a", used=4), parent("b", used=4)))}, "yes"),
        ({**ONE, "trait:CUSTOM_X": "required"}, {}, "machine: WC325"),
    ],
)  # fmt: skip
def test_the_cause(specs: dict[str, str], fields: dict[str, Any], expected: str) -> None:
    """Each cause has its rule, and the first one that is in the way is named."""
    assert rule(specs, **fields) == expected


def test_the_server_that_has_them_is_named() -> None:
    """A full parent names its consumers."""
    full = asked(ONE, provider_tree=tree((parent("0000_84_00_0", used=8),)))
    assert "8 of 8 VGPU on gpu-01 are allocated by s1" in full.findings[0].message


def test_without_files_placement_tells() -> None:
    """With the cloud alone the host's files are not known, and Placement decides."""
    assert rule(ONE, conf=None, facts=None) == "yes"
    assert rule(ONE, conf=None, facts=None, provider_tree=tree(())) == ("providers: WC353")
    missing = asked(ONE, provider_tree=None, service=None, facts=None)
    assert {"providers", "inventory", "parents"} <= set(missing.hosts[0].unknown_names)


def test_hosts_without_types_are_beside() -> None:
    """A host that enables no type is a note beside one that does and is full."""
    full = host("gpu-01", conf=compute(), provider_tree=tree((parent("a", used=8),)))
    none = host("gpu-02", conf=compute(""))
    found = explain(cloud(request=request("", specs=ONE), hosts=(full, none), api=None)).findings
    assert [(one.rule, one.severity.value) for one in found] == [
        ("WC355", "error"), ("WC351", "note"),
    ]  # fmt: skip


def test_an_alias_is_explained_as_before() -> None:
    """A flavor with an alias is about cards, whatever else it asks for."""
    both = explain(cloud(request=request(specs=ONE)))
    assert "device_spec" in {result.name for result in both.hosts[0].checks}
