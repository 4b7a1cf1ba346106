"""Files for `/etc/nova/nova.conf.d` and `/etc/placement/placement.conf.d`, one folder a service."""

from __future__ import annotations

from wholecard.nova.layouts.cloud import Cloud
from wholecard.nova.options import ROLES
from wholecard.nova.render.drop_in_file import service, text

# Late in the folder: of a single value nova takes the last.
NAME = "90-wholecard.conf"


def files(cloud: Cloud) -> dict[str, str]:
    """One file for each role, and for nova-compute one for each host."""
    made = {
        f"{service(role, cloud.of)}/{NAME}": text(role, cloud.roles[role], cloud.of)
        for role in ROLES
        if role != "compute"
    }
    for host in cloud.hosts:
        folder = f"nova-compute/{host}" if host else "nova-compute"
        made[f"{folder}/{NAME}"] = text("compute", cloud.compute(host), cloud.of)
    return made
