"""The audit's output on the page of migrations is the audit's; renewed with WHOLECARD_RENEW=1."""

from __future__ import annotations

import io
import os
from pathlib import Path

from rich.console import Console
from rich.text import Text

from support.audit_views import FixedViews, addresses, audit_cloud, look, server_of
from wholecard.audit.record import View
from wholecard.audit.request import AuditWatcher, audit_views
from wholecard.audit.text import blocks

PAGE = Path(__file__).parents[2] / "docs/how-to/a-migration-went-wrong.md"
OLD, NEW = "gpu-01", "gpu-02"
SERVER = server_of(OLD, 0)


def evacuated() -> FixedViews:
    """A server with one card, evacuated from OLD, which is off, to NEW."""
    other = addresses(2)[1]
    views = audit_cloud(2, cards=2, given=1).with_migration(
        status="pre-migrating", migration_type="evacuation", instance_uuid=SERVER,
        source_compute=OLD, source_node=OLD, dest_compute=NEW, dest_node=NEW,
    )  # fmt: skip
    views = views.with_service(OLD, is_up=False).with_instance(SERVER, host=NEW, node=NEW)
    views = views.with_row(NEW, other, status="allocated", instance_uuid=SERVER)
    views = views.allocate(NEW, other, SERVER).with_domain(NEW, SERVER, hostdevs=(other,))
    reason = "ssh: connect to host gpu-01 port 22: No route to host."
    unread = {View.SYSFS: reason, View.LIBVIRT: reason}
    return views.with_host(OLD, sysfs=None, domains=None, mdevs=None, unread=unread)


def test_evacuation_in_how_to() -> None:
    """What the page shows of an evacuation is what the audit says of one."""
    report = audit_views(look(evacuated()), 60.0, AuditWatcher(), sleep=lambda seconds: None)
    out = io.StringIO()
    console = Console(file=out, width=82, highlight=False, color_system=None)
    for block in blocks(report):
        console.print(block, crop=False, overflow="ignore" if isinstance(block, Text) else None)
    answer = "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())
    answer = answer.replace(f"{report.seconds:.1f} s", "3.1 s")
    before, begin, rest = PAGE.read_text().partition("<!-- output: evacuation -->\n```text\n")
    stands, end, after = rest.partition("```\n<!-- end -->")
    if os.environ.get("WHOLECARD_RENEW") == "1":
        PAGE.write_text(before + begin + answer + end + after)
        return
    assert stands == answer
