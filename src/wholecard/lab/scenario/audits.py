"""Audits of the lab: nova's and Placement's databases as an operator reads them, and its nodes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from wholecard.audit.report import AuditReport
from wholecard.audit.request import AuditWatcher, audit_views
from wholecard.audit.views.open_views import AuditSources, opened_views
from wholecard.audit.views.source import Views
from wholecard.lab.control import service_settings
from wholecard.lab.lab import Lab
from wholecard.lab.node.node import LabNode
from wholecard.lab.scenario.hypervisor import Agent
from wholecard.lab.scenario.site_file import facts_file

DATABASES = "databases.ini"
# Facts under emulation beside a second node.
FACTS_SECONDS = 900


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
    nodes = [lab.node(spec.name) for spec in lab.nodes if hosts is None or spec.name in hosts]
    running = [node for node in nodes if node.is_running()]
    # Python starts slowly on an emulated node: each asks its own processor, at the same time.
    with ThreadPoolExecutor(max_workers=2) as pool:
        return dict(pool.map(lambda node: _save_facts(lab, node), running))


def _save_facts(lab: Lab, node: LabNode) -> tuple[str, Path]:
    facts = Agent(node).run("inspect", "--domains", "--json", timeout=FACTS_SECONDS).stdout
    path = lab.folder.run / "audit" / facts_file(node.spec.name)
    service_settings.write_private(path, facts)
    return node.spec.name, path
