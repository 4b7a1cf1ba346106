"""Kinds of card that stay with their hosts: `give: containers`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.sites import FACTS, site
from wholecard.cloud.planning.desired import desired_cloud
from wholecard.core.releases import release
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.desired.unsupported import UnsupportedError
from wholecard.site.card_matching import count_of, matched_twice

H100S = {"match": [{"vendor": "10de", "product": "2330"}]}
KEPT = {"match": [{"address": "0000:19:00.0", "hosts": ["gpu-01"]}], "give": "containers"}
NOVA = release("2026.2")


def _specs(cards: dict[str, Any], **more: Any) -> dict[str, list[str | None]]:
    """The addresses in each host's device_specs, None for one by ids alone."""
    configs = pci_configs(site(cards, **more), FACTS, NOVA)
    return {host: [spec.address for spec in config.device_specs]
            for host, config in configs.items()}  # fmt: skip


def test_nova_does_not_know_the_kept_card() -> None:
    """One of eight stays: its host gives the others by address, and another host all by ids."""
    specs = _specs({"h100": H100S, "kept": KEPT})
    assert len(specs["gpu-01"]) == 7
    assert "0000:19:00.0" not in specs["gpu-01"]
    assert specs["gpu-02"] == [None]
    aliases = pci_configs(site({"h100": H100S, "kept": KEPT}), FACTS, NOVA)["gpu-01"].aliases
    assert [alias.name for alias in aliases] == ["h100"]


def test_counts_leave_it_out() -> None:
    """The kinds count 7 and 1, and no function is of both."""
    both = site({"h100": H100S, "kept": KEPT})
    counts = {name: count_of(kind, "gpu-01", FACTS["gpu-01"]) for name, kind in both.cards.items()}
    assert counts == {"h100": 7, "kept": 1}
    assert list(matched_twice(both, "gpu-01", FACTS["gpu-01"])) == []


def test_without_facts_nothing_is_guessed() -> None:
    """Ids alone would give the kept card too, so a host without facts is refused."""
    without: dict[str, Any] = {"gpu-01": {}}
    typed = {**H100S, "device_type": "type-PF"}
    with pytest.raises(UnsupportedError) as caught:
        pci_configs(site({"h100": typed, "kept": KEPT}, hosts=without), {}, NOVA)
    assert "which of its cards stay with the host" in str(caught.value)


def test_the_cloud_does_not_know_it() -> None:
    """Flavors, quotas and traits of the cloud are those of a site without the kind."""
    flavors = {"one": {"ram": 8, "vcpus": 1, "cards": {"h100": 1}}}
    with_kept = desired_cloud(site({"h100": H100S, "kept": KEPT}, flavors=flavors), FACTS, NOVA)
    assert with_kept == desired_cloud(site({"h100": H100S}, flavors=flavors), FACTS, NOVA)


@pytest.mark.parametrize(
    ("key", "value"),
    [("traits", "[CUSTOM_A]"), ("resource_class", "CUSTOM_A"), ("numa_policy", "preferred"),
     ("device_type", "type-PF"), ("extra_function", "false"), ("one_time_use", "true")],
)  # fmt: skip
def test_keys_for_nova_are_refused(
    key: str, value: str, faults_of: Callable[[str], list[str]]
) -> None:
    """What says how nova gives a card has no meaning where nova does not know it."""
    text = (
        "release: 2026.2\ncards:\n  kept:\n    match: [{address: '0000:19:00.0'}]\n"
        f"    give: containers\n    {key}: {value}\n"
    )
    (fault,) = faults_of(text)
    assert fault == (
        f"6:5: {key} is for nova, and the cards stay with their hosts (give: containers); "
        "remove it, or write cards.kept.give: whole"
    )


@pytest.mark.parametrize(
    ("user", "line"),
    [("flavors: {f: {ram: 1, vcpus: 1, cards: {kept: 1}}}", 8),
     ("quotas: {p: {cards: {kept: 1}}}", 8)],
)  # fmt: skip
def test_no_server_can_ask_for_it(
    user: str, line: int, faults_of: Callable[[str], list[str]]
) -> None:
    """A flavor or quota that names the kind is an issue at its position, with what to write."""
    text = (
        "release: 2026.2\ncards:\n  h100: {match: [{vendor: 10de, product: '2330'}]}\n"
        "  kept:\n    match: [{address: '0000:19:00.0'}]\n    give: containers\n"
        f"hosts: {{gpu-01: {{cards: {{h100: 7, kept: 1}}}}}}\n{user}\n"
    )
    (fault,) = faults_of(text)
    assert fault.startswith(f"{line}:")
    assert "'kept' stays with its host (give: containers); no server can get it" in fault


def test_a_wider_kind_for_containers_is_an_overlap(
    faults_of: Callable[[str], list[str]],
) -> None:
    """A kind that takes every card from a kind for servers is refused as any overlap."""
    text = (
        "release: 2026.2\ncards:\n  h100: {match: [{vendor: 10de, product: '2330'}]}\n"
        "  kept: {match: [{vendor: 10de}], give: containers}\n"
    )
    (fault,) = faults_of(text)
    assert "matches functions that cards.h100 matches too" in fault
