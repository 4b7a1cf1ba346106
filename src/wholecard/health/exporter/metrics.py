"""All metrics: one record each, from which they are served and docs/reference/metrics.md is made.

Names and units follow Prometheus' conventions (prometheus.io/docs/practices/naming): base units,
the unit at the end, counters end in `_total`. A card is a slot (`card`), a function an `address`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter"]


@dataclass(frozen=True)
class Metric:
    """One metric: `help` is one sentence for people, `labels` are in the order of the values."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


_CARD = ("host", "card")
_FUNCTION = ("host", "card", "address")

SOURCE_UP = Metric(
    "wholecard_source_up", "gauge",
    "1 if the last reading of this source succeeded, 0 if not. A source is a host or the cloud.",
    ("source", "host"),
)  # fmt: skip
SOURCE_READ = Metric(
    "wholecard_source_last_success_timestamp_seconds", "gauge",
    "When this source was last read with success, in seconds since 1970; 0 if never.",
    ("source", "host"),
)  # fmt: skip
SOURCE_SECONDS = Metric(
    "wholecard_source_read_duration_seconds", "gauge",
    "How long the last reading of this source took.", ("source", "host"),
)  # fmt: skip
CARD_INFO = Metric(
    "wholecard_card_info", "gauge",
    "1 for each card, with its model, its ids and the driver of its GPU.",
    (*_CARD, "model", "ids", "driver"),
)  # fmt: skip
CARD_STATE = Metric(
    "wholecard_card_state", "gauge",
    "1 for the card's state, which is broken, given, dirty, reserved, free or unknown; 0 for the "
    "others.",
    (*_CARD, "model", "state"),
)  # fmt: skip
CARD_GIVEN = Metric(
    "wholecard_card_given", "gauge",
    "1 for a card that a server has, with the server's project (empty if not known).",
    (*_CARD, "model", "project"),
)  # fmt: skip
CARD_FINDINGS = Metric(
    "wholecard_card_findings", "gauge",
    "How many findings of `wholecard health` the card has, by rule and severity.",
    (*_CARD, "rule", "severity"),
)  # fmt: skip
RESPONDING = Metric(
    "wholecard_function_responding", "gauge",
    "1 if the function's configuration space answers, 0 if it reads as all ones. A function that "
    "sleeps or that was not read has none.", _FUNCTION,
)  # fmt: skip
PCI_ERRORS = Metric(
    "wholecard_pci_errors_total", "counter",
    "AER's errors of a function or of a port above a card since boot; severity is correctable, "
    "nonfatal or fatal. A port above several cards has an empty card.",
    (*_FUNCTION, "severity"),
)  # fmt: skip
PORT_ERRORS = Metric(
    "wholecard_root_port_received_errors_total", "counter",
    "Error messages that a root port received since boot, its own and those of all below it.",
    ("host", "address", "severity"),
)  # fmt: skip
LINK_LANES = Metric(
    "wholecard_card_link_lanes", "gauge", "The lanes that the card's link has now.", _CARD
)
LINK_LANES_MAX = Metric(
    "wholecard_card_link_lanes_max", "gauge",
    "The lanes that the link could have: the fewer of the card's and the slot's.", _CARD,
)  # fmt: skip
LOG_EVENTS = Metric(
    "wholecard_card_log_events_total", "counter",
    "Lines about the card in the kernel's and QEMU's logs since boot, by kind.",
    (*_CARD, "kind"),
)  # fmt: skip
PROJECT_CARDS = Metric(
    "wholecard_project_cards", "gauge",
    "Cards that the flavors of the project's servers ask for now.", ("project",),
)  # fmt: skip
CARD_SECONDS = Metric(
    "wholecard_project_card_seconds_total", "counter",
    "Seconds that the project's servers existed, times the cards of their flavors, since the "
    "exporter started.", ("project",),
)  # fmt: skip

METRICS = (
    SOURCE_UP, SOURCE_READ, SOURCE_SECONDS, CARD_INFO, CARD_STATE, CARD_GIVEN, CARD_FINDINGS,
    RESPONDING, PCI_ERRORS, PORT_ERRORS, LINK_LANES, LINK_LANES_MAX, LOG_EVENTS, PROJECT_CARDS,
    CARD_SECONDS,
)  # fmt: skip
