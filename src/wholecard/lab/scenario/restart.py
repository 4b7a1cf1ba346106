"""Services ended and started anew, on the configuration that stands in their folders now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from wholecard.core import UsageError
from wholecard.lab.base import process
from wholecard.lab.control.services import APIS, DAEMONS, topic
from wholecard.lab.lab import Lab
from wholecard.lab.parts.root_filesystem import NODE_NAME
from wholecard.lab.scenario.hypervisor import configure_compute

COMPUTE = "nova-compute"
RESTARTABLE = (*APIS, *DAEMONS, COMPUTE)
# Its imports alone take most of a minute on an emulated CPU.
COMPUTE_SECONDS = 300


def restart(lab: Lab, names: Sequence[str]) -> None:
    """Restart services of a lab that is up, and wait until each of them takes requests.

    `nova-compute` is the node's; its files are copied there from the lab's folder. It listens only
    after it has told nova and Placement what the host has (nova/service.py: pre_start_hook comes
    before the RPC server), so that what it reports is to be seen when this returns. Raises
    UsageError for what is no service of the lab, LabError where one does not come back.
    """
    unknown = [name for name in names if name not in RESTARTABLE]
    if unknown:
        raise UsageError(
            f"{unknown[0]} is no service that can be restarted alone",
            resolution=f"One of: {', '.join(RESTARTABLE)}.",
        )
    here = [name for name in names if name != COMPUTE]
    # Ended all at once first, or one might be asked by another while it still has its old file.
    process.stop(lab.place.run, here)
    for name in DAEMONS:
        if name in here:
            # The broker may count who was killed for a while.
            wait_for_consumers(lab, topic(name), some=False, timeout=60)
    apis = [name for name in names if name in APIS]
    for wave in (apis, [name for name in names if name not in apis]):
        with ThreadPoolExecutor(len(wave) or 1) as pool:
            for one in [pool.submit(_starter(lab, name)) for name in wave]:
                one.result()


def _starter(lab: Lab, name: str) -> Callable[[], None]:
    if name == COMPUTE:
        return lambda: _restart_compute(lab)
    if name in APIS:
        return lambda: lab.control.start_api(name)
    return lambda: lab.control.start_daemon(name)


def _restart_compute(lab: Lab) -> None:
    node = lab.node()
    node.ssh(["systemctl", "stop", COMPUTE], timeout=120)
    configure_compute(lab, node)
    wait_for_consumers(lab, f"compute.{NODE_NAME}", some=False, timeout=60)
    node.ssh(["systemctl", "start", COMPUTE], timeout=120)
    wait_for_consumers(lab, f"compute.{NODE_NAME}", some=True, timeout=COMPUTE_SECONDS)


def wait_for_consumers(lab: Lab, queue: str, *, some: bool, timeout: float) -> None:
    """Until somebody listens on a queue of the broker, or nobody any more."""
    process.wait_until(
        lambda: (lab.control.queues().get(queue, 0) > 0) == some,
        timeout=timeout, what=f"{'somebody' if some else 'nobody'} listens on {queue}", every=1.0,
        log=lab.place.logs / "rabbitmq.log",
    )  # fmt: skip
