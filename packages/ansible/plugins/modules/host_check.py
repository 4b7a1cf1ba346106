#!/usr/bin/python
# Copyright Wholecard
# SPDX-License-Identifier: Apache-2.0
"""What keeps a host from giving its GPUs to servers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_check
short_description: Check what prevents passthrough of a host's GPUs
version_added: 0.1.0
description:
  - Reports what prevents passthrough of the cards, each cause with a rule's code and a fix, as
    C(wholecard check) does.
  - With O(verify=true) it compares the host with what M(wholecard.gpu.host) applied, as
    C(wholecard host verify) does. Use it after the reboot.
  - It changes nothing.
author: Wholecard (@wholecard)
options:
  verify:
    description:
      - Compare the host with what was applied. O(cards), O(all_cards) and O(desired) are then not
        used.
    type: bool
    default: false
  fail_on:
    description:
      - V(error) fails if a finding is an error, V(warning) also if one is a warning, V(never) only
        reports.
      - Before M(wholecard.gpu.host) has prepared a host it usually has errors which that module
        corrects, so use V(never) then.
    type: str
    choices: [error, warning, never]
    default: error
extends_documentation_fragment:
  - wholecard.gpu.host
  - wholecard.gpu.host.cards
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It only reads.
seealso:
  - module: wholecard.gpu.host
"""

EXAMPLES = r"""
- name: See what prevents passthrough
  wholecard.gpu.host_check:
    all_cards: true
    fail_on: never
  register: checked

- name: Print the codes
  ansible.builtin.debug:
    var: checked.rules

- name: After the reboot, every card must be bound
  wholecard.gpu.host_check:
    verify: true
    fail_on: warning
"""

RETURN = r"""
findings:
  description: What was found, empty if all is well.
  returned: always
  type: list
  elements: dict
  sample:
    - rule: WC101
      subject: IOMMU
      severity: error
      message: The firmware has an IOMMU, but the kernel does not use it.
      fix: Boot with intel_iommu=on iommu=pt on the kernel's command line; apply adds it.
rules:
  description: The codes of the findings. C(wholecard rule CODE) explains each.
  returned: always
  type: list
  elements: str
  sample: [WC101, WC103]
evidence:
  description: With O(verify=true), the driver of each function and when it was bound at boot.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wholecard.gpu.plugins.module_utils.agent import (
    CARD_OPTIONS,
    ROOT_OPTION,
    Agent,
    findings_text,
    rules,
)

_FAILING = {"error": ("error",), "warning": ("error", "warning"), "never": ()}


def main() -> None:
    """Answer with the findings, and fail where they are as bad as `fail_on` says."""
    module = AnsibleModule(
        argument_spec={
            **ROOT_OPTION,
            **CARD_OPTIONS,
            "verify": {"type": "bool", "default": False},
            "fail_on": {"choices": list(_FAILING), "default": "error"},
        },
        supports_check_mode=True,
    )
    agent = Agent(module)
    is_verify = module.params["verify"]
    answer = agent.ask("verify") if is_verify else agent.ask("check", *agent.card_words())
    findings = answer["findings"]
    result = {"findings": findings, "rules": rules(findings), "evidence": answer["evidence"]}
    severities = _FAILING[module.params["fail_on"]]
    bad = [finding for finding in findings if finding["severity"] in severities]
    if bad:
        brief = "the host is not as it was applied" if is_verify else "the cards cannot be given"
        module.fail_json(msg=findings_text(brief, bad), **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
