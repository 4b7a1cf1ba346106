"""What a rendered file would change, option by option, and what to restart in which order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.sites import FACTS, site
from wholecard.core import UsageError, WholecardError
from wholecard.core.releases import LATEST, release
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.desired.scheduler_filters import default_filters
from wholecard.nova.options import Role
from wholecard.nova.render.diff import Diff, as_text, diff
from wholecard.nova.render.drop_in_file import text
from wholecard.nova.render.layouts.cloud import cloud_of
from wholecard.nova.render.managed_files import OURS


def new(role: Role, of: str = "34") -> str:
    """The drop-in of the role for eight H100 a host."""
    series = release(of)
    cloud = cloud_of(pci_configs(site(), FACTS, series), series, default_filters(series.nova))
    return text(role, cloud.compute("gpu-01") if role == "compute" else cloud.roles[role], series)


def standing(folder: Path, *texts: str) -> list[Path]:
    """Files with these texts in this order."""
    files = []
    for number, one in enumerate(texts):
        files.append(folder / f"{number}.conf")
        files[-1].write_text(one)
    return files


def changed(found: Diff) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Old and new by the option's name in the release."""
    return {each.name: (each.old, each.new) for each in found.changes}


def test_a_new_host(tmp_path: Path) -> None:
    """On a host without anything about cards all is new, and nova-compute is restarted."""
    found = diff("compute", standing(tmp_path, "[DEFAULT]\n"), new("compute"), LATEST)
    assert changed(found) == {
        "[pci] device_spec": ((), ('{"vendor_id": "10de", "product_id": "2330"}',)),
        "[pci] alias": (
            (),
            ('{"name": "h100", "vendor_id": "10de", "product_id": "2330", '
             '"device_type": "type-PF"}',),
        ),
        "[pci] report_in_placement": ((), ("true",)),
        "[filter_scheduler] pci_in_placement": ((), ("true",)),
    }  # fmt: skip
    assert [each.services for each in found.restarts] == [("nova-compute",)]
    assert found.text.startswith("--- /dev/null\n+++ rendered\n")


def test_ours_is_replaced(tmp_path: Path) -> None:
    """The same file of ours means no change at all, wherever it stands among the files."""
    files = standing(tmp_path, new("compute"), "[DEFAULT]\n")
    found = diff("compute", files, new("compute"), LATEST)
    assert (found.changes, found.text, found.restarts, found.warnings) == ((), "", (), ())
    assert as_text(found) == "nova-compute: nothing would change.\n"


def test_spelling_is_no_change(tmp_path: Path) -> None:
    """JSON in another order, a truth value in another word and an old name mean the same."""
    old = (
        '[pci]\npassthrough_whitelist = {"product_id":"2330","vendor_id":"10de"}\n'
        "report_in_placement = True\n"
    )
    found = diff("compute", standing(tmp_path, old), new("compute"), LATEST)
    assert "[pci] report_in_placement" not in changed(found)
    assert found.warnings == (
        "[pci] device_spec: another file has 1 more, and nova uses all of them. Remove from the "
        "other file what the site file has",
    )


def test_only_what_the_role_reads_counts(tmp_path: Path) -> None:
    """What other roles read may stand in the file and change nothing."""
    conf = "[filter_scheduler]\npci_in_placement = true\n[pci]\nreport_in_placement = false\n"
    found = diff("conductor", standing(tmp_path, conf), new("conductor"), LATEST)
    assert set(changed(found)) == {"[scheduler] max_attempts"}
    assert [each.services for each in found.restarts] == [("nova-conductor",)]


@pytest.mark.parametrize("role", ["api", "scheduler", "conductor"])
def test_computes_report_first(tmp_path: Path, role: Role) -> None:
    """Before cards are chosen in Placement all computes report; then the three go together."""
    found = diff(role, standing(tmp_path, ""), new(role), LATEST)
    assert [each.services for each in found.restarts] == [
        ("nova-compute",),
        ("nova-api", "nova-scheduler", "nova-conductor"),
    ]


