"""Two nodes of the lab: what their tests ask nova and its audit for."""

from __future__ import annotations

from collections import Counter

from openstack.connection import Connection

from support.held_cards import SECONDS
from wholecard.audit.report import AuditReport
from wholecard.cloud.client import servers
from wholecard.cloud.client.compute_services import compute_services
from wholecard.cloud.client.waiting import wait_until
from wholecard.lab.base.node_spec import GPU_NODE, SECOND_NODE

FIRST, SECOND = GPU_NODE.name, SECOND_NODE.name


def other_than(host: str) -> str:
    """The lab's other node."""
    return SECOND if host == FIRST else FIRST


def shown(report: AuditReport) -> list[str]:
    """The rules of an audit's findings, also of what is in progress or was not read."""
    return [finding.rule for finding in report.findings]


def by_rule(report: AuditReport) -> Counter[tuple[str, str]]:
    """How many disagreements of each rule there are on each host."""
    assert not report.in_flight, report.in_flight
    return Counter((row.host, row.rule) for row in report.disagreements)


def unread(report: AuditReport) -> set[str]:
    """The views that were not read on every host."""
    return {view.value for view in report.unread}


def start(conn: Connection, server_id: str) -> str:
    """Start a server that is stopped, as an evacuation leaves it; its host."""
    state = servers.state(conn, server_id)
    assert state is not None
    if state.status == "SHUTOFF" and state.task is None:
        conn.compute.start_server(server_id)

    def active() -> servers.ServerState | None:
        now = servers.state(conn, server_id)
        assert now is not None
        return now if now.status == "ACTIVE" and now.task is None else None

    return wait_until(f"the server {server_id} runs", active, SECONDS, interval=2.0).host or ""


def force_down(conn: Connection, host: str, down: bool) -> None:
    """Tell nova that a host's nova-compute is down, or take that back.

    nova refuses to take it back until an evacuation from the host is at its end.
    """
    service = next(row for row in compute_services(conn) if row.host == host)
    path, body = f"/os-services/{service.id}", {"forced_down": down}

    def told() -> bool | None:
        answer = conn.compute.put(path, json=body, microversion="2.53")
        return answer.status_code == 200 or None

    wait_until(f"forced_down of {host} is {down}", told, SECONDS, interval=2.0)
