"""Reserved amounts, parents and providers are changed with their generation, and given back."""

from __future__ import annotations

import pytest

from support.repair_bench import ADDRESS, CARD1, CLASS, ROOT1, ROOT2, A, B, Bench, holding
from support.repair_cloud import Answer, provider
from wholecard.audit.record import Domain
from wholecard.core import WholecardError
from wholecard.repair.operations.guards import GuardError
from wholecard.repair.operations.provider import ProviderRemoval
from wholecard.repair.operations.provider_parent import ProviderParentChange
from wholecard.repair.operations.reserved import ReservedChange

NAME = f"gpu-01_{ADDRESS.upper()}"
RESERVED = ReservedChange(CARD1, NAME, CLASS, 1, 0, "gpu-01", (ADDRESS,))
REMOVAL = ProviderRemoval(CARD1, NAME, "gpu-01", (ADDRESS,))
PARENT = ProviderParentChange(CARD1, NAME, ROOT2, ROOT1)


def card(bench: Bench) -> dict[str, object]:
    found: dict[str, object] = bench.cloud.state["providers"][CARD1]
    return found


def test_reserved(bench: Bench) -> None:
    """Reserved becomes 0, all else of the inventory stays, and rollback reserves it again."""
    bench.change(providers={CARD1: provider(NAME, ROOT1, reserved=1)})
    before = bench.seen()
    bench.apply(RESERVED)
    assert card(bench) == provider(NAME, ROOT1, generation=8)
    bench.rollback()
    assert bench.seen() == before


def test_reserved_conflict(bench: Bench) -> None:
    """A 409 is read again with the new generation; an amount that is another's is refused."""
    bench.change(providers={CARD1: provider(NAME, ROOT1, reserved=1)})
    seen: list[str] = []

    def writes_first(when: str, method: str, path: str) -> Answer | None:
        if when == "before" and method == "PUT" and not seen:
            seen.append(path)
            bench.change(providers={CARD1: provider(NAME, ROOT1, reserved=1, generation=20)})
        return None

    bench.cloud.fault = writes_first
    bench.apply(RESERVED)
    assert card(bench)["generation"] == 21
    bench.cloud.fault = lambda when, method, path: None
    bench.change(providers={CARD1: provider(NAME, ROOT1, total=3, reserved=2)})
    with pytest.raises(WholecardError, match="changed since the plan"):
        bench.apply(RESERVED)


@pytest.mark.parametrize(
    ("said", "domains", "held", "traits"),
    [
        ("the domain a", (Domain(A, "a", "running", (ADDRESS,)),), {}, []),
        ("is used", (), {B: holding(CARD1)}, []),
        ("is for one use", (), {}, ["HW_PCI_ONE_TIME_USE"]),
    ],
)
def test_reserved_is_kept(
    bench: Bench, said: str, domains: tuple[Domain, ...], held: dict[str, object], traits: list[str]
) -> None:
    """A card that somebody has, or that has to be cleaned first, stays reserved."""
    bench.change(
        providers={CARD1: provider(NAME, ROOT1, reserved=1, traits=traits)}, consumers=held
    )
    bench.hosts.by_host["gpu-01"] = domains
    with pytest.raises(GuardError, match=said):
        bench.apply(RESERVED)
    assert card(bench)["generation"] == 7


def test_removal(bench: Bench) -> None:
    """A provider goes, and comes back with its uuid, parent, inventories, traits, aggregates."""
    bench.change(providers={CARD1: provider(NAME, ROOT1, reserved=1, aggregates=["agg"])})
    before = bench.seen()
    bench.apply(REMOVAL)
    assert CARD1 not in bench.cloud.state["providers"]
    assert bench.rollback().notes == ()
    assert bench.seen() == before


def test_removal_of_one_in_use(bench: Bench) -> None:
    """Placement keeps a provider that somebody uses, though it was free when it was planned."""

    def allocates(when: str, method: str, path: str) -> Answer | None:
        if when == "before" and method == "DELETE":
            bench.change(consumers={B: holding(CARD1)})
        return None

    bench.cloud.fault = allocates
    with pytest.raises(GuardError, match="is in use"):
        bench.apply(REMOVAL)
    bench.rollback()
    assert (bench.status, card(bench)["generation"]) == ("clean", 7)


def test_removal_that_nova_made_anew(bench: Bench) -> None:
    """A provider of this name that nova made since is left, and that is said."""
    bench.apply(REMOVAL)
    bench.change(providers={"new": provider(NAME, ROOT1)})
    (note,) = bench.rollback().notes
    assert "nova made a new one" in note


def test_parent(bench: Bench) -> None:
    """A provider is put below its host's, with what is allocated of it, and back."""
    bench.change(providers={CARD1: provider(NAME, ROOT2)}, consumers={A: holding(CARD1)})
    before = bench.seen()
    bench.apply(PARENT)
    assert card(bench)["parent"] == ROOT1
    bench.rollback()
    assert bench.seen() == before
