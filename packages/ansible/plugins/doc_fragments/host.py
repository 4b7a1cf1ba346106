"""What the modules that run on a GPU host have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Options, requirements and notes of host, host_check and host_facts."""

    DOCUMENTATION = r"""
options:
  root:
    description:
      - The host's root folder, if it is not C(/).
      - The root of a system that is not running, such as the tree of an image.
    type: path
    default: /
requirements:
  - Python 3.9 or later on the host, and nothing else.
notes:
  - The module carries the program C(wholecard-host) to the host, runs it there and removes it.
    Nothing needs to be installed on the host.
"""

    # The cards that check and plan are about.
    CARDS = r"""
options:
  cards:
    description:
      - The cards, by the PCI address of any of their functions, for example V(0000:41:00.0).
    type: list
    elements: str
    default: []
  all_cards:
    description:
      - Every card except the host's own displays and coprocessors.
    type: bool
    default: false
  desired:
    description:
      - The desired state of the host, as C(wholecard site host NAME) prints it.
        O(cards) and O(all_cards) add to it.
      - It has the keys V(cards), V(companions), V(parked), V(hugepages), V(isolated_cpus),
        V(loader), V(initramfs), V(blacklist), V(containers) and V(splits).
        All may be left out.
    type: dict
"""
