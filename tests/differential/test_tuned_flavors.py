"""The pages' flavors on real nova 34: their XML is what was meant, and wrong ones are refused.

explain names the reason from the same inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from differential.started_servers import NOVA, Hypervisor, StartedServer, start
from support.nova_conf import conf
from support.small_cloud import FILTERS
from support.tuned_site import DEDICATED, NODES, SHARED, example, facts, site
from wholecard.cloud.planning.desired import desired_cloud
from wholecard.core.releases import release
from wholecard.explain.evidence.evidence import ComputeServiceState, Evidence, HostEvidence
from wholecard.explain.explain import explain
from wholecard.host.kernel_args.cpu_isolation import parse_cpus
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.desired.tuning import tuning
from wholecard.nova.flavor.server_request import ServerRequest

SLOW, FLAVORS = "why-is-my-guest-slow.md", "flavors-and-images.md"
EXAMPLE = example(SLOW)
WRONG = {
    "far": {"ram": 4096, "vcpus": 4, "cards": {"h100": 5}, "tuned": True, "numa_nodes": 1,
            "numa_policy": "required"},
    "legacy": {"ram": 4096, "vcpus": 4, "cards": {"h100": 5}, "cpu_policy": "dedicated"},
    "emulator": {"ram": 4096, "vcpus": 92, "cards": {"h100": 1}, "tuned": True, "numa_nodes": 1},
    "bits": {"ram": 4096, "vcpus": 4, "cards": {"h100": 1}, "maxphysaddr": "none",
             "extra_specs": {"hw:maxphysaddr_mode": "emulate", "hw:maxphysaddr_bits": "57"}},
    "locked": {"ram": 4096, "vcpus": 4, "cards": {"h100": 1}, "locked_memory": True},
    "isolate": {"ram": 4096, "vcpus": 4, "cards": {"h100": 1},
                "emulator_threads_policy": "isolate"},
    "spread": {"ram": 4096, "vcpus": 5, "cards": {"h100": 1}, "cpu_policy": "dedicated",
               "numa_nodes": 2},
}  # fmt: skip
ONE = {"ram": 4096, "vcpus": 4, "cards": {"h100": 1}, "tuned": True}


# The flavors of the other page, beside those of the same names.
MORE = {f"{FLAVORS} {name}": one for name, one in example(FLAVORS)["flavors"].items()}
# The first start makes the environment of nova, which may have to be fetched.
pytestmark = pytest.mark.timeout(900)


def _right() -> Hypervisor:
    pages = {**EXAMPLE, "flavors": {**EXAMPLE["flavors"], **MORE}}
    # An aggregate of the other page requires a trait, which has nothing to do with speed.
    for flavor in MORE.values():
        flavor.pop("required_traits", None)
    made = site(pages, **WRONG)
    servers = [(name, "windows-2025" if name == "g.h100x1" else "") for name in made.flavors]
    return Hypervisor(made, "gpu-01", facts(), DEDICATED, SHARED, tuple(servers))


RIGHT = _right()
TUNED = ("g.h100x1", "g.h100x8", "g.h100x2-shared-emulator")
# The same flavor where no page is reserved, and where nova pins to the node without cards alone.
NO_PAGES = replace(RIGHT, site=site(EXAMPLE, one=ONE), facts=facts(0), servers=(("one", ""),))
_ON_ONE = tuple(one for one in facts().functions if one.numa_node == 1)
OTHER_NODE = replace(
    NO_PAGES, facts=replace(facts(), functions=_ON_ONE), dedicated="2-47", shared="0-1"
)
HYPERVISORS = {"right": RIGHT, "no pages": NO_PAGES, "other node": OTHER_NODE}


@pytest.fixture(scope="module")
def started() -> Mapping[str, Mapping[str, StartedServer]]:
    """Every server on its hypervisor, as real nova ended with it."""
    return dict(zip(HYPERVISORS, start(HYPERVISORS.values()), strict=True))


Started = Mapping[str, Mapping[str, StartedServer]]
NODE_OF = {cpu: node for node, text in NODES for cpu in parse_cpus(text)}
NODE_OF_CARD = {str(one.address): one.numa_node for one in facts().functions}


def flavor_specs(hypervisor: Hypervisor, name: str) -> ServerRequest:
    """The request that a flavor of the hypervisor's site makes."""
    desired = desired_cloud(hypervisor.site, {hypervisor.name: hypervisor.facts}, release("34"))
    (flavor,) = [one for one in desired.flavors if one.name == name]
    return ServerRequest(
        name, "site.yaml", flavor.extra_specs, flavor.vcpus, flavor.ram_mb, flavor.disk_gb
    )


