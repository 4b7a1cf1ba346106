"""What each deployment tool is given: golden files, read back as the tool itself reads them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.golden import compare
from support.sites import FACTS, RTX, eight, function, host, own, site
from wholecard.core import UsageError
from wholecard.core.releases import RELEASES, Release, release
from wholecard.nova.conf.oslo_values import read_values
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.render.layouts import LAYOUTS, layout
from wholecard.nova.render.layouts.cloud import Cloud, cloud_of
from wholecard.nova.render.managed_files import OURS

GOLDEN = Path(__file__).parents[2] / "golden"
BY_ADDRESS = {"h100": {"match": [{"vendor": "10de", "product": "2330"}], "select": "address"}}
# gpu-03 has one card beside its boot display; the two others are alike.
THREE = {
    **FACTS,
    "gpu-03": host([*own(), function("0000:41:00.0", "10de:2330", sriov=16),
                    function("0000:42:00.0", RTX, boot_vga=True)]),
}  # fmt: skip


def cloud(tool: str, of: Release, known: bool = False, **more: Any) -> Cloud:
    """The cloud of two hosts as the tool of that name is given it."""
    chosen = layout(tool)
    facts = more.pop("facts", FACTS)
    hosts = {name: {"facts": f"{name}.json"} for name in facts}
    wish = chosen.fitted(site(more.pop("cards", None), hosts=hosts, **more))
    return cloud_of(pci_configs(wish, facts, of), of, chosen.filters(of), filters_known=known)


CASES = [
    ("drop-in", "2026.2", {}),
    ("kolla", "2025.1", {}),
    ("kolla", "rocky", {}),
    ("openstack-ansible", "2025.1", {"cards": BY_ADDRESS}),
    ("openstack-ansible", "xena", {"cards": BY_ADDRESS, "known": True}),
    ("charms", "2024.1", {}),
    ("rhoso", "2023.1", {}),
    ("rhoso", "2023.1", {"cards": BY_ADDRESS, "facts": THREE, "known": True}),
]


@pytest.mark.parametrize(("tool", "series", "more"), CASES)
def test_files(tool: str, series: str, more: dict[str, Any]) -> None:
    """Every file of the layout, word for word."""
    of = release(series)
    files = layout(tool).files(cloud(tool, of, **more))
    whole = "\n".join(f"==> {path} <==\n{text}" for path, text in files.items())
    apart = "-hosts" if "facts" in more else ""
    compare(f"{tool}-{series}{apart}.txt", whole, GOLDEN)


@pytest.mark.parametrize("tool", LAYOUTS)
@pytest.mark.parametrize("of", RELEASES, ids=str)
def test_every_release_can_be_written(tool: str, of: Release) -> None:
    """In every release each layout's files begin with our words, which make them ours."""
    files = layout(tool).files(cloud(tool, of, known=True))
    assert files
    assert all(text.startswith(OURS) for text in files.values())


def merged(files: list[str]) -> dict[tuple[str, str], list[str]]:
    """What Kolla-Ansible's merge_configs makes of texts: a later one's key replaces it whole."""
    values: dict[tuple[str, str], list[str]] = {}
    for text in files:
        section, new = "", dict[tuple[str, str], list[str]]()
        for line in text.splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif line and not line.startswith("#"):
                key, _, value = line.partition("=")
                new.setdefault((section, key.strip()), []).append(value.strip())
        values.update(new)
    return values


def test_kolla_merges_nothing_away() -> None:
    """Merged as Kolla-Ansible does, a host's nova.conf has its eight device_specs and its alias."""
    files = layout("kolla").files(cloud("kolla", release("2025.1"), cards=BY_ADDRESS))
    values = merged([files["nova/nova-compute.conf"], files["nova/gpu-01/nova.conf"]])
    assert len(values["pci", "device_spec"]) == 8
    assert len(values["pci", "alias"]) == 1
    assert values["pci", "report_in_placement"] == ["true"]


def test_kolla_templates_are_refused() -> None:
    """A name with {{ in it would be Jinja's, and is refused."""
    cards = {"h{{x}}": {"match": [{"vendor": "10de", "product": "2330"}]}}
    with pytest.raises(UsageError, match=r"would read a part of .* as a template"):
        layout("kolla").files(cloud("kolla", release("2025.1"), cards=cards))


def test_openstack_ansible_reads_strings() -> None:
    """Its lists hold JSON as strings, the filter is appended, and a host has its own specs."""
    files = layout("openstack-ansible").files(
        cloud("openstack-ansible", release("2025.1"), cards=BY_ADDRESS)
    )
    shared = yaml.safe_load(files["user_wholecard.yml"])
    assert json.loads(shared["nova_pci_alias"][0])["name"] == "h100"
    assert shared["nova_scheduler_extra_filters"] == ["PciPassthroughFilter"]
    assert "nova_scheduler_default_filters" not in shared
    assert "nova_device_spec" not in shared
    own_specs = yaml.safe_load(files["host_vars/gpu-01/wholecard.yml"])["nova_device_spec"]
    assert [json.loads(each)["address"][-7:] for each in own_specs][:2] == ["19:00.0", "3b:00.0"]


