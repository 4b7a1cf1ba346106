"""The rows of both benchmarks: stock settings, each setting alone, all that `tuning` gives."""

from __future__ import annotations

from dataclasses import dataclass

from bench_cloud import Options

from wholecard.nova.desired.tuning import tuning

NOVA_MAJOR = 34
HOSTS, CARDS = 6, 8
QUOTA: Options = (("quota", "instances", "-1"), ("quota", "cores", "-1"), ("quota", "ram", "-1"))
ONE_AT_A_TIME = ("executor_thread_pool_size", "workers", "rpc_response_timeout")


@dataclass(frozen=True)
class BootRow:
    """Options of each service beside the cloud's own; `repeated` rows run several times."""

    name: str
    placement: Options = ()
    scheduler: Options = ()
    conductor: Options = ()
    api: Options = ()
    repeated: bool = False


@dataclass(frozen=True)
class CandidateRow:
    """Names of options that Placement gets in the value that `tuning` gives them.

    `most` is max_allocation_candidates where it is to be another; `optional` rows are left out
    for more hosts once they were cut off.
    """

    name: str
    options: tuple[str, ...] = ()
    most: int | None = None
    optional: bool = True

    def placement(self, cards: int, hosts: int) -> Options:
        """The options for this many cards and hosts."""
        settings = only(rendered("placement", cards, hosts), *self.options)
        return tuple(
            (section, name, str(self.most) if self.most and name == MAX else value)
            for section, name, value in settings
        )


def rendered(role: str, cards: int = CARDS, hosts: int = HOSTS) -> Options:
    """All that `tuning` gives a role of nova 34."""
    return tuple((s.section, s.name, s.value) for s in tuning(role, NOVA_MAJOR, cards, hosts))


def only(options: Options, *names: str) -> Options:
    """Those of these names."""
    return tuple(option for option in options if option[1] in names)


def without(options: Options, *names: str) -> Options:
    """Those of other names."""
    return tuple(option for option in options if option[1] not in names)


def boot_row(name: str, *options: str) -> BootRow:
    """Quotas lifted and these options, in every service that `tuning` gives them to."""
    return BootRow(
        name, only(rendered("placement"), *options), only(rendered("scheduler"), *options),
        (*QUOTA, *only(rendered("conductor"), *options)), QUOTA,
    )  # fmt: skip


MAX = "max_allocation_candidates"
BREADTH = "allocation_candidates_generation_strategy"
RANDOM = "randomize_allocation_candidates"
OPTIMIZED = "optimize_for_wide_provider_trees"

SUBSET: Options = (("filter_scheduler", "host_subset_size", str(HOSTS)),)

BOOT_ROWS = (
    BootRow("defaults"),
    boot_row("quota lifted"),
    boot_row("randomize_allocation_candidates", RANDOM),
    BootRow("host_subset_size (not rendered)", (), SUBSET, QUOTA, QUOTA),
    boot_row("shuffle_best_same_weighed_hosts", "shuffle_best_same_weighed_hosts"),
    boot_row("max_attempts", "max_attempts"),
    boot_row("one request at a time", *ONE_AT_A_TIME),
    BootRow(
        "all of these but one at a time", rendered("placement"),
        (*SUBSET, *without(rendered("scheduler"), *ONE_AT_A_TIME)),
        (*QUOTA, *without(rendered("conductor"), *ONE_AT_A_TIME)), QUOTA,
    ),
    BootRow(
        "rendered, stock quotas", rendered("placement"), rendered("scheduler"),
        rendered("conductor"),
    ),
    BootRow(
        "rendered", rendered("placement"), rendered("scheduler"),
        (*QUOTA, *rendered("conductor")), QUOTA, repeated=True,
    ),
)  # fmt: skip

CANDIDATE_ROWS = (
    CandidateRow("defaults", optional=False),
    CandidateRow("max_allocation_candidates = 100", (MAX,), 100),
    CandidateRow("breadth-first", (BREADTH,)),
    CandidateRow("optimize_for_wide_provider_trees", (OPTIMIZED,)),
    CandidateRow("max 100, breadth-first", (MAX, BREADTH), 100),
    CandidateRow("max 100, optimised", (MAX, OPTIMIZED), 100),
    CandidateRow("max 100, breadth-first, optimised", (MAX, BREADTH, OPTIMIZED), 100),
    CandidateRow("rendered", (MAX, BREADTH, RANDOM, OPTIMIZED), optional=False),
)
