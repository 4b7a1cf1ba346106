"""gpu_computes.py HOSTS CARDS: nova-compute for many hosts in one process, with invented cards.

Runs with the lab's OpenStack environment, against real RabbitMQ, conductor and Placement. The
hypervisor is nova's own `nova.virt.fake.FakeDriver`; what it adds are `CARDS` H100s (10de:2330,
type-PCI) a host, which nova's PCI tracker takes through `device_spec` and reports to Placement as
on a real host. This is the one file that touches nova's private interfaces; they are those of
nova 34.0.0 and it refuses any other.
"""

# ruff: noqa: PLC0415 - nova decides on its threading before anything of it may be imported.

import sys
import threading
import types
import uuid
from importlib.metadata import version

NOVA = "34.0.0"


def addresses(cards):
    """One address a card, a bus of its own each."""
    return [f"0000:{0x10 + number * 8:02x}:00.0" for number in range(cards)]


def devices(cards):
    """The cards as a driver reports them to the resource tracker; half on each NUMA node."""
    return [
        {
            "address": address,
            "vendor_id": "10de",
            "product_id": "2330",
            "dev_id": "pci_" + address.replace(":", "_").replace(".", "_"),
            "dev_type": "type-PCI",
            "parent_addr": None,
            "numa_node": number * 2 // cards,
            "label": "label_10de_2330",
        }
        for number, address in enumerate(addresses(cards))
    ]


def install_driver(cards):
    """Make `nova.virt.gpu_cards.CardsDriver` loadable: nova takes drivers from nova.virt alone."""
    import nova.virt
    from nova.virt import fake
    from oslo_serialization import jsonutils

    class CardsDriver(fake.FakeDriver):
        vcpus, memory_mb, local_gb = 192, 2097152, 20000

        def get_available_resource(self, nodename):
            resources = super().get_available_resource(nodename)
            if resources:
                resources["uuid"] = str(uuid.uuid5(uuid.NAMESPACE_DNS, nodename))
                resources["pci_passthrough_devices"] = jsonutils.dumps(devices(cards))
            return resources

    module = types.ModuleType("nova.virt.gpu_cards")
    CardsDriver.__module__ = module.__name__
    module.CardsDriver = CardsDriver
    sys.modules[module.__name__] = module
    nova.virt.gpu_cards = module


def main():
    """Serve all hosts until the process is ended."""
    hosts, cards = int(sys.argv[1]), int(sys.argv[2])
    if version("nova") != NOVA:
        sys.exit(f"nova {version('nova')} is here; this file knows the insides of {NOVA} alone")
    sys.argv = ["nova-compute"]
    from nova import monkey_patch

    monkey_patch.patch(backend="threading")
    install_driver(cards)
    from nova.cmd import compute

    from nova import service

    def serve(first, **_how):
        """In place of the one service: one for each host, as nova's functional tests do."""
        first.start()
        for number in range(1, hosts):
            host = f"gpu-{number:02d}"
            compute.CONF.set_override("host", host)
            service.Service.create(
                host=host, binary="nova-compute", topic=compute.compute_rpcapi.RPC_TOPIC,
                topic_alt=compute.compute_rpcapi.RPC_TOPIC_ALT,
            ).start()  # fmt: skip
            print("started", host, flush=True)
        compute.CONF.clear_override("host")

    compute.service.serve = serve
    # Its threads do the work; it is ended from outside.
    compute.service.wait = threading.Event().wait
    compute.main()


if __name__ == "__main__":
    main()
