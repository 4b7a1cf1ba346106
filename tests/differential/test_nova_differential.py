"""Our matching against real nova of four releases, with thousands of cases each."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from differential import card_limits, placement
from differential.environments import RELEASES, python_of
from differential.harness import compared, nova_answers
from differential.known import KNOWN
from wholecard.nova.match import standard

COUNT = int(os.environ.get("WHOLECARD_CASES", "20000"))

# What has to occur among nova's answers: a comparison in which all is refused proves nothing.
SEEN = {
    "match True", "match False", "match unreadable", "aliases", "aliases PciInvalidAlias",
    "requests", "requests PciRequestAliasNotDefined", "requests ValueError", "groups", "providers",
    "providers PlacementPciDependentDeviceException", "providers PlacementPciException",
    "providers PlacementPciMixedResourceClassException",
    "providers PlacementPciMixedTraitsException", "supports True", "supports False",
    "spec PciConfigInvalidSpec", "spec PciDeviceWrongAddressFormat", "spec TypeError",
    "spec AttributeError", "spec PciDeviceInvalidDeviceName", "spec PciDeviceNotFoundById",
    "spec PciDeviceRemoteManagedNotPresent",
}  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("major", RELEASES)
def test_same_as_nova(major: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On every case we say what nova says, but for the known differences, which are all there."""
    outcome = compared(major, nova_answers(major, COUNT, tmp_path), COUNT)
    with capsys.disabled():
        print(f"\n{outcome.line()}")
    assert outcome.unknown == []
    assert outcome.cases == COUNT
    assert outcome.known.keys() == {each.name for each in KNOWN}
    assert outcome.seen.keys() >= SEEN
    assert outcome.seen["supports True"] > COUNT // 20


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_standard_names() -> None:
    """The names that Placement knows by itself are those of the packages that nova 34 uses."""
    script = Path(__file__).parent / "names.py"
    command = [str(python_of(34)), "-W", "ignore", str(script)]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert text == Path(standard.__file__).read_text()


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("major", RELEASES)
def test_asks_placement_as_nova(major: int) -> None:
    """On every case we ask Placement for what nova asks for, and take the aggregates it takes."""
    count = COUNT // 4
    outcome = placement.compared(major, placement.nova_answers(major, count))
    assert outcome.differences == []
    assert outcome.cases == count
    assert min(outcome.seen[each] for each in placement.KINDS) > count // 20


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_limits_of_cards() -> None:
    """nova 34 counts cards under the class that we limit, and refuses past the limit or without."""
    for case, answer in zip(card_limits.cases(), card_limits.nova_answers(), strict=True):
        assert (answer["cards"], bool(answer["refused"])) == (case.cards, case.refused), case.name
