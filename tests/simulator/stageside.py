"""nova's own moves, seen after each of its commits: run with the Python that has nova.

Writes one JSON line an operation on standard output. API, conductor, scheduler, Placement and
nova-compute with its libvirt driver are nova's own, by its functional tests' base; libvirt is the
fake of these tests, and no disk is copied. At the start of each transaction the databases are read
through connections of their own: what any other reader can see between two statements of nova.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import sys
import threading
import unittest
import warnings

# Databases are files only where nova runs without eventlet (nova/tests/fixtures/nova.py).
os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "true"
# nova's modules print at import; the answers alone go to standard output.
ANSWERS_TO = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

# First: it forbids eventlet, which others would import.

import fixtures  # noqa: E402
from nova.tests import fixtures as nova_fixtures  # noqa: E402
from nova.tests.fixtures import libvirt as fake  # noqa: E402
from nova.tests.functional.libvirt import base  # noqa: E402
from sqlalchemy import event  # noqa: E402
from sqlalchemy.engine import Engine  # noqa: E402

from nova import context  # noqa: E402

# sqlalchemy 2.1 warns, and nova's fixture makes each warning an error.
nova_fixtures.WarningsFixture.setUp = fixtures.Fixture.setUp
nova_fixtures.StandardLogging.setUp = fixtures.Fixture.setUp
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

VENDOR, PRODUCT = "10de", "2330"
ROWS = (
    "SELECT c.hypervisor_hostname, d.address, d.status, d.instance_uuid FROM pci_devices d"
    " JOIN compute_nodes c ON c.id = d.compute_node_id WHERE d.deleted = 0 ORDER BY 1, 2"
)
SERVERS = "SELECT uuid, vm_state, task_state, host, deleted FROM instances ORDER BY id"
MOVES = (
    "SELECT uuid, migration_type, status, source_compute, dest_compute, instance_uuid"
    " FROM migrations ORDER BY id"
)
HELD = (
    "SELECT a.consumer_id, p.name, c.name, a.used FROM allocations a"
    " JOIN resource_providers p ON p.id = a.resource_provider_id"
    " JOIN resource_classes c ON c.id = a.resource_class_id ORDER BY 1, 2, 3"
)
RESERVED = (
    "SELECT p.name, c.name, i.total, i.reserved FROM inventories i"
    " JOIN resource_providers p ON p.id = i.resource_provider_id"
    " JOIN resource_classes c ON c.id = i.resource_class_id"
    " WHERE c.name LIKE 'CUSTOM%' ORDER BY 1"
)


class Watch:
    """What the four views show, each time that it differs from the last."""

    def __init__(self, computes):
        self.computes = computes
        self.paths = {}
        self.states = []
        self.names = {}
        self.lock = threading.Lock()
        self.on = False

    def begun(self, connection):
        path = connection.engine.url.database
        if path and not self.paths.get(path):
            self.paths[path] = self.kind(path)
        if self.on:
            self.look()

    @staticmethod
    def kind(path):
        with sqlite3.connect(path) as read:
            names = {name for (name,) in read.execute("SELECT name FROM sqlite_master")}
        if "resource_classes" in names:
            return "placement"
        return "cell" if "pci_devices" in names else ""

    def rows(self, kind, query):
        found = []
        for path, of in self.paths.items():
            if of == kind:
                read = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
                try:
                    found += [list(row) for row in read.execute(query)]
                finally:
                    read.close()
        return found

    def domains(self):
        found = []
        for host, compute in sorted(self.computes.items()):
            connection = compute.driver._host.get_connection()
            for domain in list(connection._vms.values()):
                devices = domain._def["devices"].get("hostdevs", [])
                found.append([
                    host, domain.UUIDString(), "running" if domain._state == 1 else "shut off",
                    sorted(
                        "0000:{bus:02x}:{slot:02x}.{function}".format(
                            **{key: int(one[key], 16) for key in ("bus", "slot", "function")}
                        )
                        for one in devices
                    ),
                ])  # fmt: skip
        return found

    def look(self):
        with self.lock:
            servers = self.rows("cell", SERVERS)
            moves = self.rows("cell", MOVES)
            for number, row in enumerate(servers):
                self.names.setdefault(row[0], f"server-{number + 1}")
            for number, row in enumerate(moves):
                self.names.setdefault(row[0], f"migration-{number + 1}")
            state = {
                "rows": self.rows("cell", ROWS),
                "servers": [row for row in servers if not row[-1]] and servers,
                "migrations": moves,
                "allocations": self.rows("placement", HELD),
                "inventories": self.rows("placement", RESERVED),
                "domains": self.domains(),
            }
            text = json.dumps(state)
            for given, name in self.names.items():
                text = text.replace(given, name)
            if not self.states or self.states[-1] != text:
                self.states.append(text)


class Moves(base.ServersTestBase):
    """Two hosts with three cards each."""

    ADMIN_API = True
    microversion = "latest"
    ADDITIONAL_FILTERS = ("NUMATopologyFilter", "PciPassthroughFilter")

    def setUp(self):
        self.flags(api_paste_config=f"{sys.prefix}/etc/nova/api-paste.ini", group="wsgi")
        self.specify({})
        self.flags(report_in_placement=True, group="pci")
        self.flags(pci_in_placement=True, group="filter_scheduler")
        super().setUp()
        # The names of these functions lead to the machine's own sysfs.
        self.useFixture(fixtures.MockPatch("nova.pci.utils.is_physical_function"))
        self.useFixture(fixtures.MockPatch("nova.pci.utils.get_function_by_ifname",
                                           return_value=(None, False)))  # fmt: skip
        self.disk_error = None

        def moved(driver, context, instance, *_, **__):
            if self.disk_error:
                raise self.disk_error
            driver.power_off(instance, 0, 0)
            return "{}"

        self.useFixture(
            fixtures.MonkeyPatch(
                "nova.virt.libvirt.driver.LibvirtDriver.migrate_disk_and_power_off", moved
            )
        )
        self.watch = Watch(self.computes)
        event.listen(Engine, "begin", self.watch.begun)
        self.addCleanup(event.remove, Engine, "begin", self.watch.begun)

    def specify(self, tags):
        device = {"vendor_id": VENDOR, "product_id": PRODUCT, "address": "0000:81:*"}
        self.flags(device_spec=[json.dumps({**device, **tags})],
                   alias=[json.dumps({"name": "gpu", "vendor_id": VENDOR, "product_id": PRODUCT,
                                      "device_type": "type-PCI"})], group="pci")  # fmt: skip

    def cards(self, count=3):
        devices = fake.HostPCIDevicesInfo(num_pci=0, num_pfs=0, num_vfs=0)
        for slot in range(count):
            devices.add_device("PCI", 0x81, slot, 0, 40 + slot, slot % 2, vend_id=VENDOR,
                               prod_id=PRODUCT, vend_name="V", prod_name="P",
                               driver_name="vfio-pci")  # fmt: skip
        return devices

    def start(self):
        for host in ("gpu-01", "gpu-02"):
            self.start_compute(hostname=host, pci_info=self.cards())
        self.one = self._create_flavor(extra_spec={"pci_passthrough:alias": "gpu:1"})
        self.two = self._create_flavor(extra_spec={"pci_passthrough:alias": "gpu:2"})

    def tell(self, name, work, *args, **kwargs):
        del self.watch.states[:]
        self.watch.on = True
        self.watch.look()
        error, result = "", None
        try:
            result = work(*args, **kwargs)
        except Exception as raised:  # what nova's own base raises is told
            error = repr(raised)[:300]
        self.watch.look()
        self.watch.on = False
        states = [json.loads(text) for text in self.watch.states]
        print(json.dumps({"name": name, "error": error, "states": states}),
              flush=True, file=ANSWERS_TO)  # fmt: skip
        return result

    def boot(self, flavor, host="gpu-01"):
        return self._create_server(flavor_id=flavor, host=host, networks="none")

    def run_periodics(self):
        self._run_periodics()

    def test_moves(self):
        self.start()
        server = self.tell("boot two cards", self.boot, self.two)
        self.tell("migrate", self._migrate_server, server, host="gpu-02")
        self.tell("periodic in VERIFY_RESIZE", self._run_periodics)
        self.tell("revert", self._revert_resize, server)
        self.tell("migrate again", self._migrate_server, server, host="gpu-02")
        self.tell("confirm", self._confirm_resize, server)
        self.tell("resize to one card", self._resize_server, server, self.one)
        self.tell("confirm resize", self._confirm_resize, server)
        self.tell("shelve", self._shelve_server, server)
        self.tell("unshelve", self._unshelve_server, server)
        host = self.api.get_server(server["id"])["OS-EXT-SRV-ATTR:host"]
        other = {"gpu-01": "gpu-02", "gpu-02": "gpu-01"}[host]
        self.computes[host].stop()
        self.admin_api.put_service(
            self.admin_api.get_services(binary="nova-compute", host=host)[0]["id"],
            {"forced_down": True})  # fmt: skip
        self.tell("evacuate", self._evacuate_server, server)
        self.tell("other host's periodic", self.periodic, other)
        self.tell("old host back", self.restart_compute_service, host)
        self.admin_api.put_service(
            self.admin_api.get_services(binary="nova-compute", host=host)[0]["id"],
            {"forced_down": False})  # fmt: skip
        self.tell("periodic", self._run_periodics)
        self.tell("delete", self._delete_server, server)

    def periodic(self, host):
        self.computes[host].manager.update_available_resource(context.get_admin_context())

    def test_devices(self):
        self.start()
        server = self.tell("boot one card", self.boot, self.one)
        spec = json.dumps({"vendor_id": VENDOR, "product_id": PRODUCT, "address": "0000:81:02.0"})
        self.flags(device_spec=[spec], group="pci")
        self.tell("periodic after device_spec changed", self.periodic, "gpu-01")
        self.tell("restart with device_spec", self.restart_compute_service, "gpu-01")
        self.tell("delete held and unlisted", self._delete_server, server)
        self.tell("periodic after it", self.periodic, "gpu-01")
        self.specify({})
        self.tell("restart with all", self.restart_compute_service, "gpu-01")
        server = self.tell("boot again", self.boot, self.one)
        connection = self.computes["gpu-01"].driver._host.get_connection()
        taken = sorted(connection.pci_info.devices)
        del connection.pci_info.devices[taken[0]]
        del connection.pci_info.devices[taken[1]]
        self.tell("periodic after devices left", self.periodic, "gpu-01")
        self.tell("restart after devices left", self.restart_compute_service, "gpu-01")
        self.tell("delete with its device gone", self._delete_server, server)
        self.tell("periodic then", self.periodic, "gpu-01")

    def test_one_time_use(self):
        self.specify({"one_time_use": "true"})
        self.start()
        server = self.tell("boot one time", self.boot, self.one)
        self.tell("periodic one time", self.periodic, "gpu-01")
        self.tell("migrate one time", self._migrate_server, server, host="gpu-02")
        self.tell("revert one time", self._revert_resize, server)
        self.tell("delete one time", self._delete_server, server)

    def test_failing(self):
        self.start()
        self.disk_error = RuntimeError("no space left on the destination")
        server = self.tell("boot", self.boot, self.one)
        self.tell("migrate that fails", self.fail_migration, server)
        self.tell("delete ERROR", self._delete_server, server)
        self.tell("periodics", self._run_periodics)

    def fail_migration(self, server):
        self.api.post_server_action(server["id"], {"migrate": {"host": "gpu-02"}})
        self._wait_for_state_change(server, "ERROR")


def main():
    broken = []
    for name in sys.argv[1:] or ("moves", "devices", "one_time_use", "failing"):
        result = unittest.TestResult()
        Moves(f"test_{name}").run(result)
        broken += [text for _, text in (*result.errors, *result.failures)]
    print(json.dumps({"broken": broken}), flush=True, file=ANSWERS_TO)


if __name__ == "__main__":
    main()
