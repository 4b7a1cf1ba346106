"""Hosts that are checked once for their kind have the answers that each would have by itself."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from support import hosts
from support.nova_conf import conf_text
from support.small_cloud import ALIAS, CARDS, CPUS, FILTERS, SPEC, api, facts, scheduler
from wholecard.core import UsageError
from wholecard.explain import hosts_alike
from wholecard.explain.evidence.evidence import (
    ComputeServiceState,
    Evidence,
    HostEvidence,
    Refusal,
)
from wholecard.explain.evidence.from_files import Files, gathered
from wholecard.explain.explain import explain
from wholecard.explain.hosts_alike import AlikeAnswer, kind_of_host
from wholecard.host.facts.host import Host
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.flavor.server_request import ServerRequest

REQUEST = ServerRequest(
    "g1", "the options", {"pci_passthrough:alias": "h100:2", "hw:numa_nodes": "1"},
    vcpus=4, ram_mb=4096, disk_gb=1,
)  # fmt: skip
OTHER = SPEC.replace("2330", "2331")
CONFS = {
    "right": conf_text(pci={"alias": ALIAS, "device_spec": SPEC}),
    "other ids": conf_text(pci={"alias": ALIAS, "device_spec": OTHER}),
    "not JSON": conf_text(pci={"alias": ALIAS, "device_spec": "{10de}"}),
    "no spec": conf_text(pci={"alias": ALIAS}),
    "misspelled": conf_text(pci={"alias": ALIAS, "device_specs": SPEC}),
    "no alias": conf_text(pci={"device_spec": SPEC}),
    "one of two": conf_text(pci={"alias": ALIAS, "device_spec": SPEC.replace(
        "}", ', "address": "0000:41:00.0"}')}),
    "reported": conf_text(pci={"alias": ALIAS, "device_spec": SPEC,
                               "report_in_placement": "true"}),
    "pinned": conf_text(pci={"alias": ALIAS, "device_spec": SPEC},
                        compute={"cpu_dedicated_set": "2-15"}),
    "reference": conf_text(DEFAULT={"my_ip": "10.0.0.1"},
                           pci={"alias": ALIAS, "device_spec": SPEC.replace("2330", "$my_ip")}),
}  # fmt: skip
FACTS: dict[str, Host | None] = {
    "two cards": facts(),
    "one card": facts(CARDS[:1]),
    "on the host's driver": facts([replace(card, driver="nvidia") for card in CARDS]),
    "one node": facts(cpus=CPUS[:1], sockets=1),
    "none": None,
}


def fleet(folder: Path, copies: int = 2) -> Files:
    """Some hosts of each kind, each with its own name, address, boot and serial numbers."""
    computes, known = {}, {}
    kinds = itertools.product(CONFS.items(), FACTS.items())
    numbered = enumerate(kind for kind in kinds for _ in range(copies))
    for number, ((_, text), (_, host)) in numbered:
        # gpu-1 is in the name of gpu-10.
        name = f"gpu-{number}"
        computes[name] = [folder / f"{name}.conf"]
        own = f"[DEFAULT]\nhost = {name}\nmy_ip=10.0.0.{number}\n"
        computes[name][0].write_text(own + text)
        if host is not None:
            known[name] = folder / f"{name}.json"
            known[name].write_text("".join(_own(host, number).to_lines()))
    files = Files(computes=computes, facts=known)
    for role, conf in (("api", api()), ("scheduler", scheduler(FILTERS))):
        (folder / f"{role}.conf").write_text(conf.files[0].text)
    return replace(files, api=(folder / "api.conf",), scheduler=(folder / "scheduler.conf",))


def _own(host: Host, number: int) -> Host:
    functions = tuple(replace(one, serial=f"{number}-{one.address}") for one in host.functions)
    boot = hosts.boot(boot_id=f"boot-{number}")
    return replace(hosts.host(*functions), boot=boot, cpu=host.cpu, memory=host.memory)


def alone(evidence: Evidence) -> Evidence:
    """The same evidence with files that are not compared, so that each host is checked."""
    return replace(evidence, hosts=tuple(
        replace(host, conf=NovaConf(host.conf.files) if host.conf else None,
                facts_source=host.facts_source)
        for host in evidence.hosts
    ))  # fmt: skip


def test_same_answers(tmp_path: Path) -> None:
    """Every check, finding and sentence is the same as when no two hosts are taken as alike."""
    evidence = gathered(REQUEST, fleet(tmp_path))
    shared = explain(evidence)
    assert sum(isinstance(host, AlikeAnswer) for host in shared.hosts) == len(shared.hosts) == 100
    assert len({kind.key for kind in map(_kind(evidence), evidence.hosts) if kind}) == 55
    each = explain(alone(evidence))
    assert not any(isinstance(host, AlikeAnswer) for host in each.hosts)
    assert shared.to_json() == each.to_json()
    assert (shared.undecided, shared.answer) == (each.undecided, each.answer)
    assert "qz7kx" not in json.dumps(shared.to_json())
    for one, other in zip(shared.hosts, each.hosts, strict=True):
        assert (one.failed, one.unknown, one.unknown_names, one.states, one.answer) == (
            other.failed, other.unknown, other.unknown_names, other.states, other.answer,
        )  # fmt: skip


def test_missing_filter(tmp_path: Path) -> None:
    """What depends on the other hosts is decided after the kinds, and for each host."""
    files = fleet(tmp_path, copies=2)
    files.scheduler[0].write_text("[filter_scheduler]\nenabled_filters = ComputeFilter\n")
    evidence = gathered(REQUEST, files)
    assert explain(evidence).to_json() == explain(alone(evidence)).to_json()


def test_facts_are_shared(tmp_path: Path) -> None:
    """Hosts that differ in serial numbers and boots alone share their facts, others do not."""
    evidence = gathered(REQUEST, fleet(tmp_path, copies=2))
    distinct = {id(host.facts) for host in evidence.hosts if host.facts is not None}
    assert len(distinct) == 4


def test_broken_facts(tmp_path: Path) -> None:
    """A file that cannot be read is named, also where the others are alike."""
    files = fleet(tmp_path, copies=1)
    path = next(iter(files.facts.values()))
    path.write_text(path.read_text()[:-20])
    with pytest.raises(UsageError, match=f"facts from {path}"):
        gathered(REQUEST, files)


def _kind(evidence: Evidence):  # type: ignore[no-untyped-def]
    return lambda host: kind_of_host(evidence, host)


@pytest.mark.parametrize(
    ("evidence", "host"),
    [
        (Evidence(REQUEST), HostEvidence("gpu 1")),
        (Evidence(REQUEST), HostEvidence("gpu-1", facts_source="/it's/here.json")),
        (Evidence(REQUEST), HostEvidence("gpu-1", conf=api())),
        (Evidence(REQUEST), HostEvidence("gpu-1", taken={})),
        (Evidence(REQUEST), HostEvidence("gpu-1", service=ComputeServiceState(True, True))),
        (Evidence(REQUEST), HostEvidence("gpu-1", refused=("no",))),
        (Evidence(REQUEST, refusal=Refusal("no", "--error")), HostEvidence("gpu-1")),
    ],
    ids=["odd name", "odd path", "parsed files", "taken", "service", "refused", "refusal"],
)
def test_checked_by_itself(evidence: Evidence, host: HostEvidence) -> None:
    """A host of a running cloud, or with a name that is quoted in messages, has no kind."""
    assert kind_of_host(evidence, host) is None


def test_stand_ins() -> None:
    """No stand-in is a part of another one, or of what explain says by itself."""
    texts = (hosts_alike._NAME, hosts_alike._FACTS, hosts_alike._CONF.format(0))
    assert all(a not in b for a, b in itertools.permutations(texts, 2))
