"""Kolla-Ansible: files below `node_custom_config` (`/etc/kolla/config`).

It merges nova.conf from its own template, `nova/<service>.conf` and `nova/<host>/nova.conf`, key by
key: a later file's values replace all of an earlier one's, also of repeated options. So what each
host has for itself and what all share never set the same option. The files are Jinja templates.
Source: kolla-ansible, ansible/action_plugins/merge_configs.py, roles nova, nova-cell, placement.
"""

from __future__ import annotations

from wholecard.core import UsageError
from wholecard.core.capabilities import Capability, has
from wholecard.nova.desired.required_options import RequiredOption
from wholecard.nova.layouts.cloud import Cloud
from wholecard.nova.options import Role
from wholecard.nova.render.drop_in_file import text

_JINJA = ("{{", "{%", "{#")


def files(cloud: Cloud) -> dict[str, str]:
    """A file for each service that has something to read, and one for each host.

    Raises UsageError where a text would be taken for a template's.
    """
    made: dict[str, str] = {}
    for path, role in _paths(cloud).items():
        _put(made, path, role, cloud.roles[role], cloud)
    for host, own in cloud.hosts.items():
        if host:
            _put(made, f"nova/{host}/nova.conf", "compute", own, cloud)
        else:
            _put(made, "nova/nova-compute.conf", "compute", cloud.compute(""), cloud)
    for path, written in made.items():
        if any(sign in written for sign in _JINJA):
            raise UsageError(
                f"{path} would be read as a template",
                "Kolla-Ansible renders it with Jinja, and a name in it has {{, {% or {#.",
                "Name the card otherwise.",
            )
    return made


def _paths(cloud: Cloud) -> dict[str, Role]:
    """Until Rocky Kolla's placement-api is a service of the role nova."""
    folder = "placement" if has(cloud.of, Capability.PLACEMENT_ALONE) else "nova"
    return {
        "nova/nova-api.conf": "api",
        "nova/nova-scheduler.conf": "scheduler",
        "nova/nova-conductor.conf": "conductor",
        # In a cloud of several cells it is the super conductor that schedules.
        "nova/nova-super-conductor.conf": "conductor",
        "nova/nova-compute.conf": "compute",
        f"{folder}/placement-api.conf": "placement",
    }


def _put(
    made: dict[str, str], path: str, role: Role, found: tuple[RequiredOption, ...], cloud: Cloud
) -> None:
    if found:
        made[path] = text(role, found, cloud.of)
