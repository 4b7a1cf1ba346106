"""GPUs of a board with NVSwitches in the plan of a host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.tree import snapshot
from wholecard.core import UsageError
from wholecard.host.changing.apply import apply
from wholecard.host.changing.rollback import rollback
from wholecard.host.config_files import NVSWITCH_HOOK, NVSWITCH_MODULES
from wholecard.host.desired_state import DesiredState, resolve
from wholecard.host.facts.inspect import inspect
from wholecard.host.planning.plan import plan


def test_applied_and_undone(apart: Path) -> None:
    """The table and the hook are written with the bindings, and rollback removes them."""
    before = snapshot(apart)
    host = inspect(apart)
    (slot, *_) = resolve(host, [], all_cards=True).cards
    gpu = next(str(card.gpu[0].address) for card in host.cards if card.slot == slot)
    asked = DesiredState((), modules=(f"{gpu}=3",))
    desired = resolve(host, [gpu], asked=DesiredState.from_json(asked.to_json()))
    host_plan = plan(host, desired)
    ours = [action for action in host_plan.actions
            if action.subject in (NVSWITCH_HOOK, NVSWITCH_MODULES)]  # fmt: skip
    assert [action.undo for action in ours] == ["remove it"] * 2
    apply(apart, host, desired, host_plan)
    hook = apart / NVSWITCH_HOOK[1:]
    assert hook.stat().st_mode & 0o777 == 0o755
    assert json.loads((apart / NVSWITCH_MODULES[1:]).read_text()) == {"modules": {gpu: 3}}
    assert plan(inspect(apart), desired).actions == ()
    rollback(apart)
    assert snapshot(apart) == before


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        (("0000:ff:00.0=1",), "modules names 0000:ff:00.0, and this host has no GPU there"),
        (("0000:01:00.0",), "modules: '0000:01:00.0' is not ADDRESS=MODULE"),
        (("0000:01:00.0=x",), "is not ADDRESS=MODULE"),
        (("0000:01:00.0=1", "0000:02:00.0=1"), "modules: two GPUs have one module id"),
    ],
)
def test_refused(apart: Path, modules: tuple[str, ...], said: str) -> None:
    """A table that cannot be the host's is refused before anything is planned."""
    host = inspect(apart)
    with pytest.raises(UsageError, match=said):
        resolve(host, [], all_cards=True, asked=DesiredState((), modules=modules))
