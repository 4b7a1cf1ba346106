"""Kinds of card that are given in parts: `give` with `mdev`, `vfs` and `mig`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support import sites
from support.sites import FACTS, site
from wholecard.core import UsageError
from wholecard.core.releases import release
from wholecard.host.card_split import CardSplit
from wholecard.host.desired_state import DesiredState
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.desired.unsupported import UnsupportedError
from wholecard.site.give import Slice
from wholecard.site.give_checks import give_issues_on
from wholecard.site.host_state import desired_state_of
from wholecard.site.load import SiteFile

H100 = {"match": [{"vendor": "10de", "product": "2330"}]}
L40S = "release: 2026.2\ncards:\n  a:\n    match: [{vendor: 10de, product: 26b9}]\n    give: %s\n"
SIZES = (
    "NVML API, nvmlDeviceSetVgpuHeterogeneousMode; bigstack-oss/cubecos, tried on an RTX PRO 6000 "
    "(2026-08-21) (2026-11-30)"
)

# What is written as `give` of an L40S, and the one issue of it.
GIVES = [
    ("{policy: vfs, types: {NVIDIA L40S-12Q: 4}}", ""),
    ("{policy: vfs, count: 2}", ""),
    ("vfs", "5:5: how many VFs is not said; write count, or types"),
    ("{policy: vfs}", "5:5: how many VFs is not said; write count, or types"),
    ("{policy: vfs, count: 3, types: {NVIDIA L40S-12Q: 4}}",
     "5:25: count is 3, and the types need 4 VFs; remove count, or write a larger one"),
    ("{policy: vfs, types: {NVIDIA L40S-12Q: {count: 4, name: a}, NVIDIA L40S-24Q: 1}}",
     "5:71: the kind has 2 types, and this one has no name; for example NVIDIA L40S-24Q: "
     "{count: 1, name: …}"),
    ("{policy: vfs, types: {NVIDIA L40S-12Q: {count: 4, name: x}, NVIDIA L40S-24Q: {count: 1, "
     "name: x}}, mixed_sizes: true}",
     "5:71: the name 'x' is used for something else under cards; choose another name"),
    ("{policy: vfs, types: {NVIDIA L40S-12Q: {count: 4, name: x}, NVIDIA L40S-24Q: {count: 1, "
     "name: y}}}",
     "5:25: WC602: NVIDIA L40S-12Q and NVIDIA L40S-24Q have different sizes, and the card is not "
     f"in heterogeneous mode; source: {SIZES}"),
    ("{policy: mdev, types: {nvidia-558: {count: 4, name: x}, nvidia-559: {count: 1, name: y}}}",
     ""),
    ("{policy: mdev, types: {}}",
     "5:26: cards.a.give.types is a mapping: expected at least one entry"),
    ("{policy: mdev, types: {nvidia/558: 4}}",
     "5:34: 'nvidia/558' cannot be a key of cards.a.give.types: expected a type as the driver "
     "writes it: nvidia-558, or NVIDIA L40S-12Q"),
    ("{policy: mdev, types: {nvidia-558: few}}",
     "5:46: cards.a.give.types.nvidia-558 is 'few': expected a whole number"),
    ("{policy: mdev, types: {nvidia-558: {coutn: 4}}}",
     "5:47: cards.a.give.types.nvidia-558 has no key 'coutn'. Did you mean 'count'?"),
    ("{policy: mdev, types: {nvidia-558: 4}, mdae_by: host}",
     "5:50: cards.a.give has no key 'mdae_by'. Did you mean 'made_by'?"),
    ("{policy: mig, geometry: {1G.10gb: 1}, through: vfs, types: {A: 1}}",
     "5:36: '1G.10gb' cannot be a key of cards.a.give.geometry: expected a profile as nvidia-smi "
     "mig -lgip prints it: 1g.10gb. Did you mean '1g.10gb'?"),
    ("{policy: mig, geometry: {1g.10gb: 1}, types: {A: 1}}",
     "5:5: cards.a.give needs the key 'through'"),
    ("{policy: mig, geometry: {1g.10gb: 1}, through: vfs, types: {A: 1}}",
     "5:12: WC606: mig: the card has no MIG; source: NVIDIA MIG User Guide 620, Deployment "
     "Considerations; 610, Supported GPUs (2026-11-30)"),
]  # fmt: skip


@pytest.mark.parametrize(("give", "issue"), GIVES)
def test_give(
    give: str, issue: str, read: Callable[[str], SiteFile],
    faults_of: Callable[[str], list[str]],
) -> None:  # fmt: skip
    """What the file alone shows has a position, and says what to write instead."""
    if not issue:
        read(L40S % give)
    else:
        assert issue in faults_of(L40S % give)


# Further lines of a kind, or of a site, and the issue.
BESIDE = [
    ("    device_type: type-VF\n",
     "6:5: device_type is for whole cards, and these are given in parts (vfs); remove it, or write "
     "cards.a.give: whole"),
    ("    extra_function: true\n", ""),
    ("    device_type: type-PF\n    extra_function: true\n",
     "6:5: device_type is for whole cards, and these are given in parts (vfs); remove it, or write "
     "cards.a.give: whole"),
    ("flavors: {f: {ram: 1, vcpus: 1, cards: {a: 1}}}\n", ""),
    ("quotas: {p: {cards: {b: 1}}}\n", "6:22: there is no card 'b' in cards; known: a"),
    ("  b:\n    match: [{parent: mtty}]\n    give: whole\n",
     "7:14: a parent that is no PCI function has mediated devices only; write give: {policy: mdev, "
     "types: …}, or match by vendor and product"),
    ("  b:\n    match: [{parent: mtty, vendor: 10de}]\n"
     "    give: {policy: mdev, types: {mtty-1: 1}}\n",
     "7:14: parent is for what is no PCI function, and the other keys are of PCI functions; write "
     "one of the two"),
    ("  b:\n    match: [{parent: mtty}]\n    give: {policy: mdev, types: {mtty-1: "
     "{count: 1, name: a}}}\n",
     "8:34: the name 'a' is used for something else under cards; choose another name"),
    ("  b:\n    match: [{parent: mtty}]\n    give: {policy: mdev, types: {mtty-1: "
     "{count: 1, name: c}}}\nflavors: {f: {ram: 1, vcpus: 1, cards: {b: 1}}}\n",
     "9:41: 'b' is given in parts; name one of them: c"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "issue"), BESIDE)
def test_beside(
    more: str, issue: str, read: Callable[[str], SiteFile],
    faults_of: Callable[[str], list[str]],
) -> None:  # fmt: skip
    """Flavors and quotas know parts by their names; keys for whole cards are refused."""
    text = L40S % "{policy: vfs, types: {NVIDIA L40S-12Q: 4}}" + more
    if not issue:
        read(text)
    else:
        assert faults_of(text) == [issue]


def test_slices() -> None:
    """A part has the kind's name and class unless its type has its own."""
    given = site({
        "a": {**H100, "resource_class": "CUSTOM_A", "give": {
            "policy": "mig", "geometry": {"1g.10gb": 2}, "through": "vfs", "types": {
                "X": {"count": 2}, "Y": {"count": 1, "name": "y", "resource_class": "CUSTOM_Y"}}}},
        "b": {**H100, "give": {"policy": "vfs", "count": 3}},
    })  # fmt: skip
    assert given.slices == {
        "a": Slice("a", "a", "vfs", "X", 2, "CUSTOM_A"),
        "y": Slice("y", "a", "vfs", "Y", 1, "CUSTOM_Y"),
        "b": Slice("b", "b", "vfs", "", 3),
    }


