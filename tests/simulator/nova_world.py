"""nova's tables and Placement in SQLite files, hosts with cards: runs in nova's Python.

The resource tracker, its PciDevTracker, the translator to Placement, the report client and
Placement are nova's and Placement's own. Faked are the hypervisor (which devices a host has, which
domains), messages and the clock.
"""

from __future__ import annotations

import datetime
import gc
import io
import json
import logging
import os
import warnings
from types import SimpleNamespace

os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "true"

from nova import monkey_patch

monkey_patch.patch(backend="threading")

import nova_kills  # noqa: E402
import nova_speed  # noqa: E402
from nova.compute import resource_tracker  # noqa: E402
from nova.db.main import api as main_db  # noqa: E402
from nova.db.main import models  # noqa: E402
from nova.scheduler.client import report  # noqa: E402
from oslo_config import cfg  # noqa: E402
from oslo_db.sqlalchemy import engines  # noqa: E402
from oslo_messaging import transport  # noqa: E402
from oslo_policy import opts as policy_opts  # noqa: E402
from oslo_utils import timeutils  # noqa: E402
from placement import conf as placement_conf  # noqa: E402
from placement import db_api as placement_db  # noqa: E402
from placement import deploy  # noqa: E402
from placement.db.sqlalchemy import migration as placement_schema  # noqa: E402
from sqlalchemy import event, pool  # noqa: E402

from nova import conf as nova_conf  # noqa: E402
from nova import context, objects, rpc  # noqa: E402

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
CONF = nova_conf.CONF
VENDOR, PRODUCT = "10de", "2330"
BEGIN = datetime.datetime(2026, 11, 30, 12)


class Answer:
    """An answer of Placement's, as the report client reads one of keystoneauth's."""

    def __init__(self, status, headers, body):
        self.status_code, self.headers, self.content = status, dict(headers), body
        self.text = body.decode()

    def __bool__(self):
        return self.status_code < 400

    def json(self):
        return json.loads(self.text)


def asking(app, file, life):
    """The report client's four methods, for Placement in this process, whose tables are `file`."""

    def ask(method, url, body, version):
        path, _, query = url.partition("?")
        data = b"" if body is None else json.dumps(body).encode()
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query,
            "SCRIPT_NAME": "", "SERVER_NAME": "placement", "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "wsgi.version": (1, 0),
            "wsgi.input": io.BytesIO(data), "wsgi.errors": io.StringIO(),
            "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False,
            "CONTENT_LENGTH": str(len(data)), "HTTP_X_AUTH_TOKEN": "admin",
            "HTTP_ACCEPT": "application/json",
        }  # fmt: skip
        if body is not None:
            environ["CONTENT_TYPE"] = "application/json"
        if version:
            environ["HTTP_OPENSTACK_API_VERSION"] = f"placement {version}"
        begun = []
        read = app(environ, lambda status, headers, _error=None: begun.append((status, headers)))
        text = b"".join(read)
        status, headers = begun[-1]
        return Answer(int(status.split()[0]), headers, text)

    def without_body(method):
        return lambda _self, url, version=None, global_request_id=None: call(
            method, url, None, version
        )

    def with_body(method):
        return lambda _self, url, data, version=None, global_request_id=None: call(
            method, url, data, version
        )

    remembered = nova_speed.Remembered(file, ask)

    def call(*request):
        life.goes_on()
        return remembered.call(*request)

    return remembered, {
        "get": without_body("GET"), "delete": without_body("DELETE"),
        "put": with_body("PUT"), "post": with_body("POST"),
    }  # fmt: skip


class NoVolumes(dict):
    """No server boots from a volume: nova asks its block devices otherwise."""

    def __contains__(self, _uuid):
        return True

    def __getitem__(self, _uuid):
        return False

    def __delitem__(self, _uuid):
        pass


class Hypervisor:
    """The driver of nova-compute: a host's devices by address, and its domains by server."""

    def __init__(self, host, uuid, addresses):
        self.host, self.uuid = host, uuid
        self.devices = {address: number % 2 for number, address in enumerate(addresses)}
        self.domains = {}

    def get_available_resource(self, nodename):
        rows = [
            {
                "dev_id": "pci_" + address.replace(":", "_").replace(".", "_"),
                "address": address, "vendor_id": VENDOR, "product_id": PRODUCT,
                "label": f"label_{VENDOR}_{PRODUCT}", "dev_type": "type-PCI",
                "numa_node": node, "parent_addr": None,
            }
            for address, node in sorted(self.devices.items())
        ]  # fmt: skip
        return {
            "vcpus": 512, "memory_mb": 1 << 20, "local_gb": 10000, "vcpus_used": 0,
            "memory_mb_used": 0, "local_gb_used": 0, "hypervisor_type": "QEMU",
            "hypervisor_version": 10_000_000, "hypervisor_hostname": nodename, "cpu_info": "",
            "disk_available_least": 0, "supported_instances": [], "numa_topology": None,
            "pci_passthrough_devices": json.dumps(rows), "uuid": self.uuid,
        }  # fmt: skip

    def node_is_available(self, nodename):
        return True

    def get_host_ip_addr(self):
        return "127.0.0.1"

    def capabilities_as_traits(self):
        return {}

    def update_provider_tree(self, provider_tree, nodename, allocations=None):
        amounts = {"VCPU": 512, "MEMORY_MB": 1 << 20, "DISK_GB": 10000}
        provider_tree.update_inventory(nodename, {
            name: {"total": total, "max_unit": total, "allocation_ratio": 1.0, "reserved": 0,
                   "min_unit": 1, "step_size": 1}
            for name, total in amounts.items()
        })  # fmt: skip


