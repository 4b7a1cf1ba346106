#!/usr/bin/python
# Copyright Wholecard
# SPDX-License-Identifier: Apache-2.0
"""A GPU host prepared for passthrough, and given back as it was."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host
short_description: Prepare a host to give whole GPUs to servers, or undo that
version_added: 0.1.0
description:
  - Sets what passthrough of the cards needs - kernel arguments, the initramfs, modprobe's files -
    as C(wholecard host apply) does, through a journal on the host that can be rolled back byte for
    byte. A run that was killed is finished by the next one.
  - It never reboots the host. RV(reboot_required) says that a reboot is needed, also when the
    task changed nothing because an earlier run did. Use M(ansible.builtin.reboot), then
    M(wholecard.gpu.host_check) with O(wholecard.gpu.host_check#module:verify=true).
  - A host that cannot be prepared fails before anything is changed, with the rule's code and its
    fix.
author: Wholecard (@wholecard)
options:
  state:
    description:
      - V(present) prepares the host for the cards.
      - V(absent) rolls back everything that V(present) applied, the newest first.
    type: str
    choices: [present, absent]
    default: present
  now:
    description:
      - Also bind the functions in the running boot. Not with O(root).
    type: bool
    default: false
  accept:
    description:
      - Codes of rules whose errors do not stop O(state=present). The plan does not change what they
        are about, for example a setting of the firmware; read them first.
      - What is refused on principle, such as half of an IOMMU group, cannot be accepted.
    type: list
    elements: str
    default: []
  discard_edits:
    description:
      - With O(state=absent), also undo files that were edited after they were applied. These edits
        are lost.
    type: bool
    default: false
extends_documentation_fragment:
  - wholecard.gpu.host
  - wholecard.gpu.host.cards
attributes:
  check_mode:
    support: full
    description: It makes the plan and changes nothing.
  diff_mode:
    support: full
    description: The diff is the text of C(wholecard host plan --full), or of
      C(wholecard host rollback --plan). Passwords are not shown.
notes:
  - It needs to be root on the host - use C(become).
  - Move the servers away from a host before it is rebooted, and run with C(serial) set to 1.
seealso:
  - module: wholecard.gpu.host_check
  - module: ansible.builtin.reboot
"""

EXAMPLES = r"""
- name: Prepare the cards, one host after the other
  hosts: gpu_hosts
  become: true
  serial: 1
  tasks:
    - name: Set what passthrough needs
      wholecard.gpu.host:
        all_cards: true
      register: prepared

    - name: Reboot if that is needed
      ansible.builtin.reboot:
      when: prepared.reboot_required

    - name: Every card must be bound since the boot
      wholecard.gpu.host_check:
        verify: true
        fail_on: warning
      when: not ansible_check_mode

- name: Two of four cards, and huge pages
  wholecard.gpu.host:
    cards: ["0000:41:00.0", "0000:c1:00.0"]
    desired:
      hugepages: ["1G:64"]

- name: What the site file says of this host
  wholecard.gpu.host:
    desired: "{{ lookup('ansible.builtin.pipe', 'wholecard site host --site site.yaml '
                 ~ (inventory_hostname | quote)) | from_json }}"

- name: Give the host back as it was
  wholecard.gpu.host:
    state: absent
"""

