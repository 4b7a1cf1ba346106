"""The lab's emulated cards as nova has them, its flavors, its image, what a guest must show."""

from __future__ import annotations

from wholecard.cloud.operations.flavors import FlavorSpec
from wholecard.guest.proof.comparison import ExpectedFunction
from wholecard.guest.proof.hostdev import AskedCard
from wholecard.lab.parts.guest_image import DRIVER
from wholecard.nova.desired.resource_classes import class_of_ids

GPU = ("1002", "5046")
GPU_ALIAS = "gpu"
GPU_CLASS = class_of_ids(GPU)

GUEST_MEMORY_MIB = 256
# A card's audio function is bound to vfio-pci with it and offered to nobody: nova chooses functions
# one by one, and on a node with two cards a server got the GPU of one and the audio of the other.
CARD_FLAVOR = FlavorSpec(
    name="g1.card1", ram_mb=GUEST_MEMORY_MIB, vcpus=1, disk_gb=0,
    extra_specs={"pci_passthrough:alias": f"{GPU_ALIAS}:1"},
)  # fmt: skip
CARDS_FLAVOR = FlavorSpec(
    name="g1.card2", ram_mb=GUEST_MEMORY_MIB, vcpus=1, disk_gb=0,
    extra_specs={"pci_passthrough:alias": f"{GPU_ALIAS}:2"},
)  # fmt: skip
# A Debian guest with a driver for the cards, numba and the benchmark.
WORK_FLAVOR = FlavorSpec(
    name="g1.work2", ram_mb=640, vcpus=1, disk_gb=0,
    extra_specs={"pci_passthrough:alias": f"{GPU_ALIAS}:2"},
)  # fmt: skip
# A kernel and the agent, without a driver for the cards; and the Debian guest.
IMAGE = "proof-guest"
GUEST_IMAGE = "lab-guest"
BODIES = 1024

GPU_IN_GUEST = ExpectedFunction(*GPU, driver=None, name="GPU")
GPU_WITH_DRIVER = ExpectedFunction(*GPU, driver=DRIVER, name="GPU")

# What each flavor's guest must report, and which functions of it must come from one card.
EXPECTED = {
    CARD_FLAVOR.name: (GPU_IN_GUEST,),
    CARDS_FLAVOR.name: (GPU_IN_GUEST, GPU_IN_GUEST),
    WORK_FLAVOR.name: (GPU_WITH_DRIVER, GPU_WITH_DRIVER),
}
_TWO_CARDS = tuple(AskedCard(f"card {number}", (":".join(GPU),)) for number in (1, 2))
ASKED = {
    CARD_FLAVOR.name: _TWO_CARDS[:1],
    CARDS_FLAVOR.name: _TWO_CARDS,
    WORK_FLAVOR.name: _TWO_CARDS,
}
