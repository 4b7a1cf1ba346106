"""Which of Placement's providers below a host are cards: other services have some there too."""

from __future__ import annotations

from wholecard.cloud.placement.provider_tree import (
    ProviderTree,
    ResourceProvider,
    device_in_name,
)
from wholecard.explain.evidence.requested_devices import RequestedDevices, class_of


def address_in(provider: ResourceProvider) -> str:
    """The address in a provider's name, empty where it has none."""
    return device_in_name(provider.name)[1]


def card_providers(tree: ProviderTree | None) -> tuple[ResourceProvider, ...]:
    """The providers that nova-compute made for functions: those named after an address.

    Neutron's are named after agents and bridges (`gpu-01:Open vSwitch agent:br-ex`), nova's own of
    mediated devices after libvirt's node devices (`gpu-01_pci_0000_84_00_0`).
    """
    return tuple(provider for provider in (tree.below if tree else ()) if address_in(provider))


def has_cards(tree: ProviderTree | None, requested: RequestedDevices) -> bool:
    """Whether Placement has cards of every requested class, so that it knows who has them.

    Where the alias is not known, any card. Cyborg names its providers after addresses as well.
    """
    cards = card_providers(tree)
    classes = {class_of(request) for request in requested.requests}
    return bool(cards) and all(any(card.inventory(name) for card in cards) for name in classes)