def test_openstack_ansible_leaves_one_services_options_out() -> None:
    """A thread pool of one is for nova-scheduler, and its nova.conf is every service's."""
    asked = cloud("openstack-ansible", release("2025.1"), tuning="full")
    files = layout("openstack-ansible").files(asked)
    shared = yaml.safe_load(files["user_wholecard.yml"])
    assert "DEFAULT" not in shared["nova_nova_conf_overrides"]
    assert "executor_thread_pool_size = 1" in files["user_wholecard.yml"]


def test_what_full_tuning_costs() -> None:
    """Only the site's `tuning: full` lets every server wait for one scheduler, and says so."""
    texts = {
        asked: "".join(layout("drop-in").files(
            cloud("drop-in", release("2026.2"), tuning=asked)).values())
        for asked in ("cards", "full")
    }  # fmt: skip
    for name in ("executor_thread_pool_size", "workers", "rpc_response_timeout"):
        assert f"\n{name} = " not in texts["cards"]
        assert f"\n{name} = " in texts["full"]
    words = " ".join(texts["full"].replace("#", " ").split())
    assert "It costs the whole cloud: every server of the cloud waits in one queue" in words


def test_openstack_ansible_before_train_needs_the_list() -> None:
    """Without a list to add to, and none in the site, there is nothing right to write."""
    with pytest.raises(UsageError, match="cannot add a filter to its list"):
        layout("openstack-ansible").files(cloud("openstack-ansible", release("stein")))


def test_charms_cannot_use_placement() -> None:
    """What the charms have no option for is refused where the site demands it, not for auto."""
    with pytest.raises(UsageError, match="no option for report_in_placement"):
        cloud("charms", release("2024.1"), nova={"report_in_placement": True})
    text = layout("charms").files(cloud("charms", release("2024.1")))["wholecard-overlay.yaml"]
    applications = yaml.safe_load(text)["applications"]
    options = applications["nova-compute"]["options"]
    assert json.loads(options["pci-passthrough-whitelist"]) == [
        {"vendor_id": "10de", "product_id": "2330"}
    ]
    control = applications["nova-cloud-controller"]["options"]
    assert control["pci-alias"] == options["pci-alias"]
    assert control["scheduler-default-filters"].endswith("SameHostFilter,PciPassthroughFilter")


def test_charms_refuse_hosts_that_differ() -> None:
    """One application has one list of device_specs."""
    facts = {"a": eight(audio=False), "b": THREE["gpu-03"]}
    with pytest.raises(UsageError, match="all hosts of an application"):
        layout("charms").files(cloud("charms", release("yoga"), cards=BY_ADDRESS, facts=facts))


def test_charms_refuse_unified_limits() -> None:
    """A quota driver cannot be set through a charm."""
    with pytest.raises(UsageError, match="no option for"):
        layout("charms").files(cloud("charms", release("2024.1"), quota_driver="unified"))


def test_rhoso_configs_are_read_by_oslo(tmp_path: Path) -> None:
    """The texts inside the control plane's patch and the ConfigMap are what nova reads."""
    files = layout("rhoso").files(cloud("rhoso", release("2023.1")))
    patch = yaml.safe_load(files["controlplane-patch.yaml"])["spec"]
    nova = patch["nova"]["template"]
    texts = [
        nova["apiServiceTemplate"]["customServiceConfig"],
        nova["cellTemplates"]["cell0"]["conductorServiceTemplate"]["customServiceConfig"],
        yaml.safe_load(files["nova-extra-config.yaml"])["data"]["90-wholecard.conf"],
    ]
    names = []
    for number, text in enumerate(texts):
        file = tmp_path / f"{number}.conf"
        file.write_text(text)
        names.append({option.name for option in read_values([file], 27)})
    assert {"alias", "pci_in_placement"} <= names[0]
    assert "pci_in_placement" in names[1]
    assert {"device_spec", "alias", "report_in_placement"} <= names[2]
    # The operator's own list has the filter.
    assert "enabled_filters" not in nova["schedulerServiceTemplate"]["customServiceConfig"]


def test_rhoso_has_a_service_for_each_kind_of_host() -> None:
    """Hosts that are alike share a ConfigMap and a service that names it."""
    made = cloud("rhoso", release("2023.1"), cards=BY_ADDRESS, facts=THREE)
    files = layout("rhoso").files(made)
    services = {
        path: yaml.safe_load(text) for path, text in files.items() if path.endswith("service.yaml")
    }
    assert sorted(services) == [
        "nova-gpu-01-wholecard-service.yaml", "nova-gpu-03-wholecard-service.yaml",
    ]  # fmt: skip
    for service in services.values():
        sources = list(itertools.chain(*(each.items() for each in service["spec"]["dataSources"])))
        assert ("configMapRef", {"name": service["metadata"]["name"]}) in sources


def test_an_unknown_layout_is_refused() -> None:
    """The error names the layouts that there are."""
    with pytest.raises(UsageError) as caught:
        layout("puppet")
    assert "kolla" in caught.value.resolution
