"""How long a move takes, before it begins: what is copied, how long nova waits for the guest."""

from __future__ import annotations

from wholecard.cloud.client.server_details import ServerDetails
from wholecard.moving.pauses import Pauses
from wholecard.moving.record import Estimate, Method

# nova/conf/compute.py, `shutdown_timeout`: seconds.
SHUTDOWN_TIMEOUT = 60
# The property of an image that replaces it (nova/compute/manager.py, `_get_power_off_values`).
PROPERTY = "os_shutdown_timeout"
# What a link of 1 Gbit/s carries, less ssh's own cost. An assumption, which --bandwidth replaces.
BANDWIDTH = 100.0


def estimate(
    server: ServerDetails,
    method: Method,
    bandwidth: float = BANDWIDTH,
    used_gb: float | None = None,
    pauses: Pauses | None = None,
    node: str = "",
) -> Estimate:
    """What the move needs. `bandwidth` in MiB/s, `used_gb` what is used of the disk in GiB.
    `pauses` are those of earlier live migrations, `node` the destination where it is known.

    nova copies a server's disk file as it is: a qcow2 overlay has only what the guest wrote, and
    the destination fetches the image again from Glance. What is on a volume is not copied.
    """
    root = 0 if server.image_id is None else server.disk_gb
    disk = root + server.ephemeral_gb + -(-server.swap_mb // 1024)
    if method is Method.EVACUATE:
        source = "the host is down: nothing is shut down and nothing is copied from it"
        return Estimate(method, disk, used_gb, bandwidth, 0, source)
    shutdown, source = _shutdown(server, method)
    if method is not Method.LIVE:
        return Estimate(method, disk, used_gb, bandwidth, shutdown, source)
    pause = (pauses or Pauses()).expected(server.flavor, node)
    return Estimate(method, disk, used_gb, bandwidth, shutdown, source, server.ram_mb,
                    pause.seconds, pause.source)  # fmt: skip


def _shutdown(server: ServerDetails, method: Method) -> tuple[int, str]:
    if method is Method.LIVE:
        return 0, "a live migration does not shut the guest down"
    if server.vm_state != "active":
        return 0, "the server does not run"
    text = server.properties.get(PROPERTY, "")
    if text.isdecimal():
        return int(text), f"the image's {PROPERTY}"
    return SHUTDOWN_TIMEOUT, "nova's default of [DEFAULT] shutdown_timeout"