RETURN = r"""
reboot_required:
  description: Whether a reboot is needed - because of this run, or of an earlier one since which
    the host was not rebooted. In check mode, whether one would be.
  returned: success
  type: bool
actions:
  description: What was done, or in check mode would be done, in order. For O(state=absent) the
    actions that were undone.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: write-file
      subject: /etc/modprobe.d/wholecard.conf
      reason: vfio-pci is loaded before the drivers that would claim the functions.
      undo: remove it
journals:
  description: The journals that were written or rolled back.
  returned: success
  type: list
  elements: str
  sample: ["0001"]
findings:
  description: What the plan does not change and a person should know.
  returned: always
  type: list
  elements: dict
rules:
  description: The codes of the findings.
  returned: always
  type: list
  elements: str
notes:
  description: With O(state=absent), what was left as it is, and why.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wholecard.gpu.plugins.module_utils.agent import (
    CARD_OPTIONS,
    ROOT_OPTION,
    Agent,
    findings_text,
    rules,
)


def main() -> None:
    """Bring the host into the state."""
    module = AnsibleModule(
        argument_spec={
            **ROOT_OPTION,
            **CARD_OPTIONS,
            "state": {"choices": ["present", "absent"], "default": "present"},
            "now": {"type": "bool", "default": False},
            "accept": {"type": "list", "elements": "str", "default": []},
            "discard_edits": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    agent = Agent(module)
    change = _prepare if module.params["state"] == "present" else _roll_back
    module.exit_json(**change(module, agent))


def _prepare(module: AnsibleModule, agent: Agent) -> dict[str, Any]:
    """Plan, refuse what stays wrong, apply."""
    before = agent.ask("status")
    words = agent.card_words() + (["--now"] if module.params["now"] else [])
    plan = agent.ask("plan", *words)
    _refuse_errors(module, plan["findings"])
    # An apply that was killed is finished first, by its own plan; status says where it stopped.
    is_stopped = before["state"] == "applying"
    changed = bool(plan["actions"]) or is_stopped
    result = _result(changed, plan["actions"], plan["findings"])
    if module._diff and changed:
        texts = [agent.text("status")] if is_stopped else []
        texts += [agent.text("plan", *words, "--full")] if plan["actions"] else []
        result["diff"] = {"prepared": "\n".join(texts)}
    if not changed or module.check_mode:
        result["reboot_required"] = before["reboot_pending"] or (changed and plan["reboot_needed"])
        return result
    result["journals"] = agent.ask("apply", *words, "--yes")["journals"]
    result["reboot_required"] = agent.ask("status")["reboot_pending"]
    return result


def _refuse_errors(module: AnsibleModule, findings: list[dict[str, str]]) -> None:
    accepted = module.params["accept"]
    errors = [each for each in findings
              if each["severity"] == "error" and each["rule"] not in accepted]  # fmt: skip
    if errors:
        brief = "the host cannot be prepared as it is; nothing was changed"
        module.fail_json(msg=findings_text(brief, errors), findings=findings, rules=rules(findings))


def _roll_back(module: AnsibleModule, agent: Agent) -> dict[str, Any]:
    """Undo every journal that is in effect."""
    everything = ("--to", "0")
    before = agent.ask("status")
    changed = before["state"] != "clean"
    planned = agent.ask("rollback", "--plan", *everything) if changed else {"actions": []}
    result = _result(changed, planned["actions"], [])
    if module._diff and changed:
        result["diff"] = {"prepared": agent.text("rollback", "--plan", *everything)}
    _refuse_edits(module, planned.get("edited", []))
    if not changed or module.check_mode:
        needed = changed and planned["reboot_needed"]
        result["reboot_required"] = before["reboot_pending"] or needed
        return result
    words = ["--discard-edits"] if module.params["discard_edits"] else []
    outcome = agent.ask("rollback", *everything, "--yes", *words)
    result.update(journals=outcome["journals"], notes=outcome["notes"])
    result["reboot_required"] = agent.ask("status")["reboot_pending"]
    return result


def _refuse_edits(module: AnsibleModule, edited: list[str]) -> None:
    """The rollback itself refuses them too; so check mode says it, and nothing is begun."""
    if edited and not module.params["discard_edits"]:
        brief = "something was edited after it was applied; nothing was changed"
        advice = "Copy what you need, then set discard_edits to true."
        module.fail_json(msg="\n".join([brief, *edited, advice]), findings=[], rules=[])


def _result(
    changed: bool, actions: list[dict[str, Any]], findings: list[dict[str, str]]
) -> dict[str, Any]:
    """What both states answer. An action's own data is left out: it has whole files in it."""
    shown = [{name: value for name, value in each.items() if name != "do"} for each in actions]
    return {
        "changed": changed,
        "actions": shown,
        "findings": findings,
        "rules": rules(findings),
        "journals": [],
        "notes": [],
    }


if __name__ == "__main__":
    main()
