"""NVIDIA's MIG: the profiles of each card, its minimum driver, and whether a geometry fits.

Not run on hardware. Profiles and counts: NVIDIA/mig-parted. Placements: what `nvidia-smi mig
-lgipp` printed on A100 40 GB, H100 80 GB and H100 NVL, the same on all three; for the other cards
with seven slices they are inferred, because these have the same instances in the same numbers.
"""

from __future__ import annotations

from wholecard.core.record import dataclass
from wholecard.core.units import joined
from wholecard.pci.splitting.record import Source, driver_text, ids_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from wholecard.pci.splitting.record import Version

    # The first memory slice of an instance, and how many it has.
    Place = tuple[int, int]
    Profiles = tuple["Profile", ...]

PARTED = Source(
    "NVIDIA/mig-parted bd7160f4 (2026-08-21), deployments/systemd/config-default.yaml", "2026-11-30"
)
GUIDE = Source(
    "NVIDIA MIG User Guide 620, Deployment Considerations; 610, Supported GPUs", "2026-11-30"
)
PROFILES = Source(
    "NVIDIA MIG User Guide, Supported MIG Profiles; nvidia-smi mig -lgip of RTX PRO 6000 as users "
    "published it", "2026-11-30")  # fmt: skip
PLACEMENTS = Source(
    "nvidia-smi mig -lgipp as users published it: A100 40 GB, H100 80 GB (Google's initialization "
    "actions, 2024-12-20), H100 NVL; NVIDIA/go-nvml 2f9e261f, mock of A100 and A30", "2026-11-30"
)  # fmt: skip

_NVIDIA = "10de"
# By an instance's compute and memory slices: the memory slices at which it can begin.
_SEVEN = {(1, 1): (0, 1, 2, 3, 4, 5, 6), (1, 2): (0, 2, 4, 6), (2, 2): (0, 2, 4),
          (3, 4): (0, 4), (4, 4): (0,), (7, 8): (0,)}  # fmt: skip
_FOUR = {(1, 1): (0, 1, 2, 3), (2, 2): (0, 2), (4, 4): (0,)}


@dataclass(frozen=True)
class Profile:
    """`1g.10gb+me`: its compute and memory slices, and how many a card can have."""

    name: str
    most: int
    compute: int
    memory: int

    @property
    def media(self) -> str:
        """`+me` and `+me.all`, of which a card has one at most; `-me` has no media engine."""
        return self.name[self.name.find("gb") + 2 :]


