"""Cards that stay with the host for its own containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.tree import snapshot
from wholecard.core import UsageError
from wholecard.host.changing.apply import apply
from wholecard.host.changing.rollback import rollback
from wholecard.host.config_files import CDI_SCRIPT
from wholecard.host.desired_state import DesiredState, resolve
from wholecard.host.facts.inspect import inspect
from wholecard.host.planning.containers import container_change, refuse_in_image
from wholecard.host.planning.plan import plan
from wholecard.pci import cdi_script

UNIT = f"/etc/systemd/system/{cdi_script.UNIT_NAME}"


def test_the_path_is_the_scripts() -> None:
    """The unit starts the script where the plan writes it."""
    assert CDI_SCRIPT == cdi_script.SCRIPT_FILE


def test_a_card_for_containers_is_not_bound(apart: Path) -> None:
    """It is left out of all cards, its driver stays, and the script and its unit are written."""
    host = inspect(apart)
    first = host.cards[0]
    asked = DesiredState((), containers=(f"{first.slot}.0",))
    desired = resolve(host, [], all_cards=True, asked=asked)
    assert first.slot not in desired.cards
    assert desired.containers == (first.slot,)
    files = dict(container_change(host, desired).all_files)
    script, unit = files
    assert (script.path, script.mode, unit.path) == (CDI_SCRIPT, 0o755, UNIT)
    assert script.text is not None
    assert script.text.startswith("#!/bin/sh\n# Written by Wholecard")
    assert f"ExecStart={CDI_SCRIPT} {first.slot}.0\n" in (unit.text or "")


def test_applied_and_undone(apart: Path) -> None:
    """A host with a card for containers alone gets no binding, and rollback removes all."""
    before = snapshot(apart)
    host = inspect(apart)
    desired = resolve(host, [], asked=DesiredState((), containers=(host.cards[0].slot,)))
    host_plan = plan(host, desired)
    assert [action.subject for action in host_plan.actions] == [
        CDI_SCRIPT, UNIT, f"systemctl enable {cdi_script.UNIT_NAME}",
    ]  # fmt: skip
    apply(apart, host, desired, host_plan)
    assert plan(inspect(apart), desired).actions == ()
    rollback(apart)
    assert snapshot(apart) == before


def test_both_is_refused(apart: Path) -> None:
    """A card cannot be for guests and for containers."""
    host = inspect(apart)
    slot = host.cards[0].slot
    with pytest.raises(UsageError, match="for guests and for containers"):
        resolve(host, [f"{slot}.0"], asked=DesiredState((), containers=(slot,)))


def test_not_in_an_image() -> None:
    """An image's text has no unit, so the option is refused there and never ignored."""
    refuse_in_image(DesiredState(("0000:01:00",)))
    with pytest.raises(UsageError, match="--for-image"):
        refuse_in_image(DesiredState((), containers=("0000:01:00",)))
    with pytest.raises(UsageError, match="modules cannot be combined with --for-image"):
        refuse_in_image(DesiredState(("0000:01:00",), modules=("0000:01:00.0=1",)))
