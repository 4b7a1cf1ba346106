"""MIG: profiles, drivers, and which geometries fit."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wholecard.pci.splitting.mig import (
    CARDS,
    Fit,
    MigCard,
    Profile,
    driver_refusal,
    geometry_fits,
    mig_card,
)

H100, A30, PRO_6000 = (mig_card(ids) for ids in ("10de:2330", "10de:20b7", "10de:2bb5"))
WITH_PROFILES = [card for card in CARDS if card.profiles]


@pytest.mark.parametrize("card", WITH_PROFILES, ids=lambda card: card.name)
def test_homogeneous_geometries(card: MigCard) -> None:
    """As many of each profile fit as mig-parted lists, and one more does not."""
    for profile in card.profiles:
        assert geometry_fits(card, {profile.name: profile.most}).fits
        assert not geometry_fits(card, {profile.name: profile.most + 1}).fits


@pytest.mark.parametrize("card", WITH_PROFILES, ids=lambda card: card.name)
def test_balanced(card: MigCard) -> None:
    """mig-parted's "balanced" fits every card: two 1g, one 2g, and one 3g with seven slices."""
    sizes = {1: 2, 2: 1, 3: 1} if card.compute == 7 else {1: 2, 2: 1}
    names = {profile.compute: profile.name for profile in reversed(card.profiles)}
    assert geometry_fits(card, {names[size]: count for size, count in sizes.items()}).fits


