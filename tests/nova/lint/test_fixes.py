"""--fix: what has one certain mend is mended, every other byte stays, and it can be undone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from support.faults import die, killed, points_of
from support.lint_fixes import fixes_that_make_it_worse
from support.lint_hosts import ALIAS, FILTERS, H100, rules, service
from wholecard.core import WholecardError
from wholecard.core.releases import release
from wholecard.host.changing.apply import apply_files
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.lint import Service, lint
from wholecard.nova.lint.fix_journal import FixJournal, finish_fixes, fix_journal, undo_fix
from wholecard.nova.lint.fixes import FixedFiles, fixed, plan_of, shown_difference
from wholecard.nova.options import Role

CASES: list[tuple[str, Role | None, str, str, str]] = [
    ("2025.2", None, "[pci]\nalias = {'name': 'a', 'vendor_id': '10de', 'product_id': '1eb8'}\n",
     "[pci]\nalias = {\"name\": \"a\", \"vendor_id\": \"10de\", \"product_id\": \"1eb8\"}\n",
     "single quotes"),
    ("2025.2", None,
     '[pci]\r\nalias = {"name": "a", "vendor_id": "10de", "product_id": "1eb8",}\r\n',
     '[pci]\r\nalias = {"name": "a", "vendor_id": "10de", "product_id": "1eb8"}\r\n',
     "a last comma, in a file with the line ends of Windows"),
    ("2025.2", None,
     "[pci]\nalias = '{\n   \"name\": \"a\",\n   \"vendor_id\": \"10de\",\n"
     "   \"product_id\": \"1eb8\"\n   }'\n",
     "[pci]\nalias = {\n   \"name\": \"a\",\n   \"vendor_id\": \"10de\",\n"
     "   \"product_id\": \"1eb8\"\n   }\n",
     "quotes around a value of several lines"),
    ("2025.2", None, f"[pci]\ndevice_spec = {H100}  # ours\n", f"[pci]\ndevice_spec = {H100}\n",
     "a comment behind the value"),
    ("2025.2", None,
     f"[pci]\ndevice_spec = {H100}\n".replace(' "', " \u201c").replace('",', "\u201d,"),
     f"[pci]\ndevice_spec = {H100}\n", "typographic quotes"),
    ("2025.2", None, f"[DEFAULT]\npci_alias = {ALIAS}\nx = 1\n[pci]\n# here\ny = 2\n[z]\n",
     f"[DEFAULT]\nx = 1\n[pci]\n# here\ny = 2\nalias = {ALIAS}\n[z]\n",
     "an old name in another section"),
    ("2025.2", None, f"[DEFAULT]\npci_alias = {ALIAS}\npci_alias = {ALIAS}",
     f"[DEFAULT]\n\n[pci]\nalias = {ALIAS}\nalias = {ALIAS}\n",
     "two old names whose section is not there, and no end of the last line"),
    ("yoga", None, f"[pci]\ndevice_spec = {H100}\n", f"[pci]\npassthrough_whitelist = {H100}\n",
     "a name that is not there yet"),
    ("2025.2", None, f"[pci]\ndevice-spec : {H100}\n", f"[pci]\ndevice_spec : {H100}\n",
     "a name spelled wrong"),
    ("2025.2", None, '[pci]\ndevice_spec = {"Vendor-ID": "10de", "product": "2330"}\n',
     f"[pci]\ndevice_spec = {H100}\n", "keys spelled wrong"),
    ("2025.2", None,
     '[pci]\nalias = {"name": "h100", "vendor_id": " 0x10DE", "product_id": "2330", '
     '"device_type": "pf"}\n', f"[pci]\nalias = {ALIAS}\n", "an id and a type"),
    ("2025.2", "scheduler", f"[filter_scheduler]\n{FILTERS.replace(',Pci', ' , PCI_')}  \n",
     f"[filter_scheduler]\n{FILTERS.replace(',Pci', ' , Pci')}  \n", "a filter spelled wrong"),
    ("2025.2", "scheduler",
     f"[filter_scheduler]\n{FILTERS.replace(',PciPassthroughFilter', '')} \n",
     f"[filter_scheduler]\n{FILTERS} \n", "a filter that is missing"),
    ("2025.2", "scheduler", f"[filter_scheduler]\n{FILTERS}\navailable_filters = a.B\n[x]\n",
     f"[filter_scheduler]\n{FILTERS}\navailable_filters = a.B\n"
     "available_filters = nova.scheduler.filters.all_filters\n[x]\n", "available_filters"),
    ("2025.2", None, "[default]\nx = 1\n", "[DEFAULT]\nx = 1\n", "a section's name"),
    ("2025.2", None, f"\ufeff[pci]\ndevice_spec = {H100}\n", f"[pci]\ndevice_spec = {H100}\n",
     "a byte order mark"),
    ("2025.2", None,
     f"[pci]\ndevice_spec = {H100}\n\n[x]\ny = 1\n\n[pci]\nz = 1\n alias = {ALIAS}\n",
     f"[pci]\ndevice_spec = {H100}\n\n[x]\ny = 1\n\n[pci]\nz = 1\nalias = {ALIAS}\n",
     "an option that a blank hides"),
]  # fmt: skip


@pytest.mark.parametrize(("series", "role", "before", "after"), [case[:4] for case in CASES],
                         ids=[case[4] for case in CASES])  # fmt: skip
def test_mended(series: str, role: Role | None, before: str, after: str) -> None:
    """What is certain is mended, and all else stays as it was, byte for byte."""
    result = fixed([service(before, role, series)], lint)
    assert result.texts == {"nova.conf": after}
    assert rules(*result.services) == []


@pytest.mark.parametrize(("series", "role", "before"), [case[:3] for case in CASES],
                         ids=[case[4] for case in CASES])  # fmt: skip
def test_each_fix_alone(series: str, role: Role | None, before: str) -> None:
    """Each fix alone leaves fewer findings than before, and makes no new error."""
    assert list(fixes_that_make_it_worse([service(before, role, series)])) == []


@pytest.mark.parametrize(
    "text",
    [
        f"[pci]\ndevice_spec = {H100}\npassthrough_whitelist = {H100}\n",
        "[pci]\nalias = {\"name\": 'it's'}\n",
        '[pci]\nalias = {"name": True}\n',
        '[pci]\ndevice_spec = {"vendor": "10de", "vendor_id": "10de"}\n',
        "[filter_scheduler]\nenabled_filters = $filters\n",
        "[pci]\nreport_in_placement = maybe\n",
    ],
)
def test_what_is_not_certain_is_left(text: str) -> None:
    """What could be meant in two ways is a finding, and no mend."""
    found = service(text, None)
    assert lint([found])
    assert fixed([found], lint).texts == {}


OLD_FILTERS = (
    "RetryFilter,ComputeFilter,ComputeCapabilitiesFilter,ImagePropertiesFilter,"
    "ServerGroupAntiAffinityFilter,ServerGroupAffinityFilter,PciPassthroughFilter"
)


@pytest.mark.parametrize(
    ("text", "rule", "why"),
    [
        (f"[DEFAULT]\nscheduler_default_filters = {OLD_FILTERS}\n", "WC210", "WC237"),
        ("[filter_scheduler]\nenabled_filter = PciPassthroughFilter\n", "WC214", "WC238"),
        (f"[filter_scheduler]\nenabled_filter = a\n{FILTERS}\n", "WC214", "set already"),
        ("[DEFAULT]\nreport_in_placement = true\n", "WC213", "cannot be turned off again"),
        ("[pci]\nreport_in_placment = true\n", "WC214", "cannot be turned off again"),
        ("[pci ]\nx = 1\nreport_in_placement = true\n", "WC204", "cannot be turned off again"),
        ("[pci]\nx = 1\n report_in_placement = true\n", "WC205", "cannot be turned off again"),
        ("[DEFAULT]\npci_in_placement = true\n", "WC213", "every nova-compute has to report"),
        ('[pci]\npci_passthrough_whitelist = {"vendor_id": "10de", "prodct": "2330"}\n',
         "WC213", "WC220"),
        ("[pci]\npci_passthrough_whitelist = {'vendor_id': '10de'}\n", "WC213", "WC217"),
        ("[pci]\nwhitelist = {}\n", "WC214", "WC229"),
        (f"[pci]\nalias = {ALIAS}\naliases = {ALIAS}\n", "WC214", "of that name"),
        ("[pci]\npci_alias = $x\n", "WC213", "check its value"),
    ],
)  # fmt: skip
def test_what_counts_for_nothing_is_not_woken(text: str, rule: str, why: str) -> None:
    """An option that nova passes over is not brought to count with a value that does harm."""
    found = service(text, None)
    (said,) = [each.finding for each in lint([found]) if each.finding.rule == rule]
    assert "then takes effect: " in said.fix
    assert why in said.fix
    assert fixed([found], lint).texts == {}


def test_of_two_one_is_woken() -> None:
    """Of two wrong names with the same alias one is mended: two would have nova refuse both."""
    found = service(f"[pci]\naliases = {ALIAS}\n[pci_passthrough]\nalias = {ALIAS}\n", None)
    result = fixed([found], lint)
    assert result.texts["nova.conf"] == (
        f"[pci]\nalias = {ALIAS}\n[pci_passthrough]\nalias = {ALIAS}\n"
    )
    other = ALIAS.replace('"h100"', '"other"')
    both = service(f"[pci]\naliases = {ALIAS}\n[pci_passthrough]\nalias = {other}\n", None)
    assert fixed([both], lint).texts["nova.conf"].count("\nalias = ") == 2


def test_a_device_of_the_hosts_own_is_not_woken() -> None:
    """With facts a wrong name whose devices the host itself uses is left."""
    text = '[pci]\npci_passthrough_whitelist = {"address": "0000:81:00.0"}\n'
    assert fixed([service(text, "compute", "2025.2", "gpu-01")], lint).texts == {}


def test_a_deprecated_name_works_and_is_mended() -> None:
    """What nova reads under an old name is mended whatever its value is: it counts already."""
    text = '[pci]\npassthrough_whitelist = {"vendor_id": "10de", "prodct": "2330"}\n'
    assert "\ndevice_spec = " in fixed([service(text, None)], lint).texts["nova.conf"]


def test_a_host_mends_ids_and_types() -> None:
    """With the host's facts exchanged ids and a missing type have one mend."""
    before = (
        '[pci]\ndevice_spec = {"vendor_id": "2330", "product_id": "10de"}\n'
        'alias = {"name": "h100", "vendor_id": "2330", "product_id": "10de"}\n'
    )
    result = fixed([service(before, "compute", "2025.2", "gpu-01")], lint)
    assert result.texts["nova.conf"] == (
        f"[pci]\ndevice_spec = {H100}\n"
        'alias = {"device_type": "type-PF", "name": "h100", "vendor_id": "10de", '
        '"product_id": "2330"}\n'
    )


