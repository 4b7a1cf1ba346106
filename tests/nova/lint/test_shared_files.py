"""Files that a deployment tool writes for all services of nova alike."""

from __future__ import annotations

import pytest

from support.lint_hosts import ALIAS, FILTERS, H100, service
from wholecard.nova.lint import lint
from wholecard.nova.options import Role

# What openstack-ansible-os_nova's templates/nova.conf.j2 (2025.1) gives, without what no check
# reads: for a compute, and for the controllers, whose services share a file.
TAIL = f"""\
[wsgi]
api_paste_config = /etc/nova/api-paste.ini
[api]
vendordata_jsonfile_path = /etc/nova/vendor_data.json
dhcp_domain =
[scheduler]
workers = 8
max_attempts = 5
discover_hosts_in_cells_interval = 60
[filter_scheduler]
max_io_ops_per_host = 10
available_filters = nova.scheduler.filters.all_filters
available_filters = blazarnova.scheduler.filters.blazar_filter.BlazarFilter
{FILTERS}
host_subset_size = 10
track_instance_changes = True
[upgrade_levels]
compute=auto
[pci]
# PCI devices available to VMs
"""
HEAD = """\
# Ansible managed

[DEFAULT]
debug = False
use_journal = True
state_path = /var/lib/nova
cpu_allocation_ratio = 2.0
compute_driver = libvirt.LibvirtDriver
enabled_apis = osapi_compute,metadata
transport_url = rabbit://nova:secret@172.29.236.10:5671//nova?ssl=1
my_ip = 172.29.236.21
default_ephemeral_format = ext4
[oslo_messaging_notifications]
topics =
driver = noop
[image_cache]
manager_interval = 0
[placement]
region_name = RegionOne
[conductor]
workers = 8
[oslo_concurrency]
lock_path = /run/lock/nova
"""
COMPUTE = f"{HEAD}[libvirt]\nvirt_type = kvm\n{TAIL}device_spec = {H100}\nalias = {ALIAS}\n"
CONTROLLER = f"{HEAD}[api_database]\nconnection = mysql://x\n{TAIL}alias = {ALIAS}\n"


@pytest.mark.parametrize(
    ("text", "role"),
    [(COMPUTE, "compute"), *((CONTROLLER, role) for role in ("api", "scheduler", "conductor"))],
)
def test_clean(text: str, role: Role) -> None:
    """OpenStack-Ansible's own nova.conf has no findings, whichever service is checked."""
    assert lint([service(text, role, "2025.1")]) == []


def test_all_together() -> None:
    """Nor have its files of a whole cloud."""
    controllers: list[tuple[str, Role]] = [
        (CONTROLLER, "api"),
        (CONTROLLER, "scheduler"),
        (CONTROLLER, "conductor"),
    ]
    files = [*controllers, (COMPUTE, "compute")]
    assert lint([service(text, role, "2025.1", path=role) for text, role in files]) == []


def found(*files: tuple[str, Role]) -> list[tuple[str, str]]:
    services = [service(text, role, "2025.1", path=role) for text, role in files]
    return [(one.finding.rule, one.finding.subject) for one in lint(services)]


@pytest.mark.parametrize("role", ["api", "scheduler", "conductor", "compute"])
def test_notifications(role: Role) -> None:
    """Every service makes its notifiers by notification_format (nova/rpc.py, init): no note."""
    text = "[notifications]\nnotification_format = versioned\n"
    assert ("WC215", "[notifications] notification_format") not in found((text, role))


def test_missing_where_it_is_read() -> None:
    """What the file of a service that reads it lacks was written into the wrong file."""
    lacking = COMPUTE.replace(f"device_spec = {H100}\n", "")
    given = f"{CONTROLLER}device_spec = {H100}\n"
    assert ("WC215", "[pci] device_spec") in found((given, "api"), (lacking, "compute"))
    assert ("WC215", "[pci] device_spec") not in found((given, "api"), (COMPUTE, "compute"))


def test_of_one_service() -> None:
    """A file with the sections of two services is nobody's for all: the note stays."""
    text = f"[conductor]\nworkers = 8\n[filter_scheduler]\n{FILTERS}\n"
    assert found((text, "compute")) == [("WC215", "[filter_scheduler] enabled_filters")]
