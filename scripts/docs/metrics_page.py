"""The page of metrics, made from the records that the exporter serves."""

from __future__ import annotations

import yaml
from openstack_page import cell_code

from wholecard.cloud.placement.card_state import CardState
from wholecard.health.exporter.metrics import METRICS, Metric
from wholecard.health.exporter.request import PORT
from wholecard.health.grafana.alerts import alert_rules
from wholecard.host.facts.card_events import KERNEL, KINDS, QEMU

_HEAD = f"""# Metrics

What `wholecard exporter` serves on port {PORT}, as of this release. Made from the exporter's own
records (contributors: `src/wholecard/health/exporter/metrics.py`, renewed with
`WHOLECARD_RENEW=1`). [Watch the health of cards](../how-to/watch-the-health-of-cards.md) says how
to set it up.

Series of a source that was not read are absent, and `wholecard_source_up` is 0. Counters of AER
and of the logs begin at zero when the host boots; Prometheus' `increase` and `rate` know that.
"""
_LABELS = {
    "source": "`host` or `cloud`",
    "host": "the host's name as it was given to `--on`, or this machine's own; empty for the cloud",
    "card": "the card's slot: `0000:88:00`",
    "address": "a function's address: `0000:88:00.0`",
    "model": "the GPU's name from pci.ids, else its ids",
    "ids": "vendor and device of the GPU: `10de:2330`",
    "driver": "the driver of the GPU: `vfio-pci`",
    "project": "the id of a project in Keystone",
    "state": ", ".join(f"`{state.value}`" for state in CardState),
    "severity": "`correctable`, `nonfatal`, `fatal`; of a finding `error`, `warning`, `note`",
    "rule": "a finding's code: [the rules](rules.md)",
    "kind": "of a line in a log, see below",
}


def metrics_page() -> str:
    """docs/reference/metrics.md."""
    parts = [_HEAD, _table(), _labels(), _kinds(), _alerts(), _CARD_SECONDS]
    return "\n".join(parts)


def _table() -> str:
    rows = (
        f"| `{metric.name}` | {metric.kind} | {_of(metric)} | {metric.help} |\n"
        for metric in METRICS
    )
    return f"| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n{''.join(rows)}"


def _of(metric: Metric) -> str:
    return ", ".join(f"`{label}`" for label in metric.labels)


def _labels() -> str:
    used = dict.fromkeys(label for metric in METRICS for label in metric.labels)
    rows = "".join(f"| `{label}` | {_LABELS[label]} |\n" for label in used)
    return f"## Labels\n\n| label | value |\n| --- | --- |\n{rows}"


def _kinds() -> str:
    sources = {kind: "the kernel's" for kind, _ in KERNEL} | {kind: "QEMU's" for kind, _ in QEMU}
    rows = "".join(f"| `{kind}` | {sources[kind]} |\n" for kind in KINDS)
    return (
        "## Kinds of lines in logs\n\n"
        "The sentences of each kind, with where they come from, are in "
        "`src/wholecard/host/facts/card_events.py`.\n\n"
        f"| kind | log |\n| --- | --- |\n{rows}"
    )


def _alerts() -> str:
    (group,) = yaml.safe_load(alert_rules())["groups"]
    rows = "".join(
        f"| `{rule['alert']}` | {rule['labels']['severity']} | {rule.get('for', 'at once')} "
        f"| {cell_code(rule['expr'])} |\n"
        for rule in group["rules"]
    )
    return (
        "## Alerts\n\n`wholecard exporter --alerts` prints them.\n\n"
        f"| alert | severity | for | condition |\n| --- | --- | --- | --- |\n{rows}"
    )


_CARD_SECONDS = """## What card-seconds count

For each server whose flavor asks for cards by `pci_passthrough:alias`: the seconds from its first
start on a host (`launched_at`) to its deletion (`terminated_at`), as nova's own
os-simple-tenant-usage counts hours, times the cards of the flavor that it has now. Between two
readings a resize changes the rate and not what was counted. `--alias` names the aliases that mean
cards, if others are in use.

A server that is stopped, paused or suspended has its cards and counts. So does one that is shelved
and offloaded, though its cards are free. Not counted are mediated devices (`resources:VGPU`),
cards that come through a Neutron port or Cyborg, the destination's cards before a resize is
confirmed, and servers that were deleted and archived before they were read.
"""
