"""Splits as a part of a host's plan: what is written for each boot, and what is made now. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator

from wholecard.core import Action, Finding, RefusedError, Severity, UsageError, WholecardError
from wholecard.host.card_split import CardSplit
from wholecard.host.checks.splits import check_splits
from wholecard.host.config_files import GIM_OPTIONS, SPLITS, FileText
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.host.facts.split_state import SplitState
from wholecard.host.operations.agent_archive import agent_bytes
from wholecard.host.operations.config_change import HEAD_LINE, BootUnit, ConfigChange
from wholecard.host.operations.install_agent import AGENT, InstallAgent
from wholecard.host.planning.mdev_definitions import definition_files
from wholecard.host.planning.splits import AMD, is_ready, split_actions

UNIT_NAME = "wholecard-splits.service"
# Seconds that the unit waits for drivers, and that systemd gives it: 8 cards take a minute.
WAIT = 180
_START_LIMIT = 900

# Whoever starts servers with parts of cards: Debian's and Ubuntu's unit, RDO's, Kolla's, RHOSO's,
# DevStack's; and services that run before vGPUs can be made (nova 34, admin/virtual-gpu;
# edpm-ansible, edpm_accel_drivers). systemd ignores units that do not exist.
_BEFORE = (
    "nova-compute.service openstack-nova-compute.service kolla-nova_compute-container.service "
    "edpm_nova_compute.service devstack@n-cpu.service"
)
_AFTER = (
    "systemd-modules-load.service systemd-udevd.service nvidia-vgpud.service "
    "nvidia-vgpu-mgr.service nvidia-persistenced.service"
)
UNIT = f"""[Unit]
Description=Parts of cards for servers: VFs, vGPU types, mediated devices, MIG
Before={_BEFORE}
After={_AFTER}
[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec={_START_LIMIT}
ExecStart={AGENT} split --wait {WAIT}
"""


def split_files(host: Host, desired: DesiredState) -> ConfigChange:
    """The stored request, the unit that fulfils it at each boot, and module options."""
    if not desired.splits:
        return ConfigChange()
    unit = BootUnit(
        UNIT_NAME, UNIT, "The kernel forgets VFs, types and MIG when the host goes down."
    )
    return ConfigChange(
        files=((FileText(SPLITS, stored_text(desired.splits)), "What the unit makes at each boot."),
               *_module_options(host, desired)),
        units=(unit,),
    )  # fmt: skip


def stored_text(splits: Iterable[CardSplit]) -> str:
    """The request as the host keeps it."""
    data = {"schema": 1, "splits": [split.to_json() for split in splits]}
    return f"{json.dumps(data, indent=2)}\n"


def stored_splits(text: str) -> tuple[CardSplit, ...]:
    """The inverse of `stored_text`. Raises UsageError."""
    try:
        return DesiredState.from_json(json.loads(text)).splits
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"/{SPLITS.lstrip('/')} cannot be read",
            str(error),
            "Restore it: apply again with the same --desired FILE.",
        ) from error


def install_action(state: SplitState) -> Iterator[Action]:
    """The program that the unit starts, unless it is there."""
    digest = hashlib.sha256(agent_bytes()).hexdigest()
    if state.agent != digest:
        yield Action(
            "install-agent",
            AGENT,
            "The unit starts this program at each boot, before nova-compute.",
            InstallAgent(digest, state.agent),
            "remove it" if state.agent is None else "restore the former one",
        )


def actions_now(host: Host, desired: DesiredState, state: SplitState) -> tuple[Action, ...]:
    """What makes the parts in the running boot, as far as the cards are ready for it."""
    ready = (split for split in desired.splits if not waits_for_boot(host, split, state))
    return tuple(action for split in ready for action in split_actions(split, state))


def definitions_now(desired: DesiredState, state: SplitState) -> tuple[Action, ...]:
    """mdevctl's files."""
    return tuple(action for split in desired.splits for action in definition_files(split, state))


def waits_for_boot(host: Host, split: CardSplit, state: SplitState) -> bool:
    """Whether the card can be split at the next boot only.

    It is on a driver for guests now, or VFIO has no IOMMU; GIM takes its number of VFs when it is
    loaded.
    """
    if not is_ready(split, state):
        return True
    pf = state.pf(split.card)
    return (pf.present and not host.iommu.on) or (pf.vendor == AMD and pf.count != split.vfs)


def what_is_missing(split: CardSplit, state: SplitState) -> str:
    """What the card needs before it can be split at all; empty where nothing is missing."""
    pf = state.pf(split.card)
    if not split.is_function:
        ready = is_ready(split, state)
        return "" if ready else f"/sys/class/mdev_bus has no {split.card}: its module is not loaded"
    if not pf.present:
        return f"there is no function at {split.card}"
    if not is_ready(split, state):
        return f"it is on {pf.driver or 'no driver'}, not on its vendor's driver"
    if pf.vendor == AMD and pf.count != split.vfs:
        return f"gim made {pf.count} VFs, and {split.vfs} are requested (vf_num)"
    mig = next((mig for mig in state.mig if mig.card == split.card), None)
    if mig is not None and mig.mode is None:
        return f"nvidia-smi does not say its MIG mode: {mig.unread or 'the card has none'}"
    return ""


def refuse_splits(host: Host, desired: DesiredState, state: SplitState) -> None:
    """Raises RefusedError with all that prevents it, before anything is planned."""
    gone = [split.card for split in desired.splits
            if split.is_function and not state.pf(split.card).present]  # fmt: skip
    if gone:
        raise WholecardError(
            f"this host has no function at {gone[0]}, which is to be split",
            resolution="See what it has: inspect, or lspci -Dnn.",
        )
    findings = [*check_splits(host, desired.splits, state), *_gim(desired, state)]
    if findings:
        raise RefusedError(
            "the cards cannot be split as requested",
            tuple(findings),
            " ".join(dict.fromkeys(finding.fix for finding in findings)),
        )


def _of_amd(desired: DesiredState, state: SplitState) -> list[CardSplit]:
    return [split for split in desired.splits if state.pf(split.card).vendor == AMD]


def _gim(desired: DesiredState, state: SplitState) -> Iterator[Finding]:
    """GIM's option is for all of a host's cards."""
    splits = _of_amd(desired, state)
    counts = {split.vfs for split in splits}
    if len(counts) > 1:
        yield Finding(
            "WC605", splits[0].card, Severity.ERROR,
            "AMD's driver gim has one list of numbers (vf_num), in an order of its own, and "
            f"{', '.join(map(str, sorted(counts)))} VFs are requested.",
            "Request the same number for all AMD cards of the host.",
        )  # fmt: skip


def _module_options(host: Host, desired: DesiredState) -> Iterator[tuple[FileText, str]]:
    """GIM's number of VFs.

    Source: amd/MxGPU-Virtualization 695afe2 (GIM 8, 2025-04), gim_shim/gim_config.c: `vf_num` is a
    list of 1 to 31, one for each GPU in the driver's own order, and the last one is for all others.
    """
    vendors = {str(function.address): function.vendor for function in host.functions}
    counts = {split.vfs for split in desired.splits if vendors.get(split.card) == AMD}
    if counts:
        text = f"{HEAD_LINE}options gim vf_num={max(counts)}\n"
        yield FileText(GIM_OPTIONS, text), "gim makes this many VFs of each card when it is loaded."
