"""Our matching against real nova of four releases, with thousands of cases each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from differential import card_limits, mdevs, placement
from differential.environments import RELEASES, python_of
from differential.harness import SEEDS, compared, nova_answers
from differential.known import KNOWN

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
@pytest.mark.parametrize("seed", SEEDS)
def test_same_as_nova(
    major: int, seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On every case we say what nova says, but for the known differences, which are all there."""
    outcome = compared(major, nova_answers(major, COUNT, tmp_path, seed), COUNT, seed)
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
    """The traits and classes that our environment knows as standard are those of nova 34's."""
    script = "import os_traits, os_resource_classes as classes; print(sorted(os_traits.get_traits()"
    script += " + classes.STANDARDS))"
    answers = {
        subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout
        for python in (sys.executable, python_of(34))
    }
    assert len(answers) == 1


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


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("major", RELEASES)
def test_types_of_mediated_devices(major: int) -> None:
    """Of 2,000 hosts we say which types nova uses, what each parent offers, what is refused."""
    answers = mdevs.nova_answers(major, 2000)
    ours = [mdevs.our_answer(case, major) for case in mdevs.cases(2000)]
    assert json.loads(json.dumps(ours)) == answers
    assert sum("refused" in answer for answer in answers) > 100