@dataclass(frozen=True)
class MigCard:
    """A card with MIG. `compute` slices are 7 or 4 (2 where the guide has no more).

    `driver` is the first that can do it.
    `media` is the number of media engines that profiles share, 0 where that decides nothing.
    `inferred` says what no source names; `profiles` are empty where no source lists them.
    """

    name: str
    ids: tuple[str, ...]
    driver: Version
    compute: int
    profiles: tuple[Profile, ...]
    media: int = 0
    placements_seen: bool = False
    inferred: str = ""

    @property
    def called(self) -> str:
        """Its name as the subject of a sentence: the name may be those of several models."""
        return f"this card ({self.name})"

    @property
    def memory(self) -> int:
        """Its memory slices: eight on a card with seven compute slices."""
        return 8 if self.compute == 7 else self.compute

    def profile(self, name: str) -> Profile | None:
        """The profile of that name."""
        return next((profile for profile in self.profiles if profile.name == name), None)

    def starts(self, profile: Profile) -> tuple[int, ...]:
        """The memory slices at which an instance can begin."""
        return (_SEVEN if self.compute == 7 else _FOUR)[profile.compute, profile.memory]

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where its row is from."""
        return (GUIDE, *((PROFILES if self.media else PARTED, PLACEMENTS) if self.profiles else ()))


def _seven(one: int, double: int, two: int, three: int, four: int, whole: int) -> Profiles:
    """The profiles of a card with seven slices, by the GB of 1g, the larger 1g, 2g, 3g, 4g, 7g."""
    return (
        Profile(f"1g.{one}gb", 7, 1, 1), Profile(f"1g.{one}gb+me", 1, 1, 1),
        Profile(f"1g.{double}gb", 4, 1, 2), Profile(f"2g.{two}gb", 3, 2, 2),
        Profile(f"3g.{three}gb", 2, 3, 4), Profile(f"4g.{four}gb", 1, 4, 4),
        Profile(f"7g.{whole}gb", 1, 7, 8),
    )  # fmt: skip


def _four(text: str) -> Profiles:
    """Those of a card with four slices, of `1g.6gb 4, 1g.6gb+me 1`."""
    rows = (row.split() for row in text.split(", "))
    return tuple(Profile(name, int(most), int(name[0]), int(name[0])) for name, most in rows)


# As of 30 November 2026. Ids and their models: mig-parted's device filters and pci.ids 2026-08-22.
CARDS = (
    MigCard("A100 40 GB, A800 40 GB", ids_of(_NVIDIA, "20b0 20b1 20f1 20f6"), (450, 80, 2), 7,
            _seven(5, 10, 10, 20, 20, 40), placements_seen=True),
    MigCard("A100 80 GB, A800 80 GB", ids_of(_NVIDIA, "20b2 20b5 20f3 20f5"), (450, 80, 2), 7,
            _seven(10, 20, 20, 40, 40, 80)),
    MigCard("PG506 96 GB", ids_of(_NVIDIA, "20b6"), (450, 80, 2), 7,
            _seven(12, 24, 24, 48, 48, 96), inferred="its minimum driver is the A100's"),
    MigCard("A30", ids_of(_NVIDIA, "20b7"), (460, 73, 1), 4,
            _four("1g.6gb 4, 1g.6gb+me 1, 2g.12gb 2, 2g.12gb+me 1, 4g.24gb 1"),
            placements_seen=True),
    MigCard("H100 80 GB, H800 80 GB", ids_of(_NVIDIA, "2330 2331 2322 2324"), (525, 85, 12), 7,
            _seven(10, 20, 20, 40, 40, 80), placements_seen=True),
    MigCard("H100 94 GB (NVL), H800 94 GB", ids_of(_NVIDIA, "2321 233a"), (525, 85, 12), 7,
            _seven(12, 24, 24, 47, 47, 94), placements_seen=True),
    MigCard("H100 96 GB, GH200 96 GB", ids_of(_NVIDIA, "233d 2342"), (525, 85, 12), 7,
            _seven(12, 24, 24, 48, 48, 96), inferred="their minimum driver is the H100's"),
    MigCard("H20", ids_of(_NVIDIA, "2329"), (535, 161, 7), 7, _seven(12, 24, 24, 48, 48, 96)),
    MigCard("H200, H200 NVL", ids_of(_NVIDIA, "2335 233b"), (550, 90, 7), 7,
            _seven(18, 35, 35, 71, 71, 141)),
    MigCard("GH200 144 GB", ids_of(_NVIDIA, "2348"), (525, 85, 12), 7,
            _seven(18, 36, 36, 72, 72, 144), inferred="its minimum driver is the H100's"),
    MigCard("B200", ids_of(_NVIDIA, "2901"), (570, 133, 20), 7, _seven(23, 45, 45, 90, 90, 180)),
    MigCard("GB200", ids_of(_NVIDIA, "2941"), (570, 133, 20), 7,
            _seven(23, 47, 47, 93, 93, 186),
            inferred="boards with 189 GB call the large profiles 3g.95gb, 4g.95gb and 7g.189gb"),
    MigCard("B300", ids_of(_NVIDIA, "3182"), (580, 82, 7), 7, _seven(34, 67, 67, 135, 135, 269)),
    MigCard("GB300", ids_of(_NVIDIA, "31c2"), (595, 58, 3), 7,
            _seven(35, 70, 70, 139, 139, 278),
            inferred="its minimum driver is that of the DGX Station"),
    MigCard("RTX PRO 6000 Blackwell (Server, Workstation, Max-Q)",
            ids_of(_NVIDIA, "2bb5 2bb1 2bb4"), (575, 51, 3), 4,
            _four("1g.24gb 4, 1g.24gb+me 1, 1g.24gb+gfx 4, 1g.24gb+me.all 1, 1g.24gb-me 4, "
                  "2g.48gb 2, 2g.48gb+gfx 2, 2g.48gb+me.all 1, 2g.48gb-me 2, 4g.96gb 1, "
                  "4g.96gb+gfx 1"), media=4),
    MigCard("RTX PRO 5000 Blackwell", ids_of(_NVIDIA, "2bb3"), (575, 57, 8), 2, ()),
    MigCard("RTX PRO 4500 Blackwell", ids_of(_NVIDIA, "2c31"), (575, 64), 2, ()),
)  # fmt: skip


@dataclass(frozen=True)
class Fit:
    """Whether a geometry fits, why, and where each instance is: profile, first slice, slices.

    `surely` is False where the placements of this card are inferred from other cards'.
    """

    fits: bool
    reason: str
    places: tuple[tuple[str, int, int], ...] = ()
    surely: bool = True


def mig_card(ids: str) -> MigCard | None:
    """The card with these ids, None for one without MIG."""
    return next((card for card in CARDS if ids in card.ids), None)


def driver_refusal(card: MigCard, driver: Version) -> str:
    """Why this driver cannot do it; empty where it can."""
    if driver >= card.driver:
        return ""
    least = driver_text(card.driver)
    return f"MIG on {card.called} needs driver {least}, and {driver_text(driver)} is older"


def geometry_fits(
    card: MigCard,
    geometry: Mapping[str, int],
    driver: Version | None = None,
    taken: Iterable[Place] = (),
) -> Fit:
    """Whether these instances (`{"1g.10gb": 2}`) fit on the card, beside those that it has.

    `taken` are the memory slices of instances that stay. The answer is by placement: an
    instance begins only at certain memory slices, and no two share one.
    """
    if not card.profiles:
        return Fit(False, f"no source lists the profiles of {card.called}: nvidia-smi mig -lgip")
    refusals = [_profile_refusal(card, name, n) for name, n in geometry.items()]
    if driver is not None:
        refusals.insert(0, driver_refusal(card, driver))
    wanted = [card.profile(name) for name, count in geometry.items() for _ in range(count)]
    # The largest first: they have the fewest places.
    instances = sorted(filter(None, wanted), key=lambda profile: (-profile.memory, profile.name))
    reason = next(filter(None, [*refusals, _media_refusal(card, instances)]), "")
    if reason:
        return Fit(False, reason)
    busy = frozenset(slice_ for start, size in taken for slice_ in range(start, start + size))
    places = _placed(card, instances, busy)
    compute = sum(profile.compute for profile in instances)
    memory = sum(profile.memory for profile in instances)
    if places is None:
        return Fit(False, _no_place(card, instances, busy), surely=card.placements_seen)
    used = f"{compute} of {card.compute} compute slices, {memory} of {card.memory} memory slices"
    return Fit(True, used, places, card.placements_seen)


def _profile_refusal(card: MigCard, name: str, count: int) -> str:
    profile = card.profile(name)
    if profile is None:
        known = ", ".join(profile.name for profile in card.profiles)
        return f"{card.called} has no profile {name[:40]!r}; it has {known}"
    if not 0 < count <= profile.most:
        return f"{card.called} has 1 to {profile.most} of {name}, and {count} are asked for"
    return ""


def _media_refusal(card: MigCard, instances: Sequence[Profile]) -> str:
    """What media engines exclude: one `+me` at most, and none beside one that has them all."""
    extended = [each.name for each in instances if each.media in ("+me", "+me.all")]
    if len(extended) > 1:
        return f"one instance can have media extensions, and {joined(extended)} are more"
    others = {each.name for each in instances if each.media not in ("-me", "+me.all")}
    if others and "+me.all" in {each.media for each in instances}:
        return (
            f"+me.all takes all {card.media} media engines, and {joined(sorted(others))} needs "
            "one: only -me profiles fit beside it"
        )
    return ""


def _placed(
    card: MigCard, instances: Sequence[Profile], busy: frozenset[int]
) -> tuple[tuple[str, int, int], ...] | None:
    """A place for each instance, None where there is no arrangement. At most eight instances."""
    if not instances:
        return ()
    first, *others = instances
    for start in card.starts(first):
        slices = frozenset(range(start, start + first.memory))
        if not slices & busy:
            rest = _placed(card, others, busy | slices)
            if rest is not None:
                return ((first.name, start, first.memory), *rest)
    return None


def _no_place(card: MigCard, instances: Sequence[Profile], busy: frozenset[int]) -> str:
    """Which limit is passed; where none is, that the places are not free together."""
    compute = sum(profile.compute for profile in instances)
    memory = sum(profile.memory for profile in instances)
    free = card.memory - len(busy)
    if compute > card.compute:
        return f"{compute} compute slices are asked for, and {card.called} has {card.compute}"
    if memory > free:
        beside = f", {len(busy)} of them in use" if busy else ""
        return (
            f"{memory} memory slices are asked for, and {card.called} has {card.memory}{beside} "
            f"(the compute slices would do: {compute} of {card.compute})"
        )
    starts = "; ".join(
        f"{name} at {', '.join(map(str, card.starts(profile)))}"
        for name, profile in {profile.name: profile for profile in instances}.items()
    )
    return (
        f"{memory} memory slices are free, but not where these can begin ({starts})"
        if busy
        else f"there is no arrangement in which each begins where it can ({starts})"
    )
