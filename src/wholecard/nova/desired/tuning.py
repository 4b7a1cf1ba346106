"""What nova's scheduling and Placement need beyond their defaults where hosts have many cards.

Three problems, each measured (docs/explanation/placement-tuning.md):

- Placement enumerates every way to choose the cards: eight of eight on one host are 8^8 ways, of
  which 8! are valid, and on each host again. It does not answer in a minute.
- nova tries one candidate of each host and no second one. By default Placement lists the candidates
  in the same order for everybody, so servers requested at once are all sent to the same cards: one
  gets them, the others get a conflict from host after host and end with "no valid host".
- A nova-scheduler process handles 64 requests at once, each with its own outdated view of the same
  cards.

Sources: placement `conf/placement.py`, `conf/workarounds.py`, `objects/allocation_candidate.py`;
nova `conf/scheduler.py`, `scheduler/manager.py`, `scheduler/rpcapi.py`; oslo.messaging `server.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from wholecard.core import UsageError
from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import FIRST
from wholecard.nova.options import by_name, role_named

# A host with fewer cards of a kind has few ways to choose among them.
WIDE = 4
# With fewer the scheduler's filters do not see all hosts, more cost Placement and nova-scheduler
# time; nova itself asks for 1000 at most (`[scheduler] max_placement_results`).
CANDIDATES_MIN, CANDIDATES_MAX = 100, 1000
SUBSET_MAX = 10
ATTEMPTS = 10
SCHEDULER_WORKERS = 2
QUEUE_SECONDS = 300


@dataclass(frozen=True)
class TuningSetting:
    """One option: its section, name and value as in the file, and the reason for it.

    `since` is the first nova major whose nova.conf or placement.conf has it. Placement has numbers
    of its own: 2023.1 is nova 27 and placement 9, 2026.2 is nova 34 and placement 16.
    """

    section: str
    name: str
    value: str
    reason: str
    since: int


def tuning(role: str, major: int, cards_per_host: int, hosts: int) -> tuple[TuningSetting, ...]:
    """What one role's file should set, by section; empty where the defaults are right.

    `major` is nova's (13 is Mitaka, 34 is 2026.2). `cards_per_host` is the largest number of cards
    of one kind on a host, `hosts` how many hosts have such cards. `placement` is placement.conf,
    the other roles are nova.conf. Assumes that cards are in Placement where the release can do it.

    Raises UsageError for an unknown role, an unknown release, or a number below one.
    """
    role_named(role)
    if major < FIRST.nova or min(cards_per_host, hosts) < 1:
        raise UsageError(
            "there is no tuning for such a cloud",
            f"nova {major}, {cards_per_host} cards on a host, {hosts} hosts",
            f"Give nova {FIRST.nova} or later, at least one card and one host.",
        )
    settings_of = {
        "placement": lambda: _placement(major, cards_per_host, hosts),
        "scheduler": lambda: _scheduler(major, hosts),
        "conductor": lambda: _conductor(major),
    }
    settings = settings_of[role]() if role in settings_of else ()
    return tuple(setting for setting in settings if setting.since <= major)


def is_too_wide(major: int, cards_per_host: int) -> bool:
    """Whether nova of that release chooses cards in Placement, which cannot be tuned for so many.

    From 2023.1 to 2024.1: `max_allocation_candidates` alone, since 2023.2, takes seconds for one
    host and leaves hosts out where there are many (docs/explanation/placement-tuning.md).
    """
    can_choose = has(major, Capability.PCI_IN_PLACEMENT)
    return can_choose and not has(major, Capability.WIDE_PROVIDER_TREES) and cards_per_host >= WIDE


def _setting(
    name: str, value: str, reason: str, major: int, only: Capability | None = None
) -> TuningSetting:
    """The option by its name in that release, or its newest; `only`: it helps since then."""
    option = by_name(name)
    spelling = option.spelling(major) or option.spellings[0]
    since = max(spelling.since, only.since if only else 0)
    return TuningSetting(spelling.section, spelling.name, value, reason, since)


def _placement(major: int, cards: int, hosts: int) -> tuple[TuningSetting, ...]:
    shuffled = _setting("randomize_allocation_candidates", "true",
        "nova tries one candidate of each host: in a fixed order all servers try the same cards",
        major, Capability.PCI_IN_PLACEMENT)  # fmt: skip
    if cards < WIDE:
        return (shuffled,)
    most = min(max(CANDIDATES_MIN, hosts * cards), CANDIDATES_MAX)
    return (
        _setting("max_allocation_candidates", str(most),
            f"{cards} of {cards} cards can be chosen in {cards}! orders on each host; a few "
            "orders are enough (in placement 10.0.1, 11.0.1, 12.0.1 and later)", major),
        _setting("allocation_candidates_generation_strategy", "breadth-first",
            "the candidates that are kept come from all hosts, not from the first few", major),
        shuffled,
        _setting("optimize_for_wide_provider_trees", "true",
            f"discards impossible choices early, instead of trying all {cards}^{cards} "
            "(bug 2126751; in placement 12.0.2, 15.0.0, and stable/2025.1 and 2025.2)", major),
    )  # fmt: skip


def _scheduler(major: int, hosts: int) -> tuple[TuningSetting, ...]:
    subset = _setting("host_subset_size", str(min(hosts, SUBSET_MAX)),
        "servers requested at once begin on different hosts, not all on the best one",
        major)  # fmt: skip
    equal = _setting("shuffle_best_same_weighed_hosts", "true",
        "hosts of equal weight are in random order each time", major)  # fmt: skip
    one_at_a_time = _setting("executor_thread_pool_size", "1",
        "64 requests at once see the same free cards; with one request at a time, two cannot pick "
        "the same card",
        major, Capability.PCI_IN_PLACEMENT)  # fmt: skip
    workers = _setting("workers", str(SCHEDULER_WORKERS),
        "one process for each core would again handle many requests at once",
        major, Capability.PCI_IN_PLACEMENT)  # fmt: skip
    choosing = (equal, _attempts(major)) if hosts > 1 else ()
    # A subset of hosts overrides the weighers, also the one that sends servers without cards to
    # hosts without cards. So only where Placement does not prevent the race.
    if hosts > 1 and not has(major, Capability.PCI_IN_PLACEMENT):
        choosing = (subset, *choosing)
    return (one_at_a_time, *choosing, workers)


def _conductor(major: int) -> tuple[TuningSetting, ...]:
    reason = "a request that waits in nova-scheduler's queue is answered late"
    only = Capability.PCI_IN_PLACEMENT
    timeout = _setting("rpc_response_timeout", str(QUEUE_SECONDS), reason, major, only)
    return (timeout, _attempts(major))


def _attempts(major: int) -> TuningSetting:
    """For nova-scheduler (how many alternate hosts) and nova-conductor (when to give up)."""
    reason = "a server that one host refuses is tried on more than two other hosts"
    return _setting("max_attempts", str(ATTEMPTS), reason, major)
