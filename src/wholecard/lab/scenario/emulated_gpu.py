"""The lab's emulated cards as nova has them, its flavors, its image, what a guest must show."""

from __future__ import annotations

from wholecard.cloud.operations.flavors import FlavorSpec
from wholecard.guest.proof.hostdev import AskedCard
from wholecard.guest.proof.record import ExpectedFunction
from wholecard.nova.desired.resource_classes import class_of_ids

GPU = ("1002", "5046")
AUDIO = ("8086", "293e")
GPU_ALIAS = "gpu"
AUDIO_ALIAS = "gpu-audio"
GPU_CLASS = class_of_ids(GPU)
AUDIO_CLASS = class_of_ids(AUDIO)

GUEST_MEMORY_MIB = 256
CARDS_FLAVOR = FlavorSpec(
    name="g1.card2", ram_mb=GUEST_MEMORY_MIB, vcpus=1, disk_gb=0,
    extra_specs={"pci_passthrough:alias": f"{GPU_ALIAS}:2"},
)  # fmt: skip
WHOLE_FLAVOR = FlavorSpec(
    name="g1.whole1", ram_mb=GUEST_MEMORY_MIB, vcpus=1, disk_gb=0,
    extra_specs={"pci_passthrough:alias": f"{GPU_ALIAS}:1,{AUDIO_ALIAS}:1"},
)  # fmt: skip
IMAGE = "proof-guest"

GPU_IN_GUEST = ExpectedFunction(*GPU, driver=None, name="GPU")
AUDIO_IN_GUEST = ExpectedFunction(*AUDIO, driver="snd_hda_intel", name="audio")

# What each flavor's guest must report, and which functions of it must come from one card.
EXPECTED = {
    CARDS_FLAVOR.name: (GPU_IN_GUEST, GPU_IN_GUEST),
    WHOLE_FLAVOR.name: (GPU_IN_GUEST, AUDIO_IN_GUEST),
}
ASKED = {
    CARDS_FLAVOR.name: (
        AskedCard("card 1", (":".join(GPU),)),
        AskedCard("card 2", (":".join(GPU),)),
    ),
    WHOLE_FLAVOR.name: (AskedCard("card 1", (":".join(GPU), ":".join(AUDIO))),),
}
