"""Kolla-Ansible: files below `node_custom_config` (`/etc/kolla/config`).

It merges nova.conf from its own template, `nova/<service>.conf` and `nova/<host>/nova.conf`, key by
key: a later file's values replace all of an earlier one's, also of repeated options. So the file of
one host and the file for all hosts never set the same option. The files are Jinja templates.
Source: kolla-ansible, ansible/action_plugins/merge_configs.py, roles nova, nova-cell, placement.
"""

from __future__ import annotations

from wholecard.core import UsageError
from wholecard.core.capabilities import Capability, has
from wholecard.nova.options import Role
from wholecard.nova.render.drop_in_file import text
from wholecard.nova.render.layouts.cloud import Cloud

_JINJA = ("{{", "{%", "{#")


def files(cloud: Cloud) -> dict[str, str]:
    """A file for each service that reads an option for cards, and one for each host.

    Raises UsageError where Jinja would read a part of a text as its own.
    """
    # Until Rocky Kolla's placement-api is a service of its role nova.
    folder = "placement" if has(cloud.release, Capability.PLACEMENT_ALONE) else "nova"
    roles: dict[str, Role] = {
        "nova/nova-api.conf": "api",
        "nova/nova-scheduler.conf": "scheduler",
        "nova/nova-conductor.conf": "conductor",
        # In a cloud with several cells the super conductor does the scheduling.
        "nova/nova-super-conductor.conf": "conductor",
        "nova/nova-compute.conf": "compute",
        f"{folder}/placement-api.conf": "placement",
    }
    options = {path: (role, cloud.roles[role]) for path, role in roles.items()}
    for host, own in cloud.hosts.items():
        if host:
            options[f"nova/{host}/nova.conf"] = ("compute", own)
        else:
            options["nova/nova-compute.conf"] = ("compute", cloud.compute(""))
    texts = {
        path: text(role, required, cloud.release)
        for path, (role, required) in options.items()
        if required
    }
    for path, content in texts.items():
        if any(sign in content for sign in _JINJA):
            raise UsageError(
                f"Kolla-Ansible would read a part of {path} as a template",
                "It renders the file with Jinja, and a name in it has {{, {% or {#.",
                "Give the card another name.",
            )
    return texts
