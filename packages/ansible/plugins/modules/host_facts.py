#!/usr/bin/python
# Copyright Wholecard
# SPDX-License-Identifier: Apache-2.0
"""What a GPU host has, as facts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_facts
short_description: Read which GPUs a host has and how they are bound
version_added: 0.1.0
description:
  - Reads the PCI functions, cards, IOMMU groups, drivers and boot settings of a host, and what
    M(wholecard.gpu.host) has applied on it.
  - The facts are those of C(wholecard inspect --json). C(wholecard site init --facts FILE) reads
    them, so they can be saved on the controller to write a site file.
author: Wholecard (@wholecard)
options:
  domains:
    description: Also read libvirt's domains with their devices, and mediated devices.
    type: bool
    default: false
extends_documentation_fragment: wholecard.gpu.host
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It only reads.
seealso:
  - module: wholecard.gpu.host_check
  - module: wholecard.gpu.host
"""

EXAMPLES = r"""
- name: Read the cards
  wholecard.gpu.host_facts:

- name: Name them
  ansible.builtin.debug:
    msg: "{{ ansible_facts.wholecard.cards | map(attribute='slot') | list }}"

- name: Keep the facts on the controller, for wholecard site init
  ansible.builtin.copy:
    content: "{{ ansible_facts.wholecard | to_nice_json }}"
    dest: "facts/{{ inventory_hostname }}.json"
    mode: "0644"
  delegate_to: localhost
  become: false
"""

RETURN = r"""
ansible_facts:
  description: The facts. They contain no passwords of the kernel's command line.
  returned: always
  type: dict
  contains:
    wholecard:
      description: What C(wholecard inspect --json) prints.
      returned: always
      type: dict
      sample: {"schema": 2, "cards": [{"slot": "0000:41:00"}], "functions": []}
    wholecard_status:
      description: What C(wholecard host status --json) prints - what was applied, and what has
        changed since.
      returned: always
      type: dict
      sample: {"state": "applied", "journal": "0001", "reboot_pending": false, "drift": []}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wholecard.gpu.plugins.module_utils.agent import (
    ROOT_OPTION,
    Agent,
)


def main() -> None:
    """Answer with the host's facts."""
    options = {**ROOT_OPTION, "domains": {"type": "bool", "default": False}}
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    agent = Agent(module)
    words = ["--domains"] if module.params["domains"] else []
    facts = {"wholecard": agent.ask("inspect", *words), "wholecard_status": agent.ask("status")}
    module.exit_json(changed=False, ansible_facts=facts)


if __name__ == "__main__":
    main()