def test_places_are_said() -> None:
    """A geometry that fits comes with the first memory slice of each instance.

    The 3g begins at slice 4: at 0 it would leave no place for the second 1g, for none begins at 7.
    """
    assert H100 is not None
    assert geometry_fits(H100, {"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1}) == Fit(
        True,
        "7 of 7 compute slices, 8 of 8 memory slices",
        (("3g.40gb", 4, 4), ("2g.20gb", 0, 2), ("1g.10gb", 2, 1), ("1g.10gb", 3, 1)),
    )


@pytest.mark.parametrize(
    ("ids", "geometry", "driver", "said"),
    [
        ("10de:2330", {"3g.40gb": 2, "1g.10gb": 1}, None, "9 memory slices are asked for, and this "
         "card (H100 80 GB, H800 80 GB) has 8 (the compute slices would do: 7 of 7)"),
        ("10de:2330", {"4g.40gb": 1, "2g.20gb": 2}, None, "8 compute slices are asked for"),
        ("10de:2330", {"1g.5gb": 7}, None, "has no profile '1g.5gb'; it has 1g.10gb, 1g.10gb+me"),
        ("10de:2330", {"1g.10gb": 0}, None, "has 1 to 7 of 1g.10gb, and 0 are asked for"),
        ("10de:2330", {"7g.80gb": 1}, (525, 60, 13), "needs driver 525.85.12, and 525.60.13 is"),
        ("10de:20b7", {"1g.6gb+me": 1, "2g.12gb+me": 1}, None,
         "one instance can have media extensions, and 2g.12gb+me and 1g.6gb+me are more"),
        ("10de:2bb5", {"1g.24gb+me.all": 1, "1g.24gb": 1}, None,
         "+me.all takes all 4 media engines, and 1g.24gb needs one"),
        ("10de:2bb3", {"1g.12gb": 1}, None, "no source lists the profiles of this card"),
    ],
)  # fmt: skip
def test_refusals(
    ids: str, geometry: dict[str, int], driver: tuple[int, ...] | None, said: str
) -> None:
    """What does not fit is refused with the limit that it passes."""
    card = mig_card(ids)
    assert card is not None
    fit = geometry_fits(card, geometry, driver)
    assert not fit.fits
    assert said in fit.reason


def test_beside_an_instance_that_has_all_media() -> None:
    """Beside +me.all the profiles without media engines fit: the guide's configurations 6 and 7."""
    assert PRO_6000 is not None
    assert geometry_fits(PRO_6000, {"2g.48gb+me.all": 1, "1g.24gb-me": 2}).fits
    assert geometry_fits(PRO_6000, {"1g.24gb+me.all": 1, "1g.24gb-me": 3}).fits


def test_instances_that_stay() -> None:
    """Where instances stay, sums are not enough: a 3g needs slices 0 to 3 or 4 to 7 free."""
    assert H100 is not None
    taken = ((1, 1), (5, 1))
    fit = geometry_fits(H100, {"3g.40gb": 1}, taken=taken)
    assert not fit.fits
    assert fit.reason == (
        "4 memory slices are free, but not where these can begin (3g.40gb at 0, 4)"
    )
    assert geometry_fits(H100, {"3g.40gb": 1}, taken=((1, 1), (2, 1))).fits


def test_sums_on_an_empty_card() -> None:
    """Of 1,919 geometries of an empty H100 77 fit; by compute slices alone 102 would.

    On an empty card both sums, of compute and of memory slices, say the same as the placement.
    """
    assert H100 is not None
    names = [profile for profile in H100.profiles if "+" not in profile.name]
    by_placement, by_sums, by_compute = 0, 0, 0
    for counts in product(*(range(profile.most + 1) for profile in names)):
        rows = [(p, n) for p, n in zip(names, counts, strict=True) if n]
        if not rows:
            continue
        fits = geometry_fits(H100, {profile.name: count for profile, count in rows}).fits
        compute = sum(profile.compute * count for profile, count in rows)
        memory = sum(profile.memory * count for profile, count in rows)
        assert fits == (compute <= 7 and memory <= 8)
        by_placement += fits
        by_compute += compute <= 7
        by_sums += 1
    assert (by_sums, by_placement, by_compute) == (1919, 77, 102)


@given(st.sampled_from(WITH_PROFILES), st.data())
def test_places_are_legal(card: MigCard, data: st.DataObject) -> None:
    """What fits is placed where nvidia-smi mig -lgipp allows it, each slice once, none missing."""
    profiles: list[Profile] = data.draw(st.lists(st.sampled_from(card.profiles), max_size=8))
    taken = data.draw(st.sets(st.integers(0, card.memory - 1)))
    geometry = Counter(profile.name for profile in profiles)
    fit = geometry_fits(card, geometry, taken=[(slice_, 1) for slice_ in taken])
    if not fit.fits:
        assert fit.reason
        return
    used = [slice_ for _, start, size in fit.places for slice_ in range(start, start + size)]
    assert len(used) == len(set(used))
    assert set(used) <= set(range(card.memory)) - taken
    assert Counter(name for name, _, _ in fit.places) == geometry
    for name, start, size in fit.places:
        profile = card.profile(name)
        assert profile is not None
        assert start in card.starts(profile)
        assert size == profile.memory


def test_placements_that_were_seen() -> None:
    """Placements were printed on three cards with seven slices and A30; others are inferred."""
    seen = [card.name for card in CARDS if card.placements_seen]
    assert seen == ["A100 40 GB, A800 40 GB", "A30", "H100 80 GB, H800 80 GB",
                    "H100 94 GB (NVL), H800 94 GB"]  # fmt: skip
    b200 = mig_card("10de:2901")
    assert b200 is not None
    assert not geometry_fits(b200, {"1g.23gb": 1}).surely


def test_minimum_drivers() -> None:
    """The versions of the guide's 620 edition, not the swapped ones of an older page."""
    assert H100 is not None
    assert driver_refusal(H100, (525, 85, 12)) == ""
    assert "needs driver 525.85.12, and 450.80.02 is older" in driver_refusal(H100, (450, 80, 2))
    a100 = mig_card("10de:20b0")
    assert a100 is not None
    assert driver_refusal(a100, (450, 80, 2)) == ""


def test_ids_are_of_one_card() -> None:
    """No id is in two rows; ids of other cards have none."""
    ids = [each for card in CARDS for each in card.ids]
    assert len(ids) == len(set(ids))
    assert mig_card("10de:26b9") is None