class Compute:
    """A host, its hypervisor, and nova-compute on it, which may be down (`tracker` None)."""

    def __init__(self, world, host, uuid, addresses):
        self.world, self.host = world, host
        self.hypervisor = Hypervisor(host, uuid, addresses)
        self.spec = {}
        self.tracker = None
        self.service = objects.Service(world.context)
        self.service.host, self.service.binary = host, "nova-compute"
        self.service.topic, self.service.report_count = "compute", 0
        self.service.disabled, self.service.version = False, 72
        self.service.create()

    def specify(self):
        device = {"vendor_id": VENDOR, "product_id": PRODUCT, **self.spec}
        CONF.set_override("device_spec", [json.dumps(device)], "pci")

    def start(self):
        """A new process: a new tracker and a new cache of Placement."""
        self.specify()
        client = report.SchedulerReportClient()
        self.tracker = resource_tracker.ResourceTracker(self.host, self.hypervisor, client)
        self.tracker.is_bfv = NoVolumes()
        self.tracker.service_ref = self.service
        self.tracker.update_available_resource(self.world.context, self.host, startup=True)
        self.beat()

    def beat(self):
        self.service.report_count += 1
        self.service.last_seen_up = timeutils.utcnow()
        self.service.save()

    def at_work(self):
        """A periodic task as a move, which may be killed."""
        yield "periodic"
        self.tracker.update_available_resource(self.world.context, self.host)
        self.beat()

    def periodic(self):
        try:
            self.tracker.update_available_resource(self.world.context, self.host)
        finally:
            # The service reports in a task of its own (nova/servicegroup/drivers/db.py).
            self.beat()


class World:
    """A cell, Placement, and hosts."""

    def __init__(self, folder, hosts, cards):
        self.folder = folder
        self.now = BEGIN
        timeutils.set_time_override(self.now)
        self._databases()
        self.context = context.get_admin_context()
        self.life = nova_kills.Life()
        self.remembered, methods = asking(self.app, f"{folder}/placement.sqlite", self.life)
        # Before BEGIN itself: a commit that is broken off would leave its transaction open.
        event.listen(main_db.get_engine(), "begin", self.life.goes_on, insert=True)
        for name, method in methods.items():
            setattr(report.SchedulerReportClient, name, method)
        report.SchedulerReportClient._create_client = (
            lambda client: client.clear_provider_cache(init=True))  # fmt: skip
        # What a client knows of providers is old after five minutes of this clock, not of the
        # machine's: the same seed is the same work on a slow machine. Nobody waits before a retry.
        report.time = SimpleNamespace(time=self._clock, sleep=lambda _seconds: None)
        self.client = report.report_client_singleton()
        self.computes = {}
        for number in range(hosts):
            host = f"gpu-{number + 1:02}"
            addresses = [f"0000:{0x81 + slot:02x}:00.0" for slot in range(cards)]
            uuid = f"00000000-0000-0000-0000-{number + 1:012}"
            self.computes[host] = Compute(self, host, uuid, addresses)
            self.computes[host].start()
        # What was imported is never garbage: the collector need not look through it again.
        gc.freeze()

    def _databases(self):
        nova_speed.remember()
        nova_file, placement_file = (f"{self.folder}/{name}.sqlite" for name in
                                     ("cell1", "placement"))  # fmt: skip
        CONF([], project="nova", default_config_files=[])
        CONF.register_opts(transport._transport_opts)
        for name, value, group in (
            ("connection", f"sqlite:///{nova_file}", "database"),
            ("sqlite_synchronous", False, "database"),
            ("transport_url", "fake:/", None),
            ("notification_format", "unversioned", "notifications"),
            ("report_in_placement", True, "pci"),
            ("alias", [json.dumps({"name": "gpu", "vendor_id": VENDOR, "product_id": PRODUCT,
                                   "device_type": "type-PCI"})], "pci"),
            ("pci_in_placement", True, "filter_scheduler"),
            ("host", "conductor", None),
        ):  # fmt: skip
            CONF.set_override(name, value, group)
        # oslo.db opens a file of SQLite anew for each transaction: half of a transaction's time.
        engines.pool = SimpleNamespace(**{**vars(pool), "NullPool": pool.QueuePool})
        rpc.init(CONF)
        objects.register_all()
        main_db.configure(CONF)
        nova_speed.hurry(main_db.get_engine())
        models.BASE.metadata.create_all(main_db.get_engine())
        # nova/cmd/compute.py, main: the other services' versions are read once.
        objects.Service.enable_min_version_cache()
        conf = cfg.ConfigOpts()
        placement_conf.register_opts(conf)
        conf.set_override("connection", f"sqlite:///{placement_file}", "placement_database")
        conf([], default_config_files=[])
        conf.set_override("sqlite_synchronous", False, "placement_database")
        conf.set_override("auth_strategy", "noauth2", "api")
        policy_opts.set_defaults(conf, enforce_new_defaults=False)
        placement_db.configure(conf)
        nova_speed.hurry(placement_db.get_placement_engine())
        placement_schema.create_schema(placement_db.get_placement_engine())
        deploy.update_database(conf)
        self.app = deploy.loadapp(conf)

    def _clock(self):
        return self.now.timestamp()

    def tick(self, seconds):
        self.now += datetime.timedelta(seconds=seconds)
        timeutils.set_time_override(self.now)
