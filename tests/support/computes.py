"""nova-computes without a machine behind them: nova's own fake driver, all the rest real."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openstack.connection import Connection

from wholecard.cloud.client.compute_services import wait_for_compute
from wholecard.lab.base import process
from wholecard.lab.base.ports import LOOPBACK
from wholecard.lab.control import service_settings
from wholecard.lab.lab import Lab
from wholecard.lab.parts.python_environment import INSIDE
from wholecard.lab.scenario.restart import wait_for_consumers

LISTENS_SECONDS = 600


@contextmanager
def fake_compute(lab: Lab, conn: Connection, host: str) -> Iterator[Path]:
    """A second hypervisor host of this name while the block runs, up and listening; its nova.conf.

    Its log is `HOST.out` among the lab's. nova's fake driver makes it larger than the node, and
    gives it no cards.
    """
    folder = lab.folder.run / "etc" / f"nova-{host}"
    values = lab.settings
    service = {
        "role": "compute", "host": host, "address": LOOPBACK, "interface": "public",
        "state": f"/lab/{host}", "logs": f"/lab/{host}",
        "rabbitmq": f"{LOOPBACK}:{values.ports['rabbitmq']}",
        "keystone": values.url("keystone"), "glance": values.url("glance"),
    }  # fmt: skip
    text = values.render("nova.conf.j2", service=service)
    service_settings.write_private(
        folder / "nova.conf", text.replace("libvirt.LibvirtDriver", "fake.FakeDriver")
    )
    (lab.folder.run / host / "lock").mkdir(parents=True, exist_ok=True)
    command = [f"{INSIDE}/bin/nova-compute"]
    log = lab.folder.logs / f"{host}.out"
    process.start(lab.control.inside(folder.name), lab.folder.run, host, command, log)
    try:
        # Asked for its uptime before it listens, nova's list of hypervisors waits a minute.
        wait_for_consumers(lab, f"compute.{host}", some=True, timeout=LISTENS_SECONDS)
        wait_for_compute(conn, host, timeout=LISTENS_SECONDS)
        yield folder / "nova.conf"
    finally:
        process.stop(lab.folder.run, [host])