SECRET = "transport_url = rabbit://nova:s3cret@host"
BEFORE = f"[DEFAULT]\n{SECRET}\npci_alias = {ALIAS}\n# K\udce4rte\n[pci]\n# end"


class Files:
    """A folder that is the root of a host, with one nova.conf below it."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / "etc/nova/nova.conf"
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(BEFORE.encode("utf-8", "surrogateescape"))
        self.path.chmod(0o640)

    def services(self) -> list[Service]:
        """The one service of this file."""
        return [Service(NovaConf.read([self.path]), release("2025.2"), "api")]

    def fixed(self) -> FixedFiles:
        """Its mends."""
        return fixed(self.services(), lint)

    @property
    def journal(self) -> FixJournal:
        """Where its fixes are undone from."""
        return fix_journal([self.path])

    def undo(self) -> None:
        """What --undo does."""
        assert undo_fix([self.path]) == (str(self.path),)

    def fix(self) -> None:
        """What --fix does."""
        apply_files(self.journal, plan_of(self.fixed(), self.services()))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """A host's files, with a password and a byte that is no UTF-8."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Files(tmp_path)


def test_fix_and_rollback(files: Files) -> None:
    """The file keeps its mode and what is not mended, and rollback gives back every byte."""
    before = files.path.read_bytes()
    files.fix()
    after = files.path.read_bytes()
    moved = before.replace(f"pci_alias = {ALIAS}\n".encode(), b"")
    assert after == moved.replace(b"[pci]\n", f"[pci]\nalias = {ALIAS}\n".encode())
    assert stat.S_IMODE(files.path.stat().st_mode) == 0o640
    files.undo()
    assert files.path.read_bytes() == before


