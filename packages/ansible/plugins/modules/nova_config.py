#!/usr/bin/python
# Copyright Wholecard
# SPDX-License-Identifier: Apache-2.0
"""nova's configuration for the cards, written for the tool that deploys nova."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nova_config
short_description: Render nova's configuration for the cards of a site file
version_added: 0.1.0
description:
  - Runs C(wholecard nova render) and writes the files that Kolla-Ansible, OpenStack-Ansible or
    another tool merges into nova's own.
  - It runs where the site file and these files are, which usually is the controller, so use
    C(delegate_to=localhost) and C(run_once). It does not touch the GPU hosts and restarts nothing;
    the deployment tool does that.
  - A file that Wholecard did not write is never changed; the task then fails and nothing is
    written.
  - Without O(dest) nothing is written, and the texts are in RV(files).
author: Wholecard (@wholecard)
options:
  site:
    description: The site file.
    type: path
    required: true
  layout:
    description: The tool that the files are for.
    type: str
    choices: [drop-in, kolla, openstack-ansible, charms, rhoso]
    default: drop-in
  dest:
    description:
      - The folder of the files, for Kolla-Ansible C(/etc/kolla/config), for Kayobe
        C($KAYOBE_CONFIG_PATH/kolla/config).
    type: path
  scheduler_files:
    description:
      - Files that nova-scheduler reads now, in its order. Its list of filters is kept.
    type: list
    elements: path
    default: []
  release:
    description: The release of OpenStack, if it is not the one of the site file.
    type: str
  backup:
    description: Keep a copy of each file that is changed, beside it.
    type: bool
    default: false
  executable:
    description:
      - The C(wholecard) command. It has its own Python environment, which does not need to be that
        of Ansible.
    type: path
    default: wholecard
requirements:
  - The C(wholecard) command, Python 3.11 or later, where the module runs.
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
seealso:
  - module: wholecard.gpu.host
"""

EXAMPLES = r"""
- name: Render for Kolla-Ansible
  wholecard.gpu.nova_config:
    site: /etc/wholecard/site.yaml
    layout: kolla
    dest: /etc/kolla/config
  delegate_to: localhost
  run_once: true

- name: Render once, without writing
  wholecard.gpu.nova_config:
    site: /etc/wholecard/site.yaml
  delegate_to: localhost
  run_once: true
  register: nova

- name: Install the drop-in of this host
  ansible.builtin.copy:
    content: "{{ nova.files[path].after }}"
    dest: /etc/nova/nova.conf.d/90-wholecard.conf
    mode: "0644"
    backup: true
  vars:
    path: "nova-compute/{{ inventory_hostname }}/90-wholecard.conf"
  notify: Restart nova-compute
"""

RETURN = r"""
files:
  description: Every file by its path below O(dest), with its text before and after. The former is
    null if the file was not there.
  returned: success
  type: dict
  sample: {"nova/nova-api.conf": {"before": null, "after": "# Written by Wholecard ..."}}
changed_files:
  description: The paths of the files that were written, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [nova/nova-api.conf, nova/gpu-01/nova.conf]
backups:
  description: The copies of the former files.
  returned: if O(backup=true)
  type: list
  elements: str
"""

import json
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

_LAYOUTS = ["drop-in", "kolla", "openstack-ansible", "charms", "rhoso"]


def main() -> None:
    """Render, compare, write."""
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "path", "required": True},
            "layout": {"choices": _LAYOUTS, "default": "drop-in"},
            "dest": {"type": "path"},
            "scheduler_files": {"type": "list", "elements": "path", "default": []},
            "release": {"type": "str"},
            "backup": {"type": "bool", "default": False},
            "executable": {"type": "path", "default": "wholecard"},
        },
        supports_check_mode=True,
    )
    dest = module.params["dest"]
    planned = _render(module, ["--dry-run"] if dest else [])
    changed = [file for file in planned["files"] if dest and file["before"] != file["after"]]
    result: dict[str, Any] = {
        "changed": bool(changed),
        "files": {file.pop("path"): file for file in map(dict, planned["files"])},
        "changed_files": [file["path"] for file in changed],
    }
    if module._diff:
        result["diff"] = [_diff(dest, file) for file in changed]
    if changed and not module.check_mode:
        if module.params["backup"]:
            former = [file["path"] for file in changed if file["before"] is not None]
            result["backups"] = [module.backup_local(os.path.join(dest, path)) for path in former]
        _render(module, [])
    for warning in planned["warnings"]:
        module.warn(warning)
    module.exit_json(**result)


def _render(module: AnsibleModule, words: list[str]) -> dict[str, Any]:
    """What `wholecard nova render` answers. Ends the module with its error where it fails."""
    asked = module.params
    wholecard = module.get_bin_path(asked["executable"], required=True)
    argv = [wholecard, "nova", "render", "--json", *words]
    argv += ["--site", asked["site"], "--layout", asked["layout"]]
    argv += ["--output", asked["dest"]] if asked["dest"] else []
    argv += ["--release", asked["release"]] if asked["release"] else []
    for path in asked["scheduler_files"]:
        argv += ["--conf", f"scheduler={path}"]
    status, answer, errors = module.run_command(argv, expand_user_and_vars=False)
    try:
        data: dict[str, Any] = json.loads(answer)
    except ValueError:
        data = {}
    if status != 0 or "files" not in data:
        error = data.get("error", {})
        lines = [error.get(name, "") for name in ("brief", "details", "resolution")]
        said = "\n".join(line for line in lines if line) or errors.strip()
        module.fail_json(msg=said or f"wholecard ended with {status}")
    return data


def _diff(dest: str, file: dict[str, Any]) -> dict[str, str]:
    path = os.path.join(dest, file["path"])
    return {
        "before": file["before"] or "",
        "after": file["after"],
        "before_header": path if file["before"] is not None else "/dev/null",
        "after_header": path,
    }


if __name__ == "__main__":
    main()
