"""`nova lint` of a 2,000-line nova.conf with 64 specs against 16 cards, in process.

    python benchmarks/lint_bench.py [--rounds N] [--output FILE]

Beside it, on the same file in turns: oslo.config's own reading of the options for cards, which is
what a service does when it starts. Prints a table and writes the figures with the machine's facts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from oslo_config import cfg
from rich.console import Console
from rich.table import Table

from wholecard.core.releases import LATEST
from wholecard.host.config_files import Settings
from wholecard.host.facts.host import Boot, Host, Iommu
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.lint import Facts, Service, lint
from wholecard.pci import Address, Function, IommuGroup, find_cards

TARGET_MS = 100.0
LINES, SPECS, CARDS, OTHERS = 2000, 64, 16, 194


def conf_text() -> str:
    """A nova.conf as installers leave it: sections, options, the sample's comments between them.

    16 specs name the cards, the others are of the kinds that a linter has to look at: addresses,
    globs, regular expressions, tags.
    """
    specs = [
        f'device_spec = {{"vendor_id": "10de", "product_id": "2330", "address": "0000:{bus:02x}:'
        f'00.0", "resource_class": "CUSTOM_H100", "traits": "CUSTOM_RACK_{bus}"}}'
        for bus in range(0x41, 0x41 + CARDS)
    ]
    specs += [
        f'device_spec = {{"vendor_id": "15b3", "address": {{"domain": "0000", "bus": "{bus:02x}",'
        f' "slot": "0[0-9]", "function": "[0-{bus % 8}]"}}, "physical_network": "net{bus}"}}'
        for bus in range(24)
    ]
    specs += [
        f'device_spec = {{"address": "0000:{bus:02x}:*.{bus % 8}", "trusted": "true"}}'
        for bus in range(24)
    ]
    lines = [
        "[DEFAULT]", "transport_url = rabbit://nova:secret@controller", "my_ip = 10.0.0.11",
        "[pci]", "report_in_placement = true", *specs,
        'alias = {"name": "h100", "resource_class": "CUSTOM_H100", "vendor_id": "10de", '
        '"product_id": "2330", "device_type": "type-PF"}',
        "[filter_scheduler]",
        "enabled_filters = ComputeFilter,ComputeCapabilitiesFilter,ImagePropertiesFilter,"
        "ServerGroupAntiAffinityFilter,ServerGroupAffinityFilter,PciPassthroughFilter",
        "pci_in_placement = true",
    ]  # fmt: skip
    number = 0
    while len(lines) < LINES:
        number += 1
        if number % 40 == 0:
            lines.append(f"[section_{number}]")
        elif number % 4 == 0:
            lines.append(f"some_option_{number} = a value of option {number}, as installers set it")
        else:
            lines.append(f"# Possible values of option {number}: any text (string value)")
    return "\n".join(lines) + "\n"


def host() -> Host:
    """16 cards with SR-IOV among 210 functions."""
    cards = [
        Function(
            Address(0, bus, 0, 0), vendor="10de", device="2330", class_code="030200",
            sriov_total=16, driver="vfio-pci", numa_node=bus % 2,
        )
        for bus in range(0x41, 0x41 + CARDS)
    ]  # fmt: skip
    others = [
        Function(
            Address(0, number // 8, number % 8, 0), vendor="8086", device=f"{number:04x}",
            class_code="088000",
        )
        for number in range(OTHERS)
    ]  # fmt: skip
    groups = tuple(IommuGroup(number, (each,)) for number, each in enumerate(cards))
    functions = (*cards, *others)
    return Host(
        functions, find_cards(functions, groups), groups, False, Iommu("vt-d", True, True),
        Boot("6.12.1", "", "", None, None), Settings(),
    )  # fmt: skip


def by_oslo(path: Path) -> None:
    """oslo.config reads the file and the options for cards."""
    conf = cfg.ConfigOpts()
    conf.register_opts(
        [cfg.MultiStrOpt("device_spec"), cfg.MultiStrOpt("alias"),
         cfg.BoolOpt("report_in_placement")], group="pci",
    )  # fmt: skip
    conf.register_opts(
        [cfg.ListOpt("enabled_filters"), cfg.BoolOpt("pci_in_placement")],
        group="filter_scheduler",
    )
    conf(args=[], default_config_files=[str(path)], default_config_dirs=[])
    assert len(conf.pci.device_spec) == SPECS
    assert conf.pci.alias
    assert conf.pci.report_in_placement
    assert conf.filter_scheduler.enabled_filters
    assert conf.filter_scheduler.pci_in_placement


def timed(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """Milliseconds of one call."""
    start = clock()
    work()
    return (clock() - start) * 1000


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    facts = (Facts("gpu-01", host()),)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nova.conf"
        path.write_text(conf_text())

        def ours() -> object:
            # The facts anew too, for what is derived from them is kept in them.
            return lint([
                Service(NovaConf.read([path]), LATEST, None, (Facts("gpu-01", facts[0].host),))
            ])  # fmt: skip

        diagnostics = lint([Service(NovaConf.read([path]), LATEST, None, facts)])
        works = {"wholecard nova lint": ours, "oslo.config reads it": lambda: by_oslo(path)}
        walls: dict[str, list[float]] = {name: [] for name in works}
        cpus: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(arguments.rounds):
            for name, work in works.items():
                walls[name].append(timed(work, time.perf_counter))
                cpus[name].append(timed(work, time.process_time))
    report(arguments.output, len(diagnostics), walls, cpus)


def report(
    output: Path | None, findings: int, walls: dict[str, list[float]], cpus: dict[str, list[float]]
) -> None:
    """Print the table; write the figures where they are to be kept."""
    table = Table("in process", "median ms", "best ms", "CPU ms", "goal")
    rows = {}
    for name, wall in walls.items():
        goal = TARGET_MS if name.startswith("wholecard") else None
        rows[name] = {
            "median_ms": round(statistics.median(wall), 2), "best_ms": round(min(wall), 2),
            "cpu_ms": round(statistics.median(cpus[name]), 2), "goal_ms": goal,
        }  # fmt: skip
        table.add_row(name, *(str(value) for value in list(rows[name].values())[:3]),
                      f"{goal:.0f}" if goal else "")  # fmt: skip
    Console().print(table)
    data = {
        "what": f"{LINES} lines, {SPECS} specs, {CARDS} cards among {CARDS + OTHERS} functions",
        "findings": findings,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "rounds": len(next(iter(walls.values()))),
        "rows": rows,
    }
    if output:
        output.write_text(json.dumps(data, indent=2) + "\n")


if __name__ == "__main__":
    main()
