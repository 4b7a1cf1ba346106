"""Units that run at each boot: planned as a file and its link, applied, and undone."""

from __future__ import annotations

from pathlib import Path

from support.tree import snapshot
from wholecard.core import Plan
from wholecard.host.changing.apply import apply
from wholecard.host.changing.rollback import rollback
from wholecard.host.desired_state import resolve
from wholecard.host.facts.inspect import inspect
from wholecard.host.operations.config_change import HEAD_LINE, BootUnit, ConfigChange
from wholecard.host.operations.run_tool import RunTool
from wholecard.host.operations.write_file import WriteFile
from wholecard.host.planning.plan import actions_of

PATH = "/etc/systemd/system/wholecard-vfs.service"
LINK = "/etc/systemd/system/multi-user.target.wants/wholecard-vfs.service"
SERVICE = "[Service]\nType=oneshot\nExecStart=/usr/bin/true\n"
CHANGES = (ConfigChange(units=(BootUnit("wholecard-vfs.service", SERVICE, "VFs do not stay."),)),)


def test_planned(apart: Path) -> None:
    """A unit is a file with its target in [Install], and then the tool that makes its link."""
    write, enable = actions_of(inspect(apart), CHANGES)
    text = f"{HEAD_LINE}{SERVICE}\n[Install]\nWantedBy=multi-user.target\n"
    assert write.do == WriteFile(PATH, text, 0o644)
    assert enable.do == RunTool(
        ("systemctl", "enable", "wholecard-vfs.service"),
        (LINK,),
        again=("systemctl", "disable", "wholecard-vfs.service"),
    )


def test_applied_and_undone(apart: Path) -> None:
    """The link is made, the next plan has nothing to do, and rollback removes both."""
    before = snapshot(apart)
    host = inspect(apart)
    apply(apart, host, resolve(host, [], all_cards=True), Plan(actions_of(host, CHANGES)))
    assert (apart / LINK[1:]).readlink() == Path(PATH)
    assert actions_of(inspect(apart), CHANGES) == ()
    rollback(apart)
    assert snapshot(apart) == before
