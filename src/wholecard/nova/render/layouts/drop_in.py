"""Files for `/etc/nova/nova.conf.d` and `/etc/placement/placement.conf.d`, one folder a service."""

from __future__ import annotations

from wholecard.nova.options import ROLES
from wholecard.nova.render.drop_in_file import service, text
from wholecard.nova.render.layouts.cloud import Cloud

# Late in the folder: where two files set a single value, nova takes the last.
NAME = "90-wholecard.conf"


def files(cloud: Cloud) -> dict[str, str]:
    """One file for each role, and for nova-compute one for each host."""
    texts = {
        f"{service(role, cloud.release)}/{NAME}": text(role, cloud.roles[role], cloud.release)
        for role in ROLES
        if role != "compute"
    }
    for host in cloud.hosts:
        folder = f"nova-compute/{host}" if host else "nova-compute"
        texts[f"{folder}/{NAME}"] = text("compute", cloud.compute(host), cloud.release)
    return texts
