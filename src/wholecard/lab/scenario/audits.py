"""Audits of the lab: nova's and Placement's databases as an operator reads them, and its nodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wholecard.audit.report import AuditReport
from wholecard.audit.request import AuditWatcher, audit_views
from wholecard.audit.views.open_views import AuditSources, opened_views
from wholecard.audit.views.source import Views
from wholecard.lab.control import service_settings
from wholecard.lab.lab import Lab
from wholecard.lab.scenario.hypervisor import Agent
from wholecard.lab.scenario.site_file import facts_file

DATABASES = "databases.ini"
# Facts under emulation beside a second node.
FACTS_SECONDS = 300


def audit_lab(
    lab: Lab, hosts: tuple[str, ...] | None = None, wait: float | None = None
) -> AuditReport:
    """An audit of these hosts, of all where none is named; see `audit.request.audit` for `wait`.

    Every look reads the facts of the nodes that run anew. A host whose node does not run has
    sysfs and libvirt unread.
    """

    @contextmanager
    def look(again: tuple[str, ...] | None) -> Iterator[Views]:
        chosen = again or hosts
        sources = AuditSources(
            databases=lab.folder.run / DATABASES, hosts=chosen, hosts_may_be_gone=again is not None,
            facts=save_facts(lab, chosen),
        )  # fmt: skip
        with opened_views(sources) as views:
            yield views

    return audit_views(look, wait, AuditWatcher())


def save_facts(lab: Lab, hosts: tuple[str, ...] | None = None) -> dict[str, Path]:
    """What sysfs and libvirt show on each node now, as files by the node's name.

    They are beside the lab's site and not in it: a domain that runs is no fact of a site.
    """
    files = {}
    for spec in lab.nodes:
        node = lab.node(spec.name)
        if (hosts is None or spec.name in hosts) and node.is_running():
            facts = Agent(node).run("inspect", "--domains", "--json", timeout=FACTS_SECONDS).stdout
            files[spec.name] = lab.folder.run / "audit" / facts_file(spec.name)
            service_settings.write_private(files[spec.name], facts)
    return files
