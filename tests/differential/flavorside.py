"""Servers of real nova: run with the Python of an environment that has nova, nothing of ours.

Reads hosts with the servers to start on each as JSON lines on standard input, writes one answer a
line. API, conductor, scheduler, Placement and nova-compute with its libvirt driver are nova's own,
by its functional tests' base; libvirt is the fake of these tests, with the NUMA nodes, pages and
functions of the case. What nova would start is the XML that its driver hands to libvirt.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import sys
import time
import unittest
import uuid
import warnings

# nova's modules print at import; the answers alone go to standard output.
ANSWERS_TO = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import fixtures  # noqa: E402
from nova.tests import fixtures as nova_fixtures  # noqa: E402
from nova.tests.fixtures import libvirt as fake  # noqa: E402
from nova.tests.functional.api import client  # noqa: E402
from nova.tests.functional.fixtures import PlacementFixture  # noqa: E402
from nova.tests.functional.libvirt import base  # noqa: E402
from nova.virt.libvirt import config as vconfig  # noqa: E402
from nova.virt.libvirt import driver  # noqa: E402
from nova.virt.libvirt.host import Host  # noqa: E402

# sqlalchemy 2.1 warns, and nova's fixture makes each warning an error.
nova_fixtures.WarningsFixture.setUp = fixtures.Fixture.setUp
nova_fixtures.StandardLogging.setUp = fixtures.Fixture.setUp
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

# What the host has by its files, of which the fake libvirt has none.
FILES = {
    "supports_secure_boot": True, "supports_vtpm": True, "tpm_models": ["tpm-tis", "tpm-crb"],
    "tpm_versions": ["1.2", "2.0"],
}  # fmt: skip
GIVEN = {}
ANSWERS = []


def topology(nodes):
    """libvirt's NUMA cells of the case's nodes."""
    made = vconfig.LibvirtConfigCapsNUMATopology()
    for node in nodes:
        cell = vconfig.LibvirtConfigCapsNUMACell()
        cell.id, cell.memory = node["id"], node["memory_kib"]
        for number, siblings in enumerate(node["siblings"]):
            for thread in siblings:
                cpu = vconfig.LibvirtConfigCapsNUMACPU()
                cpu.id, cpu.socket_id, cpu.core_id = thread, node["id"], number
                cpu.siblings = set(siblings)
                cell.cpus.append(cpu)
        cell.mempages = fake.create_mempages([tuple(pages) for pages in node["pages"]])
        made.cells.append(cell)
    return made


def host_info(nodes):
    # The fake gives this number as MiB, as libvirt's own binding does, whatever its name.
    memory = sum(node["memory_kib"] for node in nodes) >> 10
    info = fake.HostInfo(cpu_nodes=len(nodes), kB_mem=memory)
    info.numa_topology = topology(nodes)
    info.cpus = sum(len(cpu) for node in nodes for cpu in node["siblings"])
    return info


def functions(rows):
    devices = fake.HostPCIDevicesInfo(num_pfs=0, num_vfs=0)
    for number, row in enumerate(rows):
        bus, slot, function = (
            int(part, 16) for part in row["address"][5:].replace(".", ":").split(":")
        )
        devices.add_device(
            "PF" if row["type"] == "type-PF" else "PCI", bus, slot, function, 40 + number,
            row["numa_node"], vend_id=row["vendor"], prod_id=row["product"], vend_name="V",
            prod_name="P", driver_name="vfio-pci", vf_ratio=1 if row["type"] == "type-PF" else None,
        )  # fmt: skip
    return devices


class Servers(base.ServersTestBase):
    """One host, and each server of the case started on it alone."""

    ADDITIONAL_FILTERS = ("NUMATopologyFilter", "PciPassthroughFilter")

    def setUp(self):
        # Where a wheel has it; nova's tests look beside its source.
        self.flags(api_paste_config=f"{sys.prefix}/etc/nova/api-paste.ini", group="wsgi")
        self.flags(device_spec=GIVEN["device_spec"], alias=GIVEN["alias"],
                   report_in_placement=GIVEN["report"], group="pci")  # fmt: skip
        self.flags(pci_in_placement=GIVEN["choose"], group="filter_scheduler")
        self.flags(cpu_dedicated_set=GIVEN["dedicated"], cpu_shared_set=GIVEN["shared"],
                   group="compute")  # fmt: skip
        self.flags(swtpm_enabled=True, swtpm_user="root", swtpm_group="root", virt_type="kvm",
                   group="libvirt")  # fmt: skip
        original = PlacementFixture._configure_placement

        def configured(this, conf_fixture):
            original(this, conf_fixture)
            for section, name, value in GIVEN["placement"]:
                conf_fixture.conf.set_override(name, value, section)

        self.useFixture(fixtures.MonkeyPatch(
            "nova.tests.functional.fixtures.PlacementFixture._configure_placement", configured
        ))  # fmt: skip
        self.flags(backend="nova.tests.functional.libvirt.test_vtpm.FakeKeyManager",
                   group="key_manager")  # fmt: skip
        self.flags(driver="nova.quota.NoopQuotaDriver", group="quota")
        super().setUp()
        every = {thread for node in GIVEN["nodes"] for cpu in node["siblings"] for thread in cpu}
        self.useFixture(fixtures.MonkeyPatch(
            "nova.virt.libvirt.host.Host.get_online_cpus", lambda host: every))  # fmt: skip
        for name, value in FILES.items():
            self.useFixture(fixtures.MonkeyPatch(f"nova.virt.libvirt.host.Host.{name}", value))
        read = Host.get_capabilities

        def capabilities(this):
            made = read(this)
            made.host.cpu.maxphysaddr = vconfig.LibvirtConfigGuestCPUMaxPhysAddr()
            made.host.cpu.maxphysaddr.mode = "emulate"
            made.host.cpu.maxphysaddr.bits = GIVEN["address_bits"]
            return made

        self.useFixture(fixtures.MonkeyPatch(
            "nova.virt.libvirt.host.Host.get_capabilities", capabilities))  # fmt: skip
        self.seen = []
        write = driver.LibvirtDriver._get_guest_xml

        def spy(this, *args, **kwargs):
            xml = write(this, *args, **kwargs)
            self.seen.append(xml)
            return xml

        self.useFixture(fixtures.MonkeyPatch(
            "nova.virt.libvirt.driver.LibvirtDriver._get_guest_xml", spy))  # fmt: skip

    def _get_connection(self, host_info=None, pci_info=None, *_, **__):
        return fake.Connection(
            "qemu:///system", version=10_000_000, hv_version=8_002_002,
            host_info=host_info, pci_info=pci_info, hostname="compute1",
        )  # fmt: skip

    def test_servers(self):
        self.start_compute(
            host_info=host_info(GIVEN["nodes"]), pci_info=functions(GIVEN["functions"])
        )
        for server in GIVEN["servers"]:
            ANSWERS.append({"name": server["name"], **self.started(server)})

    def started(self, server):
        flavor = self._create_flavor(
            memory_mb=server["ram"], vcpu=server["vcpus"], disk=1, ephemeral=0,
            extra_spec=server["extra_specs"],
        )  # fmt: skip
        body = self._build_server(
            flavor_id=flavor, image_uuid=self.image(server["properties"]), networks=[]
        )
        del self.seen[:]
        try:
            made = self.api.post_server({"server": body})
        except client.OpenStackApiException as error:
            return {"status": "REFUSED", "says": str(error), "xml": ""}
        for _ in range(1200):
            made = self.api.get_server(made["id"])
            if made["status"] != "BUILD":
                break
            time.sleep(0.05)
        says = made.get("fault", {}).get("message", "")
        self.delete(made["id"])
        return {"status": made["status"], "says": says, "xml": self.seen[-1] if self.seen else ""}

    def delete(self, server_id):
        """Wait longer than nova's own tests, which take 5 s for a failure: cores are shared."""
        self.api.delete_server(server_id)
        for _ in range(1200):
            try:
                self.api.get_server(server_id)
            except client.OpenStackApiNotFoundException:
                return
            time.sleep(0.05)
        self.fail(f"the server {server_id} is not deleted after a minute")

    def image(self, properties):
        when = datetime.datetime(2011, 1, 1, 1, 2, 3, tzinfo=datetime.timezone.utc)
        name = str(uuid.uuid4())
        self.glance.create(None, {
            "id": name, "name": "i", "created_at": when, "updated_at": when, "deleted_at": None,
            "deleted": False, "status": "active", "is_public": False, "container_format": "bare",
            "disk_format": "qcow2", "size": 1, "min_disk": 0, "min_ram": 0, "protected": False,
            "visibility": "public", "tags": [], "properties": properties,
        })  # fmt: skip
        return name


def main():
    for line in sys.stdin:
        GIVEN.clear()
        GIVEN.update(json.loads(line))
        del ANSWERS[:]
        result = unittest.TestResult()
        Servers("test_servers").run(result)
        broken = [text for _, text in (*result.errors, *result.failures)]
        print(json.dumps({"servers": ANSWERS, "broken": broken}), flush=True, file=ANSWERS_TO)


if __name__ == "__main__":
    main()
