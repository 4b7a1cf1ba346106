"""Generated clouds: sound ones give nothing, and an injected fault exactly its own rules."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from support.audit_faults import AUDIT_FAULTS
from support.audit_views import FixedViews, addresses, audit_cloud, look, server_of
from wholecard.audit.request import AuditWatcher, audit_views

# What may be true of a server that is at home, with its domain's state.
_STATES = (
    ("active", "running"), ("stopped", "shut off"), ("paused", "paused"), ("error", "running"),
    ("suspended", "shut off"), ("rescued", "running"), ("soft-delete", "shut off"),
)  # fmt: skip


@st.composite
def clouds(draw: st.DrawFn) -> tuple[FixedViews, int, int]:
    """A sound cloud of one to three hosts; how many cards each has, and how many are given."""
    cards = draw(st.integers(1, 8))
    given = draw(st.integers(0, cards))
    per_server = draw(st.integers(1, 4))
    audio = draw(st.booleans())
    views = audit_cloud(draw(st.integers(1, 3)), cards, given, per_server, audio)
    for host in [host.host for host in views.hosts]:
        for number in range(-(-given // per_server)):
            vm_state, domain = draw(st.sampled_from(_STATES))
            server = server_of(host, number)
            views = views.with_instance(server, vm_state=vm_state)
            views = views.with_domain(host, server, state=domain)
        if draw(st.booleans()):
            views = views.with_service(host, is_up=False)
    return views, cards, given


def rules(views: FixedViews) -> list[str]:
    report = audit_views(look(views), 60.0, AuditWatcher(), sleep=lambda seconds: None)
    assert report.in_flight == ()
    return sorted(row.rule for row in report.disagreements)


@settings(max_examples=60, deadline=None)
@given(clouds())
def test_sound(cloud: tuple[FixedViews, int, int]) -> None:
    """No generated sound cloud gives a finding."""
    assert rules(cloud[0]) == []


# These need a domain that runs, or compare what a second function of the card would change.
_RUNNING = {
    "device detached", "row of a device in use is available", "row of a device in use is deleted",
    "second domain", "mediated device gone", "card split",
}  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(clouds(), st.sampled_from(sorted(AUDIT_FAULTS)), st.data())
def test_one_fault(cloud: tuple[FixedViews, int, int], name: str, data: st.DataObject) -> None:
    """One fault in a generated cloud gives its rules, and nothing else."""
    views, cards, held = cloud
    fault = AUDIT_FAULTS[name]
    numbers = range(held) if fault.on == "given" else range(held, cards)
    if not numbers or name == "server deleted, row and allocation stayed" or name == "card split":
        return
    host = data.draw(st.sampled_from([host.host for host in views.hosts]))
    card = addresses(cards)[data.draw(st.sampled_from(numbers))]
    if name in _RUNNING or name == "given away in Placement":
        server = views.row(host, card).instance_uuid
        assert server is not None
        views = views.with_instance(server, vm_state="active")
        views = views.with_domain(host, server, state="running")
    assert rules(fault.inject(views, host, card)) == sorted(fault.rules)
