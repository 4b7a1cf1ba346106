"""nova's fake driver with invented cards, and domains as libvirt has them.

Each domain keeps the addresses that nova gave it when it was made, and all outlive nova-compute in
`/lab/computes/HOST.json`, from which the tests also take what the host says. Imported where nova
has decided on its threading (`computeside.py`).
"""

import json
import threading
import uuid
from pathlib import Path

from nova.compute import power_state
from nova.virt import fake
from oslo_serialization import jsonutils

FOLDER = Path("/lab/computes")
CARDS = 1


def devices(cards):
    """The cards as a driver reports them to the resource tracker; half on each NUMA node."""
    addresses = [f"0000:{0x10 + number * 8:02x}:00.0" for number in range(cards)]
    return [
        {
            "address": address, "vendor_id": "10de", "product_id": "2330",
            "dev_id": "pci_" + address.replace(":", "_").replace(".", "_"),
            "dev_type": "type-PCI", "parent_addr": None, "numa_node": number * 2 // cards,
            "label": "label_10de_2330",
        }
        for number, address in enumerate(addresses)
    ]  # fmt: skip


def uuid_of(name):
    """The id of a host's compute node: the same after each start."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


class CardsDriver(fake.FakeDriver):
    """`CARDS` H100s, and room for as many servers."""

    vcpus, memory_mb, local_gb = 192, 2097152, 20000

    def __init__(self, virtapi, read_only=False):
        super().__init__(virtapi, read_only)
        self._hostdevs = {}
        self._lock = threading.RLock()

    # What outlives nova-compute.

    def init_host(self, host):
        super().init_host(host)
        self._file = FOLDER / f"{host}.json"
        told = json.loads(self._file.read_text()) if self._file.exists() else {"domains": {}}
        for server, domain in told["domains"].items():
            running = domain["state"] == "running"
            state = power_state.RUNNING if running else power_state.SHUTDOWN
            self.instances[server] = fake.FakeInstance(domain["name"], state, server)
            self._hostdevs[server] = domain["hostdevs"]
        self._save()

    def _save(self):
        with self._lock:
            domains = {
                server: {
                    "name": one.name,
                    "state": "running" if one.state == power_state.RUNNING else "shut off",
                    "hostdevs": self._hostdevs.get(server, []),
                }
                for server, one in self.instances.items()
            }
            numa = {each["address"]: each["numa_node"] for each in devices(CARDS)}
            scratch = self._file.with_suffix(".new")
            scratch.write_text(json.dumps({"domains": domains, "devices": numa}))
            scratch.replace(self._file)

    def _give(self, instance):
        # As libvirt's driver writes a domain's XML: what nova says at this moment.
        self._hostdevs[instance.uuid] = [row.address for row in instance.get_pci_devices()]

    # What nova-compute does with a domain.

    def spawn(self, context, instance, *args, **kwargs):
        with self._lock:
            self._give(instance)
            super().spawn(context, instance, *args, **kwargs)
            self._save()

    def destroy(self, context, instance, *args, **kwargs):
        with self._lock:
            super().destroy(context, instance, *args, **kwargs)
            self._hostdevs.pop(instance.uuid, None)
            self._save()

    def reboot(self, context, instance, network_info, reboot_type, **kwargs):
        with self._lock:
            if reboot_type.lower() == "hard":
                self._give(instance)
            super().reboot(context, instance, network_info, reboot_type, **kwargs)
            self._save()

    def power_off(self, instance, *args, **kwargs):
        with self._lock:
            super().power_off(instance, *args, **kwargs)
            self._save()

    def power_on(self, context, instance, *args, **kwargs):
        with self._lock:
            super().power_on(context, instance, *args, **kwargs)
            self._save()

    def migrate_disk_and_power_off(self, context, instance, *args, **kwargs):
        # libvirt's driver leaves the domain defined, and off, until the confirm.
        with self._lock:
            if instance.uuid in self.instances:
                self.instances[instance.uuid].state = power_state.SHUTDOWN
            self._save()

    def finish_revert_migration(self, context, instance, *args, **kwargs):
        with self._lock:
            self._give(instance)
            super().finish_revert_migration(context, instance, *args, **kwargs)
            self._save()

    # What the host has.

    def get_available_resource(self, nodename):
        resources = super().get_available_resource(nodename)
        if resources:
            resources["uuid"] = uuid_of(nodename)
            resources["pci_passthrough_devices"] = jsonutils.dumps(devices(CARDS))
        return resources

    def get_nodenames_by_uuid(self, refresh=False):
        return {uuid_of(name): name for name in self.get_available_nodes()}