def test_filters_old_and_new(tmp_path: Path) -> None:
    """A list that loses filters shows both lists."""
    conf = "[filter_scheduler]\nenabled_filters = ComputeFilter,MyFilter\n"
    found = diff("scheduler", standing(tmp_path, conf), new("scheduler"), LATEST)
    assert changed(found)["[filter_scheduler] enabled_filters"][0] == ("ComputeFilter", "MyFilter")
    assert "  - MyFilter\n" in as_text(found)
    assert "  + PciPassthroughFilter\n" in as_text(found)


def test_an_old_release_is_read_by_its_names(tmp_path: Path) -> None:
    """Newton's own names count in Newton."""
    found = diff("compute", standing(tmp_path, "[pci]\nalias = x\n"), new("compute", "14"),
                 release("14"))  # fmt: skip
    assert set(changed(found)) == {"[DEFAULT] pci_alias", "[DEFAULT] pci_passthrough_whitelist"}


def test_the_same_alias_elsewhere(tmp_path: Path) -> None:
    """nova refuses two aliases of one name with Placement: another file's is named."""
    conf = '[pci]\nalias = {"name": "h100", "vendor_id": "10de", "product_id": "2330"}\n'
    found = diff("api", standing(tmp_path, conf), new("api"), LATEST)
    assert len(found.warnings) == 1
    assert "h100 is in another file too" in found.warnings[0]
    assert "warning: [pci] alias" in as_text(found)


def test_reporting_cannot_be_taken_back(tmp_path: Path) -> None:
    """A host that reports its cards has to go on doing so."""
    conf = "[pci]\nreport_in_placement = true\n"
    with pytest.raises(UsageError, match="cannot be turned off again"):
        diff("compute", standing(tmp_path, conf), "[pci]\nreport_in_placement = false\n", LATEST)


