"""The agent, the CDI script and the profile `containers` with Debian's real podman and crun.

The guest is a cached Debian root in a sandbox (tests/support/container_root.py), without a kernel
of its own. Its cards are a tree of sysfs; their device nodes are /dev/null and its like.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support.container_root import AGENT, container_root, in_guest
from support.tree import Leaf, grow
from wholecard.cloud.proving.judgement import Required, report_findings
from wholecard.guest.image.sandbox import is_rootless
from wholecard.guest.proof.record import Proof, ProofContainer
from wholecard.guest.proof.report import parse
from wholecard.lab.base.folder import default_folder
from wholecard.pci.cdi_script import KIND, UNIT_NAME

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="mmdebstrap makes the root"),
    pytest.mark.skipif(is_rootless(), reason="podman mounts in the sandbox"),
]
# The guest's device nodes by the machine's nodes that they are: a display with its sound, and a GPU
# without a display.
NODES = {
    "/dev/dri/card0": "/dev/zero",
    "/dev/snd/controlC0": "/dev/null",
    "/dev/snd/pcmC0D0p": "/dev/null",
    "/dev/dri/card1": "/dev/null",
    "/dev/dri/renderD128": "/dev/null",
    "/dev/kfd": "/dev/null",
}
TWO = f"sh {AGENT} --containers 2 --stdout"


def function(address: str, ids: str, class_code: str, driver: str, *nodes: str) -> dict[str, Leaf]:
    """A function's files in sysfs; `nodes` are its device nodes' folders below it."""
    base = f"sys/devices/pci0000:00/{address}"
    return {
        f"sys/bus/pci/devices/{address}": f"-> ../../../devices/pci0000:00/{address}",
        f"{base}/vendor": f"0x{ids[:4]}\n",
        f"{base}/device": f"0x{ids[5:]}\n",
        f"{base}/subsystem_vendor": "0x1af4\n",
        f"{base}/subsystem_device": "0x1100\n",
        f"{base}/class": f"0x{class_code}\n",
        f"{base}/driver": f"-> ../../../bus/pci/drivers/{driver}",
        f"{base}/resource": "0x0000000000000000 0x0000000000000000 0x0000000000000000\n" * 6,
        **{f"{base}/{node}/dev": "226:0\n" for node in nodes},
    }


@pytest.fixture(scope="module")
def root() -> Path:
    return container_root(default_folder())


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    """A guest's sysfs with two cards."""
    return grow(tmp_path, {
        **function("0000:00:05.0", "1234:1111", "030000", "bochs-drm", "drm/card0"),
        **function("0000:00:05.1", "8086:2668", "040300", "snd_hda_intel", "sound/card0/controlC0",
                   "sound/card0/pcmC0D0p"),
        **function("0000:00:06.0", "1002:74a1", "120000", "amdgpu", "drm/card1", "drm/renderD128"),
        "sys/class/kfd/": "",
    })  # fmt: skip


def judged(proof: Proof) -> list[str]:
    """The rules of the findings of a run that asked for two containers."""
    own = frozenset(function.id for function in proof.functions)
    findings = report_findings([], proof, Required("", containers=2), own)
    return [finding.rule for finding in findings]


def test_two_at_once(root: Path, guest: Path) -> None:
    """Two containers run at one time, and each has the device nodes of both cards."""
    proof = parse(in_guest(root, guest, NODES, TWO).stdout)
    assert (proof.complete, proof.problems) == (True, ())
    seen = ("/dev/dri/card0", "/dev/dri/card1", "/dev/dri/renderD128", "/dev/kfd",
            "/dev/snd/pcmC0D0p")  # fmt: skip
    assert proof.containers == tuple(
        ProofContainer(index, "podman", 0, 2, 0, seen, "") for index in range(2)
    )
    assert judged(proof) == []


def test_the_service(root: Path, guest: Path) -> None:
    """The profile's service is enabled, and systemd takes its unit."""
    script = f"systemctl is-enabled {UNIT_NAME}\nsystemd-analyze verify {UNIT_NAME}"
    assert in_guest(root, guest, NODES, script).stdout == "enabled\n"


def test_one_card_of_two(root: Path, guest: Path) -> None:
    """A container that names one card has its variable and its nodes, which work, and no others."""
    script = f"""mkdir /tmp/empty; tar -cf /tmp/empty.tar -C /tmp/empty .
podman import -q /tmp/empty.tar empty >/dev/null
podman run --rm --network none --device {KIND}=0000:00:05.0 -v /usr:/usr:ro -v /lib64:/lib64:ro \
  -v /lib:/lib:ro empty /usr/bin/sh -c 'PATH=/usr/bin; echo $WHOLECARD_CARD_0000_00_05_0
  echo /dev/dri/* /dev/snd/* /dev/kfd*; head -c 2 /dev/dri/card0 | od -An -tx1'"""
    assert in_guest(root, guest, NODES, script).stdout.splitlines() == [
        "0x1234:0x1111",
        "/dev/dri/card0 /dev/snd/controlC0 /dev/snd/pcmC0D0p /dev/kfd*",
        " 00 00",
    ]


# A specification of a version that podman does not know, which it leaves out, and the one of
# another boot, whose nodes are gone.
UNKNOWN = {"cdiVersion": "99.0.0", "kind": "vendor.example/gpu", "devices": [
    {"name": "0", "containerEdits": {"env": ["A=1"]}}]}  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "nodes", "words"),
    [
        (UNKNOWN, NODES, "unresolvable CDI devices vendor.example/gpu=0"),
        (None, {node: real for node, real in NODES.items() if node != "/dev/kfd"},
         "failed to stat CDI host device /dev/kfd"),
    ],
    ids=["version", "node"],
)  # fmt: skip
def test_refused_by_podman(
    root: Path, guest: Path, spec: dict[str, object] | None, nodes: dict[str, str], words: str
) -> None:
    """WC432, with podman's own words, where podman does not take a device of the specifications."""
    grow(guest, {"other.json": json.dumps(spec)} if spec else {})
    script = "cp /tmp/guest/other.json /run/cdi/\n" if spec else ""
    proof = parse(in_guest(root, guest, nodes, script + TWO).stdout)
    assert proof.complete
    assert [container.together for container in proof.containers] == [None, None]
    assert all(container.exit not in (None, 0) for container in proof.containers)
    assert all(words in container.text for container in proof.containers)
    assert judged(proof) == ["WC432", "WC432"]
