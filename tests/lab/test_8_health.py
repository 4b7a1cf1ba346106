"""Errors that QEMU injects into the node's PCI Express are seen by `health`, and counted.

pcie-root-port and igb have AER in QEMU (hw/pci-bridge/gen_pcie_root_port.c, hw/net/igb.c); the
stand-in cards (ati-vga) are plain PCI and have none, so what is injected above them is counted at
their ports. `pcie_aer_inject_error` is HMP's alone (hmp-commands.hx): it goes by QMP's
human-monitor-command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.commands import wholecard
from wholecard.core.waiting import wait_until
from wholecard.health.host_answers import judged, read_health
from wholecard.host.facts.card_health import HostHealth
from wholecard.lab import lab as labs
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.node_spec import GPU_NODE
from wholecard.lab.lab import Lab
from wholecard.lab.node import qmp
from wholecard.lab.node.node import LabNode
from wholecard.lab.scenario.hypervisor import Agent

# PCI Express base specification, 7.8.4: bit 6 of the correctable status, bits 4 and 20 of the
# uncorrectable one (DLP is fatal by default, an unsupported request is not).
BAD_TLP, DLP, UNSUPPORTED = "0x40", "0x10", "0x100000"
# The first card's root port in the node's command line (lab/node/node.py, `cards`).
PORT = "port1"
# The port above the igb. The igb itself reports nothing: the driver leaves its Device Control 0.
OTHER_PORT = "port3"


@pytest.fixture(scope="module")
def lab(lab_folder: LabFolder) -> Iterator[Lab]:
    """The lab, up, with a prepared node."""
    ran = wholecard("lab", "up")
    assert ran.status == 0, ran.stdout + ran.stderr
    yield labs.require_up(lab_folder)
    labs.down(lab_folder)


@pytest.fixture(scope="module")
def node(lab: Lab) -> LabNode:
    """The node with the cards."""
    return lab.node(GPU_NODE.name)


def inject(node: LabNode, device: str, status: str, *options: str) -> None:
    """Let QEMU inject an error into one of the node's devices."""
    with qmp.session(node.folder / "qmp.sock") as control:
        line = " ".join(["pcie_aer_inject_error", *options, device, status])
        said = control.command("human-monitor-command", **{"command-line": line})
    # It answers `OK id: port1 root bus: …`, or with why it cannot.
    assert str(said).startswith("OK"), said


def health(node: LabNode) -> HostHealth:
    """What the node's agent says now."""
    return read_health(Agent(node).json("health"))


def port_errors(known: HostHealth, severity: str) -> int:
    """The errors that the ports above all cards have counted themselves."""
    ports = {port.address: port for card in known.cards for port in card.ports}
    return sum(getattr(port.errors, severity) for port in ports.values() if port.errors)


def when(node: LabNode, what: str, holds: Callable[[HostHealth], Any]) -> HostHealth:
    """The answer as soon as it says so: the node's kernel handles an error in a thread."""

    def probe() -> HostHealth | None:
        known = health(node)
        return known if holds(known) else None

    return wait_until(what, probe, timeout=300, interval=2.0)


def test_clean_node(node: LabNode) -> None:
    """A node in order has cards that answer, ports that count, and no errors."""
    known = health(node)
    # The third is the node's own display, which is on the root bus as a BMC's is.
    behind_ports = [card for card in known.cards if card.ports]
    assert (len(behind_ports), len(known.cards)) == (2, 3)
    assert all(card.ports[0].errors is not None for card in behind_ports)
    assert port_errors(known, "fatal") == port_errors(known, "nonfatal") == 0
    assert {part.config for card in known.cards for part in card.functions} <= {"alive", "asleep"}
    assert not [one for one in judged("gpu-01", known).findings if one.severity.value == "error"]


def test_correctable(node: LabNode) -> None:
    """A damaged packet is counted at the port above the card, and its kind is named."""
    inject(node, PORT, BAD_TLP, "-c")
    known = when(node, "the port's correctable error", lambda now: port_errors(now, "correctable"))
    found = [one for one in judged("gpu-01", known).findings if one.rule == "WC582"]
    assert "correctable BadTLP" in found[0].message
    assert [event.kind for event in known.events] == ["aer-correctable"]


def test_nonfatal(node: LabNode) -> None:
    """A non-fatal error is a warning; what was there before is not reported again."""
    before = health(node)
    inject(node, PORT, UNSUPPORTED)
    known = when(node, "the port's non-fatal error", lambda now: port_errors(now, "nonfatal"))
    found = judged("gpu-01", known, before).findings
    assert [one.rule for one in found if one.rule != "WC588"] == ["WC581"]


def test_fatal(node: LabNode) -> None:
    """A fatal error is counted, logged, and makes the card broken."""
    inject(node, PORT, DLP)
    known = when(node, "the port's fatal error", lambda now: port_errors(now, "fatal"))
    kinds = {event.kind for event in known.events}
    assert "aer-fatal" in kinds
    errors = [one for one in judged("gpu-01", known).findings if one.severity.value == "error"]
    assert "WC581" in {one.rule for one in errors}


def test_port_above_no_card(node: LabNode) -> None:
    """An error of the port above the igb, which is no card, is in nobody's finding."""
    before = health(node)
    inject(node, OTHER_PORT, BAD_TLP, "-c")
    wait_until("the port's error in the node's sysfs", lambda: _counted(node), timeout=300)
    after = health(node)
    assert [card.ports for card in after.cards] == [card.ports for card in before.cards]
    assert len(after.events) == len(before.events)


def _counted(node: LabNode) -> bool | None:
    script = "cat /sys/bus/pci/drivers/igb/*:*/../aer_dev_correctable"
    counted = node.ssh(["sh", "-c", script], timeout=600).stdout
    return "TOTAL_ERR_COR 0" not in counted or None