def test_passwords_stay_where_they_are(files: Files) -> None:
    """No plan or difference shows a password, and the journal's copy is for its owner alone."""
    result = files.fixed()
    plan = plan_of(result, files.services())
    assert "s3cret" not in str(plan) + shown_difference(result, files.services())
    files.fix()
    store = files.journal.folder / "0001"
    readable = [
        path
        for path in store.rglob("*")
        if path.is_file()
        and b"s3cret" in path.read_bytes()
        and path.stat().st_mode & 0o077
        and not any(parent.stat().st_mode & 0o777 == 0o700 for parent in path.parents)
    ]
    assert readable == []


def test_an_edit_meanwhile_is_refused_without_its_text(files: Files) -> None:
    """A file that was edited since is not written, and its text is not in the error."""
    plan = plan_of(files.fixed(), files.services())
    files.path.write_text(f"{SECRET}\n")
    with pytest.raises(WholecardError, match="was changed since") as caught:
        apply_files(files.journal, plan)
    assert "s3cret" not in str(caught.value)


def test_a_link_is_followed(files: Files) -> None:
    """A link to the file is edited at its target, and stays a link."""
    link = files.root / "etc/link.conf"
    link.symlink_to(files.path)
    services = [Service(NovaConf.read([link]), release("2025.2"), "api")]
    apply_files(files.journal, plan_of(fixed(services, lint), services))
    assert link.is_symlink()
    assert b"pci_alias" not in files.path.read_bytes()


def test_killed_at_every_point(files: Files) -> None:
    """Killed before any changing call, the file is as it was or as it shall be, never half."""
    before = files.path.read_bytes()
    files.fix()
    after = files.path.read_bytes()
    files.undo()
    # The first run made the journal's folders, which the others find.
    points = len(points_of(files.fix))
    files.undo()
    for at in range(1, points + 1):
        assert killed(files.fix, at, die)
        assert files.path.read_bytes() in (before, after)
        finish_fixes([files.path])
        if files.journal.newest() is None:
            files.fix()
        assert files.path.read_bytes() == after
        files.undo()
        assert files.path.read_bytes() == before
    assert points > 20
    assert os.listdir(files.path.parent) == ["nova.conf"]  # noqa: PTH208
