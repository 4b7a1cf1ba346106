"""A cloud of its own for the benchmarks: the lab's control plane, computes with a fake hypervisor.

Everything is a real service of the lab's locked environment (nova 34.0.0, openstack-placement
16.0.0, MariaDB, RabbitMQ) on loopback, in the lab's private root; only the hypervisor is nova's
own fake driver, which reports cards that nobody has (`gpu_computes.py`). No node and no guest.
"""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openstack.connection import Connection

from wholecard.cloud.client.connection import connect
from wholecard.guest.image.sandbox import Mount
from wholecard.lab.base import cache, process
from wholecard.lab.base.folder import LabFolder, default_folder
from wholecard.lab.base.ports import LOOPBACK, PREFERRED
from wholecard.lab.base.required_tools import require_tools
from wholecard.lab.control import database_seed, service_settings
from wholecard.lab.control.database_seed import seed_entry
from wholecard.lab.control.identity_catalog import register
from wholecard.lab.control.services import PYTHON, Control
from wholecard.lab.parts.python_environment import environment_entry
from wholecard.lab.parts.root_filesystem import root_entry
from wholecard.nova.desired.json_values import PciAlias, PciDeviceSpec
from wholecard.nova.desired.scheduler_filters import read_enabled_filters
from wholecard.nova.render.drop_in_file import PciConfig, Role, render

# A lab of its own: whoever runs one meanwhile keeps it.
LAB_NAME = "bench"
BASE_PORT = 26000
CARD = ("10de", "2330")
CARD_CLASS = "CUSTOM_PCI_10DE_2330"
ALIAS = "h100"
COMPUTE_SCRIPTS = "/opt/tree"
# What a service's configuration file is called, and where the rows' settings go: after the rest.
PLACEMENT_CONF = "etc/placement/placement.conf"
DROP_IN = "nova.conf.d/90-row.conf"

PCI = PciConfig(device_specs=(PciDeviceSpec(*CARD),), aliases=(PciAlias(ALIAS, *CARD),))

# Section, option, value.
Options = tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class BenchCloud:
    """The services' folder, their settings, and the handle that starts and stops them."""

    folder: LabFolder
    control: Control
    values: service_settings.ServiceSettings

    @property
    def run(self) -> Path:
        """What the services see as `/lab`."""
        return self.folder.run

    def placement_log(self) -> Path:
        """Placement's log, one line a request."""
        return self.folder.logs / "placement.log"

    def connect(self) -> Connection:
        """The SDK as the cloud's administrator."""
        return connect(service_settings.CLOUD, self.folder.clouds_yaml)

    def write_row(self, service: str, options: Options) -> None:
        """Give a service (`placement`, `nova-api`, `nova-scheduler`, `nova-conductor`) options.

        They hold from its next start; what a row before set is gone.
        """
        if service == "placement":
            base = self.values.render("placement.conf.j2")
            service_settings.write_private(self.run / PLACEMENT_CONF, base + "\n" + ini(options))
        else:
            service_settings.write_private(self.run / f"etc/{service}" / DROP_IN, ini(options))

    def restart(self, *names: str) -> None:
        """End these services and start them anew with what is written now."""
        self.control_stop(*names)
        with ThreadPoolExecutor(len(names)) as pool:
            for one in [pool.submit(self._start, name) for name in names]:
                one.result()

    def control_stop(self, *names: str) -> None:
        """End these services at once; they are to be idle."""
        process.stop(self.run, names)

    def _start(self, name: str) -> None:
        if name in ("nova-scheduler", "nova-conductor"):
            self.control.start_daemon(name)
            topic = name.removeprefix("nova-")
            process.wait_until(
                lambda: self.control.queues().get(topic, 0) > 0, timeout=60, every=0.5,
                what=f"{name} listens on RabbitMQ", log=self.folder.logs / f"{name}.log",
            )  # fmt: skip
        else:
            self.control.start_api(name)

    def start_computes(self, hosts: int, cards: int) -> None:
        """Start nova-compute for `hosts` hosts of `cards` cards each, all in one process."""
        inside = self.control.inside("nova-compute").with_mounts(
            Mount(Path(__file__).parent, COMPUTE_SCRIPTS)
        )
        command = [PYTHON, "-W", "ignore", f"{COMPUTE_SCRIPTS}/gpu_computes.py",
                   str(hosts), str(cards)]  # fmt: skip
        log = self.folder.logs / "nova-computes.out"
        process.start(inside, self.run, "nova-computes", command, log)


def ini(options: Options) -> str:
    """oslo.config's text of options, one section after the other."""
    sections: dict[str, list[str]] = {}
    for section, name, value in options:
        sections.setdefault(section, []).append(f"{name} = {value}")
    return "".join(f"[{name}]\n" + "\n".join(lines) + "\n" for name, lines in sections.items())


