"""What nova does by itself: its next run, a restart of nova-compute."""

from __future__ import annotations

from wholecard.core import Action
from wholecard.repair.operations.restart import RestartService
from wholecard.repair.remedies.by_hand import server_must_go
from wholecard.repair.remedies.case import ManualStep, Remedy, RepairCase


def wait(case: RepairCase) -> ManualStep | None:
    """Wait, where something is in flight."""
    pending = case.disagreement.pending
    if not pending:
        return None
    return case.by_hand("Wait, and audit again.", f"It may pass by itself: {pending}.", waits=True)


def restart_compute(case: RepairCase) -> Action | ManualStep | None:
    """Restart nova-compute, which reads its rows anew and frees what no server of it has.

    Sources: nova/pci/manager.py, _initial_instance_usage and clean_usage; at its start and with
    every run of the periodic task nova/compute/pci_placement_translator.py writes providers,
    inventories, traits and allocations.
    """
    if not case.compute_is_up or case.options.beyond_restart or case.kept_by_nova:
        return None
    if case.options.restart_compute or case.first:
        return restart(case)
    return case.by_hand(
        "Restart nova-compute on {host}, or let repair do it: --restart-compute. Servers run on.",
        "nova-compute has its own copy of these rows in memory; a restart makes it read and "
        "correct them. If that was done and did not help: --beyond-restart.",
    )


def unless_held(case: RepairCase) -> ManualStep | None:
    """A row that a server has stays as long as the server, whatever nova-compute does."""
    if not case.fact("row_instance"):
        return None
    return server_must_go(case)


def restart(case: RepairCase) -> Action | ManualStep:
    """The restart, or what has to be repaired before nova-compute can start again."""
    first = case.first
    if first is None:
        return Action(
            RestartService.kind, case.host,
            f"{case.disagreement.rule}: nova-compute reads and corrects this at its start",
            RestartService(case.host), "nothing to undo",
        )  # fmt: skip
    what = (
        f"Repair {first.rule} of {first.address} first: wholecard repair plan --rule {first.rule} "
        "--host {host}."
    )
    if first is case.disagreement:
        what = "Look what keeps {host} {address} in Placement: wholecard audit --host {host}."
    return case.by_hand(
        f"{what} Do not start nova-compute on {{host}} before that.",
        "nova-compute would not start: it gives that device to a server for which Placement "
        "has no room there (ReshapeFailed in its log).",
    )


def start_compute(case: RepairCase) -> Action | ManualStep | None:
    """nova-compute is down, and would correct it at its start."""
    if case.compute_is_up:
        return None
    if case.first:
        return restart(case)
    return case.by_hand(
        "Start nova-compute on {host}: it corrects this at its start. If the host never comes "
        "back, delete its service (openstack compute service delete).",
        "nova-compute on this host is down, and only it knows what the host has.",
    )


def see_the_log(case: RepairCase) -> ManualStep:
    """Restarted, and it is as it was."""
    return case.by_hand(
        "See nova-compute's log on {host} for {address}.",
        "nova-compute corrects this at every start. Where it does not, its log says why.",
    )


# What nova-compute corrects itself, once it runs.
CORRECTED_BY_COMPUTE: tuple[Remedy, ...] = (restart_compute, start_compute, see_the_log)
