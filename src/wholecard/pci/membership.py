"""Which functions belong to a card, beyond the question of slots.

A slot is mostly one card, and a card mostly one slot. The exceptions:

- A processor with graphics (APU) shows its GPU in one slot with the host's own functions: the
  security processor (PSP), USB, SATA, network, analog audio. AMD's graphics have ATI's vendor id
  1002, the processor's functions AMD's own, 1022 (pci.ids).
- Intel's Arc and Flex cards have a switch of their own, and their audio behind another port of
  it: 01:00.0 is the upstream port, 03:00.0 the GPU, 04:00.0 its audio.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from wholecard.pci.address import Address
    from wholecard.pci.function import Function
    from wholecard.pci.groups import IommuGroup

# The GPU's vendor, and the vendor of the processor that it may be a part of.
_GRAPHICS_OF = {"1002": "1022"}

# https://pci-ids.ucw.cz/read/PD: multimedia. Behind a card's own switch this is its audio.
_MULTIMEDIA = "04"


def is_of_processor(function: Function, slot: Iterable[Function]) -> bool:
    """Whether `function` is the processor's own, in one slot with the processor's graphics."""
    return not function.is_display and any(
        gpu.is_display and _GRAPHICS_OF.get(gpu.vendor) == function.vendor for gpu in slot
    )


def serves_host(
    function: Function,
    slot: Sequence[Function],
    groups: Mapping[Address, Sequence[IommuGroup]],
) -> bool:
    """Whether a function of a card's slot stays with the host: see the head of this file.

    One that shares its IOMMU group with another function of the slot which is the GPU's goes with
    it: VFIO gives whole groups. `groups` are those of each function of the slot, by address.
    """
    if not is_of_processor(function, slot):
        return False
    others = {each.address for each in slot if not is_of_processor(each, slot)}
    return not any(
        member.address in others
        for group in groups.get(function.address, ())
        for member in group.functions
    )


def behind_own_switch(slot: Sequence[Function], endpoints: Iterable[Function]) -> list[Function]:
    """The functions in other slots that belong to the GPU of `slot`, by address.

    The switch is the card's own where no other GPU is behind it; of what is, audio of the GPU's
    maker, as near to the upstream port as the GPU, is the card's. Intel alone builds cards so.
    """
    gpu = next(function for function in slot if function.is_display)
    below = [each for each in _behind_switch_of(gpu, endpoints) if each not in slot]
    if any(function.is_display for function in below):
        return []
    own = [function for function in below if _is_audio_of(gpu, function)]
    return sorted(own, key=lambda function: function.address)


def _behind_switch_of(gpu: Function, endpoints: Iterable[Function]) -> list[Function]:
    """All endpoints behind the switch that the GPU is behind, if its maker builds such cards."""
    # [root port, ..., upstream port, downstream port], then the GPU.
    if gpu.vendor != "8086" or len(gpu.parents) < 3:
        return []
    return [endpoint for endpoint in endpoints if gpu.parents[-2] in endpoint.parents]


def _is_audio_of(gpu: Function, function: Function) -> bool:
    """Whether a function behind the GPU's switch is audio of its maker, as near to the port."""
    return (
        function.vendor == gpu.vendor
        and function.class_code.startswith(_MULTIMEDIA)
        and len(function.parents) == len(gpu.parents)
    )
