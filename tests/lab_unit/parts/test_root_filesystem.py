"""The nodes' disk: one for all, and what a node makes of it at its boot."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.tree import grow, snapshot
from wholecard.lab.base.node_spec import NODES, NodeSpec
from wholecard.lab.parts.root_filesystem import FILES, IDENTITY

# getent of glibc, for the names in the root's own file.
GETENT = """#!/bin/sh
while read -r address name; do
    [ "$name" != "$2" ] || echo "$address $name"
done < %s
"""


@pytest.mark.parametrize("spec", NODES)
def test_node_reads_who_it_is(tmp_path: Path, spec: NodeSpec) -> None:
    """From its firmware a node gets its name, its id, and nova's host and address; the second boot
    writes nothing.
    """
    root = tmp_path / "root"
    grow(root, {
        "sys/class/dmi/id/product_serial": f"{spec.name}\n",
        "sys/class/dmi/id/product_uuid": f"{spec.compute_id}\n",
        "etc/hosts": FILES["etc/hosts"], "etc/hostname": FILES["etc/hostname"], "var/": "",
    })  # fmt: skip
    programs = {
        "getent": (GETENT % (root / "etc/hosts"), 0o755),
        "hostname": (f"#!/bin/sh\necho $1 >> {tmp_path}/named\n", 0o755),
    }
    script = IDENTITY
    for folder in ("/sys/", "/etc/", "/var/"):
        script = script.replace(folder, f"{root}{folder}")
    path = f"{grow(tmp_path / 'programs', programs)}:/usr/bin:/bin"

    def boot() -> None:
        subprocess.run(["sh", "-c", script], env={"PATH": path}, timeout=30, check=True)

    boot()
    assert (root / "etc/hostname").read_text() == f"{spec.name}\n"
    assert (root / "var/lib/nova/compute_id").read_text() == f"{spec.compute_id}\n"
    assert (root / "etc/nova/nova.conf.d/10-node.conf").read_text() == (
        f"[DEFAULT]\nhost = {spec.name}\nmy_ip = {spec.link_address}\n"
    )
    assert (tmp_path / "named").read_text() == f"{spec.name}\n"
    times = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    before = snapshot(root)
    boot()
    assert snapshot(root) == before
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == times


def test_disk_has_the_link_of_each_node() -> None:
    """Every node's link is configured on the disk, for the card that this node has."""
    for spec in NODES:
        text = FILES[f"etc/systemd/network/20-link-{spec.name}.network"]
        assert f"MACAddress={spec.link_mac}\n" in text
        assert f"Address={spec.link_address}/24\n" in text


@pytest.mark.parametrize("fact", ["name", "compute_id", "link_mac", "link_address", "ssh_port"])
def test_nodes_differ(fact: str) -> None:
    """No two nodes have the same name, id, link or port of ssh."""
    assert len({getattr(spec, fact) for spec in NODES}) == len(NODES)
