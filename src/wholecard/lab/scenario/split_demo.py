"""`lab demo-split`: slices given until there are none, and servers that move live with theirs."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openstack.connection import Connection

from wholecard.audit.checks.cloud_case import PERIOD
from wholecard.cloud.client import servers
from wholecard.core.report_text import findings_text
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.steps import Story
from wholecard.lab.lab import Lab, choose_accelerator
from wholecard.lab.parts.script_image import MOVING_GUEST
from wholecard.lab.report.split_page import write_split_page
from wholecard.lab.report.split_record import LiveMove, SliceServer, SplitRecord
from wholecard.lab.scenario.audits import audit_lab
from wholecard.lab.scenario.demo import machine
from wholecard.lab.scenario.moving_guest import GuestStep, offer_image, wait_for_steps
from wholecard.lab.scenario.slices import SLICES_OF_A_NODE, offer_slices
from wholecard.lab.scenario.up import up
from wholecard.moving.drain_journal import DrainJournal
from wholecard.moving.drain_plan import plan_drain
from wholecard.moving.drain_request import DrainRequest, drain
from wholecard.moving.drain_text import plan_text as drain_plan_text
from wholecard.moving.drain_text import report_text as drain_report_text
from wholecard.moving.journal import MoveJournal
from wholecard.moving.migrate_request import MigrateRequest, Tools, migrate, plan_migrate
from wholecard.moving.move import Pace
from wholecard.moving.move_text import plan_text, report_text
from wholecard.moving.pauses import Pauses, downtime
from wholecard.moving.planner import MoveOptions
from wholecard.moving.record import Method, MoveReport
from wholecard.moving.undrain_request import UndrainRequest, undrain

NUMBERS = "split.json"
ACTIVE_SECONDS = 1800
DELETE_SECONDS = 600
MOVE_SECONDS = 3600


def split_demo(folder: LabFolder, story: Story, page: Path) -> SplitRecord:
    """Split the card of each node, give the slices, move servers live; write `page` in any case.

    Raises LabError where something did not end as it should, or what a step raised.
    """
    record = SplitRecord(
        datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), machine()
    )
    try:
        lab, conn = up(folder, story, nodes=2)
        record.accelerator, record.accelerator_why = choose_accelerator(folder, lab.parts.root)
        _Demo(lab, conn, story, record).walk()
    finally:
        record.steps, record.seconds = story.steps, story.elapsed()
        write_split_page(record, SLICES_OF_A_NODE, page)
        (page.parent / NUMBERS).write_text(json.dumps(record.numbers(), indent=1) + "\n")
    if record.wrong:
        raise LabError(
            "the demo did not end as expected",
            "\n".join(record.wrong),
            "The page has the evidence.",
        )
    return record


@dataclass
class _Demo:
    lab: Lab
    conn: Connection
    story: Story
    record: SplitRecord

    def walk(self) -> None:
        """Slice, refuse, move live, drain; every server is deleted at the end."""
        first, second = (spec.name for spec in self.lab.nodes)
        flavor = offer_slices(self.lab, self.conn, self.story).name
        with self.story.step("cloud: the guest's image"):
            image = offer_image(self.lab, self.conn, MOVING_GUEST)
        names = [f"slice-{number}" for number in range(1, SLICES_OF_A_NODE + 2)]
        with self._deleted() as booted:
            for name in names:
                refused = name == names[-1]
                booted.append(self._boot(name, flavor, image, first, refusal_expected=refused))
            self._audit("with all slices of a node given")
            moved, *others = booted[:-1]
            self._move(moved, names[0], second)
            self._audit("after a live move")
            self._drain(first, dict(zip(others, names[1:-1], strict=True)))
            self._audit("after the drain")
        self._audit("after all were deleted")

    def _boot(
        self, name: str, flavor: str, image: str, host: str, *, refusal_expected: bool
    ) -> str:  # fmt: skip
        with self.story.step(f"server {name}: a slice on {host}") as step:
            end = servers.boot(self.conn, name, flavor, image, ACTIVE_SECONDS, host=host)
            step.note = end.status + (f": {end.fault}" if end.fault else "")
        self.record.servers.append(
            SliceServer(name, end.status, end.host or "", end.fault, refusal_expected)
        )
        return end.id

    def _move(self, server: str, name: str, target: str) -> None:
        """One server, by `migrate --live`."""
        before = self._steps(server, name)
        request = MigrateRequest(server, MoveOptions((target,), Method.LIVE, pauses=self._pauses))
        with self.story.step(f"server {name}: wholecard migrate --live --to {target}") as step:
            plan = plan_migrate(self.conn, request)
            step.saw(f"wholecard migrate {name} --live --to {target} --dry-run", plan_text(plan))
            report = migrate(self.conn, request, plan, self._tools)
            step.saw(f"wholecard migrate {name} --live --to {target}", report_text(report))
            step.note = report.ended
        self.story.say(
            report_text(report), title=f"$ wholecard migrate {name} --live --to {target}"
        )
        self._judge(report, before, "migrate --live")

    def _drain(self, host: str, left: dict[str, str]) -> None:
        """All others, by `drain --live-only`; then the host is given back."""
        before = {server: self._steps(server, name) for server, name in left.items()}
        options = MoveOptions(pauses=self._pauses)
        journal = DrainJournal(self.lab.folder.run / "drain")
        with self.story.step(f"wholecard drain {host} --live-only") as step:
            plan = plan_drain(self.conn, host, options, live_only=True)
            step.saw(f"wholecard drain {host} --live-only --dry-run", drain_plan_text(plan))
            request = DrainRequest(host, "the demo", options, live_only=True)
            report = drain(self.conn, request, plan, journal, self._tools)
            step.saw(f"wholecard drain {host} --live-only", drain_report_text(report))
            step.note = f"{len(report.moved)} moved, {len(report.left)} left"
        self.story.say(drain_report_text(report), title=f"$ wholecard drain {host} --live-only")
        for one in report.moved:
            self._judge(one, before[one.plan.server.id], "drain")
        with self.story.step(f"wholecard undrain {host}") as step:
            undrain(self.conn, UndrainRequest(host), journal, self._tools)
            step.note = "the service is enabled again"

    def _judge(self, report: MoveReport, before: GuestStep, why: str) -> None:
        """What the guest says of a move that is over."""
        server, to = report.plan.server, report.plan.destination
        after = wait_for_steps(self.conn, server.id, before.step)
        self.record.moves.append(
            LiveMove(
                server.name, server.host or "", to.host if to else "", why, report.seconds,
                report.plan.estimate.pause, report.pause, before.step, after[-1].step,
                sum(not each.is_well for each in after),
                all(each.boot == before.boot for each in after),
            )
        )  # fmt: skip

    def _steps(self, server: str, name: str) -> GuestStep:
        with self.story.step(f"server {name}: its guest uses its slice") as step:
            last = wait_for_steps(self.conn, server)[-1]
            step.note = f"{last.answered} of {last.step} answered"
            if not last.slice or not last.is_well:
                raise LabError(f"the guest of {name} does not use its slice", str(last))
            return last

    def _audit(self, moment: str) -> None:
        with self.story.step(f"audit {moment}") as step:
            found = audit_lab(self.lab, wait=PERIOD).findings
            step.note = f"{len(found)} findings"
            step.saw("wholecard audit", findings_text(found) or "no findings")
        self.record.audits.append((moment, tuple(finding.rule for finding in found)))

    @contextmanager
    def _deleted(self) -> Iterator[list[str]]:
        """The servers of the block, deleted at its end, however it ends."""
        booted: list[str] = []
        try:
            yield booted
        finally:
            with self.story.step("servers deleted"):
                for server in booted:
                    servers.delete_and_wait(self.conn, server, DELETE_SECONDS)

    @property
    def _pauses(self) -> Pauses:
        def read(node: str, server: str) -> float | None:
            words = ("domjobinfo", server, "--completed", "--keep-completed")
            return downtime(self.lab.node(node).virsh(*words, timeout=600, check=False).stdout)

        return Pauses(self.lab.folder.run / "pauses", read)

    @property
    def _tools(self) -> Tools:
        journal = MoveJournal(self.lab.folder.run / "moves")
        return Tools(journal, pace=Pace(MOVE_SECONDS), pauses=self._pauses)
