"""Servers of a site's flavors started on real nova 34, without hardware: what its driver writes.

A site and its hosts' facts in; the cards by Wholecard's own device_spec and alias, the flavors and
images with what `cloud apply` writes. One process of nova's for all hosts, for its start is slow.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from differential.environments import python_of
from wholecard.cloud.planning.desired import desired_cloud
from wholecard.core.releases import release
from wholecard.host.facts.host import Host
from wholecard.host.kernel_args.cpu_isolation import parse_cpus
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.desired.tuning import tuning
from wholecard.nova.match import devices_of
from wholecard.site.card_matching import functions_of
from wholecard.site.model import Site

__all__ = ["NOVA", "Hypervisor", "StartedServer", "start"]

NOVA = 34
FLAVORSIDE = Path(__file__).parent / "flavorside.py"


@dataclass(frozen=True)
class Hypervisor:
    """A host of a site with its facts, nova's CPU sets, and the servers to start on it alone.

    `servers` are names of flavors, each with the name of its image, empty for none.
    """

    site: Site
    name: str
    facts: Host
    dedicated: str
    shared: str | None
    servers: tuple[tuple[str, str], ...]

    def case(self) -> dict[str, Any]:
        """The host and its servers as nova's side reads them."""
        series = release(str(NOVA))
        desired = desired_cloud(self.site, {self.name: self.facts}, series)
        flavors = {flavor.name: flavor for flavor in desired.flavors}
        images = {image.name: image.properties for image in desired.images}
        pci = pci_configs(self.site, {self.name: self.facts}, series)[self.name]
        return {
            "nodes": list(self._nodes()),
            "functions": list(self._functions()),
            "device_spec": [one.to_json() for one in pci.device_specs],
            "alias": [one.to_json() for one in pci.aliases],
            "report": pci.report_in_placement,
            "choose": pci.pci_in_placement,
            "placement": [
                (one.section, one.name, one.value)
                for one in tuning("placement", NOVA, max(pci.cards_per_host, 1), 1)
            ],
            "address_bits": self.facts.cpu.physical_bits,
            "dedicated": self.dedicated,
            "shared": self.shared,
            "servers": [
                {
                    "name": name,
                    "ram": flavors[name].ram_mb,
                    "vcpus": flavors[name].vcpus,
                    "extra_specs": dict(flavors[name].extra_specs),
                    "properties": dict(images.get(image, {})),
                }
                for name, image in self.servers
            ],
        }

    def _nodes(self) -> Iterator[dict[str, Any]]:
        """The NUMA nodes; a core's threads are the CPUs in both halves of the node's list."""
        facts = self.facts
        per_core = facts.cpu.threads // facts.cpu.cores if facts.cpu.cores else 1
        ram = dict(facts.memory.nodes)
        for node, text in facts.cpu.nodes:
            cpus = sorted(parse_cpus(text))
            cores = len(cpus) // per_core
            kib = ram[node] >> 10
            huge = [(pool.size >> 10, pool.total) for pool in facts.memory.hugepages
                    if pool.node == node and pool.total]  # fmt: skip
            small = (kib - sum(size * count for size, count in huge)) // 4
            yield {
                "id": node,
                "memory_kib": kib,
                "siblings": [cpus[core::cores] for core in range(cores)],
                "pages": [(4, small), *huge],
            }

    def _functions(self) -> Iterator[dict[str, Any]]:
        for kind in self.site.cards.values():
            for function in functions_of(kind, self.name, self.facts):
                (device,) = devices_of([function])
                yield {
                    "address": str(function.address),
                    "vendor": function.vendor,
                    "product": function.device,
                    "type": device.dev_type,
                    "numa_node": function.numa_node,
                }


@dataclass(frozen=True)
class StartedServer:
    """A server as nova ended with it: ACTIVE, ERROR, or REFUSED by its API; its domain's XML."""

    flavor: str
    status: str
    says: str
    xml: str

    @property
    def domain(self) -> ET.Element:
        """The domain."""
        return ET.fromstring(self.xml)

    def pins(self) -> dict[int, frozenset[int]]:
        """The host's CPUs of each virtual CPU."""
        return {
            int(pin.get("vcpu", "")): parse_cpus(pin.get("cpuset", ""))
            for pin in self.domain.iter("vcpupin")
        }

    def emulator(self) -> frozenset[int]:
        """The host's CPUs of QEMU's own threads."""
        pin = self.domain.find("cputune/emulatorpin")
        return frozenset() if pin is None else parse_cpus(pin.get("cpuset", ""))

    def page_kib(self) -> set[int]:
        """The sizes of the guest's huge pages."""
        pages = self.domain.iterfind("memoryBacking/hugepages/page")
        return {int(page.get("size", "")) for page in pages}

    def is_locked(self) -> bool:
        """Whether its memory is locked."""
        return self.domain.find("memoryBacking/locked") is not None

    def nodes(self) -> list[int]:
        """The host's NUMA nodes of the guest's, in their order."""
        return [
            int(cell.get("nodeset", ""))
            for cell in self.domain.iterfind("numatune/memnode[@mode='strict']")
        ]

    def cards(self) -> list[str]:
        """The addresses of the functions that it gets."""
        found = []
        for place in self.domain.iterfind("devices/hostdev/source/address"):
            bus, slot, function = (
                int(place.get(key, ""), 16) for key in ("bus", "slot", "function")
            )
            found.append(f"0000:{bus:02x}:{slot:02x}.{function}")
        return found


def start(hypervisors: Iterable[Hypervisor]) -> list[Mapping[str, StartedServer]]:
    """The servers of each hypervisor by their flavor's name.

    Raises AssertionError where nova's tests' base breaks, with its traceback.
    """
    questions = [json.dumps(one.case()) + "\n" for one in hypervisors]
    answers = _answers(questions)
    for number, answer in enumerate(answers):
        if answer["broken"]:
            # Seen beside other work, once in 30 runs: the API of nova's base, which shares one
            # process with its services, answered a DELETE with 500 (TypeError).
            answers[number] = _answers([questions[number]])[0]
    broken = [text for answer in answers for text in answer["broken"]]
    if broken:
        raise AssertionError("\n".join(broken))
    return [
        {
            server["name"]: StartedServer(
                server["name"], server["status"], server["says"], server["xml"]
            )
            for server in answer["servers"]
        }
        for answer in answers
    ]


def _answers(questions: Sequence[str]) -> list[Any]:
    ended = subprocess.run(
        # -I: a module of this folder has the name of one of Placement's.
        [str(python_of(NOVA)), "-I", "-W", "ignore", str(FLAVORSIDE)],
        input="".join(questions),
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return [json.loads(line) for line in ended.stdout.splitlines()]