@pytest.mark.parametrize("name", TUNED)
def test_a_tuned_server(started: Started, name: str) -> None:
    """Each virtual CPU has a CPU of its own on a node of its cards, memory is there and locked."""
    server = started["right"][name]
    flavor = RIGHT.site.flavors[name]
    assert server.status == "ACTIVE", server.says
    pins = server.pins()
    used = [next(iter(cpus)) for cpus in pins.values()]
    assert sorted(pins) == list(range(flavor.vcpus))
    assert all(len(cpus) == 1 for cpus in pins.values())
    assert len(set(used)) == flavor.vcpus
    assert set(used) <= parse_cpus(DEDICATED)
    assert {NODE_OF[cpu] for cpu in used} == set(server.nodes())
    assert server.page_kib() == {1 << 20}
    assert server.is_locked()
    cards = server.cards()
    assert len(set(cards)) == flavor.cards["h100"]
    assert {NODE_OF_CARD[address] for address in cards} == set(server.nodes())
    assert len(server.nodes()) == (2 if name == "g.h100x8" else 1)


def test_emulator_threads(started: Started) -> None:
    """QEMU's threads are on one more CPU of the guest's first node, or on the shared ones."""
    for name in ("g.h100x1", "g.h100x8"):
        server = started["right"][name]
        (cpu,) = server.emulator()
        assert cpu in parse_cpus(DEDICATED)
        assert cpu not in frozenset().union(*server.pins().values())
        assert NODE_OF[cpu] == server.nodes()[0]
    shared = started["right"]["g.h100x2-shared-emulator"]
    assert shared.emulator() == parse_cpus(SHARED)


def test_a_windows_server(started: Started) -> None:
    """Hyper-V's features and clock, local time, secure boot and the TPM, by the image alone."""
    domain = started["right"]["g.h100x1"].domain
    assert domain.find("features/hyperv/vpindex[@state='on']") is not None
    assert domain.find("clock[@offset='localtime']/timer[@name='hypervclock']") is not None
    assert domain.find("os/loader[@secure='yes']") is not None
    assert domain.find("devices/tpm/backend[@version='2.0']") is not None


@pytest.mark.parametrize(
    ("host", "name", "status", "rule"),
    [
        ("right", "far", "ERROR", "WC316"),
        ("right", "legacy", "ERROR", "WC316"),
        ("right", "emulator", "ERROR", "WC317"),
        ("right", "bits", "ERROR", "WC350"),
        ("right", "locked", "REFUSED", "WC302"),
        ("right", "isolate", "REFUSED", "WC302"),
        ("right", "spread", "REFUSED", "WC302"),
        ("no pages", "one", "ERROR", "WC317"),
        ("other node", "one", "ERROR", "WC316"),
        *(("right", name, "ACTIVE", "") for name in (*TUNED, *MORE)),
    ],
)
def test_explain_says_as_nova(
    started: Started, host: str, name: str, status: str, rule: str
) -> None:
    """What nova refuses explain refuses, by the rule that names it; what starts it does not."""
    assert started[host][name].status == status, started[host][name].says
    assert explained_rule(HYPERVISORS[host], name) == rule


def tuned_placement(cards: int) -> dict[str, dict[str, str]]:
    """placement.conf for so many cards, as `nova render` writes it."""
    sections: dict[str, dict[str, str]] = {}
    for setting in tuning("placement", NOVA, cards, 1):
        sections.setdefault(setting.section, {})[setting.name] = setting.value
    return sections


def explained_rule(hypervisor: Hypervisor, name: str) -> str:
    """The rule by which explain refuses the request or the host; empty where it does not."""
    pci = pci_configs(hypervisor.site, {hypervisor.name: hypervisor.facts}, release("34"))
    alias = [one.to_json() for one in pci[hypervisor.name].aliases]
    specs = [one.to_json() for one in pci[hypervisor.name].device_specs]
    placement = {"pci_in_placement": "true"}
    compute = conf(
        "compute.conf",
        pci={"alias": alias, "device_spec": specs, "report_in_placement": "true"},
        compute={"cpu_dedicated_set": hypervisor.dedicated,
                 "cpu_shared_set": hypervisor.shared or ""},
    )  # fmt: skip
    host = HostEvidence(
        hypervisor.name, conf=compute, facts=hypervisor.facts, facts_source="gpu-01.json",
        service=ComputeServiceState(True, True), taken={},
    )  # fmt: skip
    evidence = Evidence(
        request=flavor_specs(hypervisor, name),
        hosts=(host,),
        release=release(str(NOVA)),
        api=conf("api.conf", pci={"alias": alias}, filter_scheduler=placement),
        scheduler=conf(
            "s.conf",
            filter_scheduler={
                "enabled_filters": f"{FILTERS},ComputeCapabilitiesFilter",
                **placement,
            },
        ),
        placement=conf("placement.conf", **tuned_placement(len(hypervisor.facts.cards))),
    )
    explanation = explain(evidence)
    checks = (*explanation.checks, *(check for host in explanation.hosts for check in host.checks))
    return next((check.rule for check in checks if check.state == "failed"), "")
