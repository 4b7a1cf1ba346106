"""Services stopped and started again with the configuration that is in their folders now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from wholecard.core import UsageError
from wholecard.lab.base import process
from wholecard.lab.control.services import APIS, DAEMONS, topic
from wholecard.lab.lab import Lab, for_each_node
from wholecard.lab.node.node import LabNode
from wholecard.lab.scenario.hypervisor import configure_compute

COMPUTE = "nova-compute"
RESTARTABLE = (*APIS, *DAEMONS, COMPUTE)
# Its imports alone take most of a minute on an emulated CPU, and two nodes share the real ones.
COMPUTE_SECONDS = 1500


def restart(lab: Lab, names: Sequence[str]) -> None:
    """Restart services of a lab that is up, and wait until each of them takes requests.

    `nova-compute` runs on the nodes; its files are copied there from the lab's folder. It listens
    only after it has told nova and Placement what the host has (nova/service.py: pre_start_hook
    comes before the RPC server), so its report is there when this returns. Raises UsageError for
    a name that is not a service of the lab, LabError where a service does not come back.
    """
    unknown = [name for name in names if name not in RESTARTABLE]
    if unknown:
        raise UsageError(
            f"{unknown[0]} is not a service that can be restarted alone",
            resolution=f"One of: {', '.join(RESTARTABLE)}.",
        )
    _stop(lab, [name for name in names if name != COMPUTE])
    # The daemons ask the APIs when they start.
    _start(lab, [name for name in names if name in APIS])
    _start(lab, [name for name in names if name not in APIS])


def _stop(lab: Lab, names: Sequence[str]) -> None:
    """End them all before any starts: one with old files could still answer one with new files."""
    process.stop(lab.folder.run, names)
    for name in DAEMONS:
        if name in names:
            # The broker may count a consumer that was killed for a while.
            wait_for_consumers(lab, topic(name), some=False, timeout=600)


def _start(lab: Lab, names: Sequence[str]) -> None:
    starters: dict[str, Callable[[], None]] = {
        **{name: partial(lab.control.start_api, name) for name in APIS},
        **{name: partial(lab.control.start_daemon, name) for name in DAEMONS},
        COMPUTE: partial(_restart_computes, lab),
    }
    with ThreadPoolExecutor(len(RESTARTABLE)) as pool:
        for started in [pool.submit(starters[name]) for name in names]:
            started.result()


def _restart_computes(lab: Lab) -> None:
    for_each_node(lab, partial(_restart_compute, lab))


def _restart_compute(lab: Lab, node: LabNode) -> None:
    stop_compute(lab, node)
    configure_compute(lab, node)
    start_compute(lab, node)


def stop_compute(lab: Lab, node: LabNode) -> None:
    """End a node's nova-compute; its servers run on. It is down for nova a minute later."""
    node.ssh(["systemctl", "stop", COMPUTE], timeout=600)
    wait_for_consumers(lab, compute_queue(node.spec.name), some=False, timeout=600)


def start_compute(lab: Lab, node: LabNode) -> None:
    """Start a node's nova-compute and wait until it takes requests."""
    node.ssh(["systemctl", "start", COMPUTE], timeout=600)
    wait_for_consumers(lab, compute_queue(node.spec.name), some=True, timeout=COMPUTE_SECONDS)


def compute_queue(node: str) -> str:
    """The queue on which a node's nova-compute takes requests."""
    return f"compute.{node}"


def wait_for_consumers(lab: Lab, queue: str, *, some: bool, timeout: float) -> None:
    """Wait until a queue of the broker has consumers (`some`), or has none any more."""
    process.wait_until(
        lambda: (lab.control.queues().get(queue, 0) > 0) == some,
        timeout=timeout, what=f"queue {queue} has {'a' if some else 'no'} consumer", every=2.0,
        log=lab.folder.logs / "rabbitmq.log",
    )  # fmt: skip