def own_ports() -> dict[str, int]:
    """A free port for each of the lab's services, apart from those that a lab takes.

    A lab that starts meanwhile looks for the usual ones: they stay free for it. All are below
    those that Linux gives to clients (32768).
    """
    for base in range(BASE_PORT, BASE_PORT + 4000, len(PREFERRED)):
        ports = {name: base + number for number, name in enumerate(PREFERRED)}
        if all(is_free(port) for port in ports.values()):
            return ports
    raise OSError(f"no free ports from {BASE_PORT} on")


def is_free(port: int) -> bool:
    """Whether a service could listen on this port of the loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen(1)
        except OSError:
            return False
    return True


@contextmanager
def cloud(name: str = LAB_NAME) -> Iterator[BenchCloud]:
    """Folder, databases and configuration of a cloud; every process of it is ended in the end."""
    require_tools()
    folder = LabFolder(default_folder().top, name)
    folder.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    root = root_entry(folder)
    environment = environment_entry(folder, root)
    planted = seed_entry(folder, root, environment)
    with cache.locked(folder.lock, f"another benchmark runs as {name}", timeout=5):
        process.stop(folder.run)
        cache.remove_tree(folder.run)
        folder.run.mkdir(mode=0o700)
        folder.logs.mkdir()
        ports = own_ports()
        values = service_settings.ServiceSettings(
            ports, service_settings.load_secrets(planted / database_seed.SECRETS)
        )
        control = Control(root, environment, folder.run, folder.run, ports)
        # `timeout` and systemd end a process so: it is to clean up as after Ctrl-C.
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            database_seed.plant(planted, folder.run)
            bench = BenchCloud(folder, control, values)
            _write_configuration(bench, environment)
            yield bench
        finally:
            process.stop(folder.run)
            signal.signal(signal.SIGTERM, before)


def start_control(bench: BenchCloud) -> None:
    """Everything but placement, nova-scheduler and the computes, registered in Keystone."""
    control = bench.control
    names = ("keystone", "glance", "neutron", "nova-api")
    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(control.start_mariadb), pool.submit(control.start_rabbitmq)]:
            one.result()
    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(control.start_api, name) for name in names]:
            one.result()
    register(bench.connect(), bench.values)


def wait_for_cards(bench: BenchCloud, hosts: int, cards: int, timeout: float = 300) -> None:
    """Until Placement has every card and nova has every host in its cell."""
    conn = bench.connect()
    deadline = time.monotonic() + timeout
    while True:
        up = [s for s in conn.compute.services(binary="nova-compute") if s.state == "up"]
        cards_up = card_providers(conn)
        mapped = len(list(conn.compute.hypervisors()))
        if min(len(up), mapped) >= hosts and cards_up >= hosts * cards:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(up)} computes and {cards_up} cards after {timeout:.0f} s")
        time.sleep(1)


def card_providers(conn: Connection) -> int:
    """How many providers of cards Placement has, free or not."""
    answer = conn.placement.get("/resource_providers", microversion="1.36", timeout=30)
    return sum("_0000:" in rp["name"] for rp in answer.json()["resource_providers"])


def _write_configuration(bench: BenchCloud, environment: Path) -> None:
    run, values = bench.run, bench.values
    service_settings.write_all(values, run, environment)
    # The seed's catalog names the port of another Keystone, until this cloud's is registered.
    own = f'    identity_endpoint_override: "{values.url("keystone")}/v3"\n'
    clouds = bench.folder.clouds_yaml
    service_settings.write_private(clouds, clouds.read_text().rstrip("\n") + "\n" + own)
    service: Mapping[str, str] = {
        "role": "compute", "host": "gpu-00", "address": LOOPBACK, "interface": "public",
        "state": "/lab/compute", "logs": "/lab/log",
        "rabbitmq": f"{LOOPBACK}:{values.ports['rabbitmq']}",
        "keystone": values.url("keystone"), "glance": values.url("glance"),
    }  # fmt: skip
    (run / "compute" / "lock").mkdir(parents=True)
    text = values.render("nova.conf.j2", service=service)
    text = text.replace("libvirt.LibvirtDriver", "gpu_cards.CardsDriver")
    service_settings.write_private(run / "etc/nova-compute/nova.conf", text)
    roles: tuple[Role, ...] = ("api", "scheduler", "conductor", "compute")
    for role in roles:
        folder = run / f"etc/nova-{role}"
        filters = read_enabled_filters([folder / "nova.conf"])
        drop_in = folder / "nova.conf.d/50-wholecard.conf"
        service_settings.write_private(drop_in, render(role, PCI, filters))
        # The lab takes one worker; stock nova takes one for each core.
        if role in ("scheduler", "conductor"):
            base = folder / "nova.conf"
            service_settings.write_private(base, base.read_text().replace("\nworkers = 1\n", "\n"))