def test_more_vfs_than_the_card_has() -> None:
    """The facts of a host say how many VFs its cards can have."""
    given = site({"a": {**H100, "give": {"policy": "vfs", "count": 17}}})
    issues = list(give_issues_on(given, "gpu-01", FACTS["gpu-01"], release("2026.2")))
    assert len(issues) == 8
    keys, what, hint = issues[0]
    assert keys == ("cards", "a", "give", "count")
    assert what == ("WC605: 17 VFs are asked for, and the PF has 16 (0000:19:00.0 on gpu-01)")
    assert hint.startswith("source: linux, Documentation/PCI/pci-iov-howto.rst")


def test_nova_needs_the_vfs() -> None:
    """Without VFs in the facts no device_spec can be written for them, and that is said."""
    with pytest.raises(UnsupportedError) as caught:
        pci_configs(site({"a": {**H100, "give": {"policy": "vfs", "count": 2}}}), FACTS,
                    release("2026.2"))  # fmt: skip
    assert "has no VFs in the host's facts" in str(caught.value)


def test_the_host_gets_it(read: Callable[[str], SiteFile], tmp_path: Any) -> None:
    """`site host` says which cards of the host are given whole, in parts and to containers."""
    host = sites.eight(audio=False)
    (tmp_path / "f.json").write_text("\n".join(host.to_lines()))
    file = read(
        "release: 2026.2\ncards:\n"
        "  whole: {match: [{address: '0000:19:00.0'}, {address: '0000:3b:00.0'}]}\n"
        "  kept: {match: [{address: '0000:4c:00.0'}], give: containers}\n"
        "  typed:\n    match: [{address: '0000:5d:00.0'}]\n"
        "    give: {policy: vfs, count: 8, types: {NVIDIA A: 2}, driver: nvidia}\n"
        "  plain:\n    match: [{address: '0000:9b:00.0', hosts: [gpu-01]}]\n"
        "    give: {policy: vfs, count: 3, scheduling: {exec_quantum_ms: 5}}\n"
        "  instances:\n    match: [{address: '0000:bb:00.0'}]\n"
        "    give: {policy: mig, geometry: {1g.10gb: 2}, through: mdev, types: {nvidia-9: 2}}\n"
        "  tty:\n    match: [{parent: mtty}]\n"
        "    give: {policy: mdev, types: {mtty-1: 2}, made_by: host}\n"
        "  drive:\n    match: [{address: '0000:81:00.0'}]\n"
        "    give: {policy: vfs, count: 2}\n    extra_function: true\n"
        "hosts: {gpu-01: {facts: f.json}, gpu-02: }\n"
    )
    desired = desired_state_of(file, "gpu-01")
    assert desired == DesiredState(
        ("0000:19:00", "0000:3b:00"),
        containers=("0000:4c:00",),
        splits=(
            CardSplit("0000:5d:00.0", "vfs", (("NVIDIA A", 2),), 8, driver="nvidia"),
            CardSplit("0000:81:00.0", "vfs", count=2),
            CardSplit("0000:9b:00.0", "vfs", count=3, scheduling=(("exec_quantum_ms", "5"),)),
            CardSplit("0000:bb:00.0", "mig", (("nvidia-9", 2),), geometry=(("1g.10gb", 2),),
                      through="mdev"),
            CardSplit("mtty", "mdev", (("mtty-1", 2),), made_by="host"),
        ),
    )  # fmt: skip
    assert DesiredState.from_json(desired.to_json()) == desired
    with pytest.raises(UsageError, match="the site has no facts of gpu-02"):
        desired_state_of(file, "gpu-02")
