"""How long a move takes, and why it is not live."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.small_cloud import ALIAS, api
from wholecard.cloud.client.server_details import ServerDetails
from wholecard.core.releases import LATEST
from wholecard.moving.estimate import estimate
from wholecard.moving.live_migration import REFUSAL, live_answer, migratable_aliases
from wholecard.moving.record import HeldCard, Holdings, Method

SERVER = ServerDetails(
    "s", "train", "ACTIVE", "active", None, "gpu-01", "gpu-01", disk_gb=40, image_id="i",
    extra_specs={"pci_passthrough:alias": "h100:1"},
)  # fmt: skip
CARD = HeldCard("gpu-01_0000:41:00.0", "p", "gpu-01", "CUSTOM_PCI_10DE_2330", 1, "0000:41:00.0")
LIVE_CARD = replace(CARD, live_migratable=True)
VGPU = replace(CARD, provider="gpu-01_pci_0000_84_00_0", resource_class="VGPU", address="")


@pytest.mark.parametrize(
    ("fields", "method", "used", "bandwidth", "longest"),
    [
        ({}, Method.COLD, None, 100.0, 469.6),
        ({}, Method.COLD, 10.0, 100.0, 162.4),
        ({}, Method.COLD, None, 1000.0, 101.0),
        ({"vm_state": "stopped"}, Method.COLD, None, 100.0, 409.6),
        # The root disk is on a volume; ephemeral disk and swap are not.
        ({"image_id": None}, Method.COLD, None, 100.0, 60.0),
        ({"image_id": None, "ephemeral_gb": 8, "swap_mb": 1500}, Method.COLD, None, 100.0, 162.4),
        ({"properties": {"os_shutdown_timeout": "300"}}, Method.COLD, 0.0, 100.0, 300.0),
        ({"properties": {"os_shutdown_timeout": "long"}}, Method.COLD, 0.0, 100.0, 60.0),
        ({}, Method.LIVE, None, 100.0, 409.6),
        ({}, Method.EVACUATE, None, 100.0, 0.0),
    ],
)
def test_longest(
    fields: dict[str, object], method: Method, used: float | None, bandwidth: float, longest: float
) -> None:
    """The disk that is copied at the bandwidth, and how long nova waits for a guest that runs."""
    server = replace(SERVER, **fields)  # type: ignore[arg-type]
    assert estimate(server, method, bandwidth, used).longest == pytest.approx(longest, abs=0.1)


@pytest.mark.parametrize(
    ("cards", "aliases", "possible", "words"),
    [
        ([CARD], {}, False, "its device_spec does not say so"),
        ([CARD], {"h100": True}, False, "its device_spec does not say so"),
        ([LIVE_CARD], {"h100": False}, False, "the alias h100 does not say"),
        ([LIVE_CARD], {"h100": True}, True, "are live-migratable"),
        ([LIVE_CARD], {}, None, "whether the alias says so is not known"),
        ([], {}, False, "Placement does not count its devices"),
    ],
)
def test_alias(
    cards: list[HeldCard], aliases: dict[str, bool], possible: bool | None, words: str
) -> None:
    """nova asks for live_migratable in alias and device_spec; a refusal has nova's own words."""
    answer = live_answer(SERVER, Holdings(tuple(cards)), aliases)
    assert answer.possible is possible
    assert words in answer.why
    assert (REFUSAL in answer.why) is (possible is False)


@pytest.mark.parametrize(
    ("fields", "holdings", "possible"),
    [
        ({"vm_state": "stopped"}, Holdings(), False),
        ({}, Holdings(), True),
        ({}, Holdings((VGPU,)), None),
        ({}, Holdings((CARD,)), None),
        ({}, Holdings(read=False), None),
    ],
)
def test_without_alias(
    fields: dict[str, object], holdings: Holdings, possible: bool | None
) -> None:
    """A server without a card is migrated live while it runs; of other devices less is known."""
    server = replace(SERVER, extra_specs={}, **fields)  # type: ignore[arg-type]
    assert live_answer(server, holdings).possible is possible


@pytest.mark.parametrize(
    ("qemu", "possible", "words"),
    [
        (0, None, "both hosts need libvirt 8.6, QEMU 8.1 and Linux 5.18"),
        (8_000_005, False, "its host has QEMU 8.0.5"),
        (8_001_000, True, "its host has QEMU 8.1.0"),
        (10_000_013, True, "its host has QEMU 10.0.13"),
    ],
)
def test_mediated_device(qemu: int, possible: bool | None, words: str) -> None:
    """nova moves a mediated device live from QEMU 8.1 on."""
    server = replace(SERVER, extra_specs={"resources:VGPU": "1"})
    answer = live_answer(server, Holdings((VGPU,)), qemu=qemu)
    assert (answer.possible, words in answer.why) == (possible, True)


def test_aliases_of_a_file() -> None:
    """An alias is live-migratable where each of its values says so; without a file none is."""
    other = ALIAS.replace("h100", "live").replace("}", ', "live_migratable": "yes"}')
    assert migratable_aliases(api((ALIAS, other)), LATEST) == {"h100": False, "live": True}
    assert migratable_aliases(None, LATEST) == {}