def test_two_files_of_ours_are_refused(tmp_path: Path) -> None:
    """Which of two of our files would be replaced is not for us to guess."""
    with pytest.raises(UsageError, match="Wholecard has written two of the files"):
        diff("api", standing(tmp_path, new("api"), new("api")), new("api"), LATEST)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is an error that says what to name."""
    with pytest.raises(WholecardError, match="cannot read"):
        diff("api", [tmp_path / "none.conf"], new("api"), LATEST)


IDS = '{"vendor_id": "10de", "product_id": "2330"}'
FIRST = '{"vendor_id": "10de", "product_id": "2330", "address": "0000:19:00.0"}'
SECOND = '{"vendor_id": "10de", "product_id": "2330", "address": "0000:3b:00.0"}'
TRUSTED = '{"vendor_id": "10DE", "product_id": "2330", "trusted": "true"}'
TAGGED = '{"vendor_id": "10DE", "product_id": "2330", "resource_class": "CUSTOM_H100"}'
# Name: the release, device_spec before and after, reported or not, the bugs that are named; None
# where nothing is said.
REMOVED: dict[str, tuple[str, list[str], list[str], bool, list[int] | None]] = {
    "narrower": ("2024.2", [IDS], [FIRST], True, [2115905, 2115729]),
    "not reported": ("2024.2", [IDS], [FIRST], False, [2115729]),
    "fixed": ("2025.2", [IDS], [FIRST], True, []),
    "one of two": ("34", [FIRST, SECOND], [SECOND], True, []),
    "a list of two": ("34", [f"[{FIRST}, {SECOND}]"], [SECOND], True, []),
    "all": ("queens", [IDS], [], False, [1633120, 2115729]),
    "some": ("queens", [FIRST, SECOND], [FIRST], False, [1633120, 2115729]),
    "rows are kept": ("stein", [IDS], [], False, [2115729]),
    "wider": ("2024.2", [FIRST, SECOND], [IDS], True, None),
    "other tags": ("2024.2", [IDS], [TRUSTED], True, None),
    "more": ("2024.2", [FIRST], [FIRST, SECOND], True, None),
}


def written(specs: list[str], reported: bool, key: str = "device_spec") -> str:
    """A file of nova-compute with these device_specs."""
    lines = [f"{key} = {each}" for each in specs]
    return "\n".join(["[pci]", *lines, *["report_in_placement = true"] * reported, ""])


@pytest.mark.parametrize("name", REMOVED)
def test_removed_devices(tmp_path: Path, name: str) -> None:
    """A removed device_spec is a warning while its servers can still be removed first."""
    series, old, fresh, reported, bugs = REMOVED[name]
    of = release(series)
    key = "device_spec" if of.nova >= 26 else "passthrough_whitelist"
    ours = OURS + "\n" + written(old, reported, key)
    found = diff("compute", standing(tmp_path, ours), written(fresh, reported, key), of).warnings
    if bugs is None:
        assert found == ()
        return
    assert "no server may have a device that no device_spec matches" in found[0]
    assert [int(re.findall(r"has the bug (\d+)", each)[0]) for each in found[1:]] == bugs


OF_IDS = '{"vendor_id": "10de", "product_id": "2330", "resource_class": "custom_pci_10de_2330"}'
LOWER = TAGGED.replace("CUSTOM_H100", "h100")
RENAMED = TAGGED.replace("CUSTOM_H100", "GPU")


@pytest.mark.parametrize(
    ("old", "fresh", "was", "will"),
    [
        ([IDS], [TAGGED], "of its ids", "CUSTOM_H100"),
        ([TAGGED], [IDS], "CUSTOM_H100", "of its ids"),
        ([TAGGED], [RENAMED], "CUSTOM_H100", "CUSTOM_GPU"),
        # nova takes the first that matches.
        ([FIRST], [TAGGED, FIRST], "of its ids", "CUSTOM_H100"),
        ([IDS], [OF_IDS], None, None),
        ([TAGGED], [LOWER], None, None),
    ],
)
@pytest.mark.parametrize("reported", [True, False])
def test_another_class(
    tmp_path: Path, old: list[str], fresh: list[str], was: str | None, will: str, reported: bool
) -> None:
    """A card that is reported under another class has to be free: nova-compute would not start."""
    ours = OURS + "\n" + written(old, reported)
    found = diff("compute", standing(tmp_path, ours), written(fresh, reported), LATEST).warnings
    if was is None or not reported:
        assert found == ()
        return
    (warning,) = found
    assert f"gets another resource class ({was}, then {will})" in warning


def test_first_report(tmp_path: Path) -> None:
    """Before a host reports its cards there is no class that could change."""
    ours = OURS + f"\n[pci]\ndevice_spec = {IDS}\n"
    fresh = f"[pci]\ndevice_spec = {TAGGED}\nreport_in_placement = true\n"
    assert diff("compute", standing(tmp_path, ours), fresh, LATEST).warnings == ()


def test_the_hand_written_line_of_our_file_is_named(tmp_path: Path) -> None:
    """A line that somebody added to our file is removed with it, and is named."""
    added = '{"vendor_id": "10de", "product_id": "2331"}'
    ours = new("compute").replace("[pci]\n", f"[pci]\ndevice_spec = {added}\n", 1)
    found = diff("compute", standing(tmp_path, ours), new("compute"), LATEST)
    assert found.warnings == (
        f"[pci] device_spec: {added} is removed: no server may have a device that no device_spec "
        "matches. Remove the servers from those cards before you restart nova-compute",
    )


def test_json_has_all(tmp_path: Path) -> None:
    """The JSON has the role, every change, the file's difference, the restarts and the warnings."""
    data = diff("api", standing(tmp_path, ""), new("api"), LATEST).to_json()
    assert list(data) == ["role", "changes", "diff", "restarts", "warnings"]
    assert data["changes"][0]["option"] == "[pci] alias"
    assert data["restarts"][0]["services"] == ["nova-compute"]
