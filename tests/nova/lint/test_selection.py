"""Which findings are shown: by options, settings and comments; and which files a folder means."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.lint_hosts import FILTERS, service
from wholecard.core import UsageError
from wholecard.nova.conf.service_conf import files_in
from wholecard.nova.lint import lint
from wholecard.nova.lint.fixes import fixed
from wholecard.nova.lint.request import LintRequest, read
from wholecard.nova.lint.selection import Selection, project_selection
from wholecard.nova.options import Role

SHORT = "[filter_scheduler]\nenabled_filters = ComputeFilter\n"


@pytest.mark.parametrize(
    ("select", "ignore", "kept"),
    [
        ((), (), {"WC236", "WC238"}),
        (("WC236",), (), {"WC236"}),
        (("WC23",), (), {"WC236", "WC238"}),
        ((), ("WC238",), {"WC236"}),
        ((), ("WC2",), set()),
        (("WC236",), ("WC2",), {"WC236"}),
        (("WC2",), ("WC236",), {"WC238"}),
        (("WC236,WC238",), (), {"WC236", "WC238"}),
    ],
)
def test_codes(select: tuple[str, ...], ignore: tuple[str, ...], kept: set[str]) -> None:
    """Codes and their beginnings; of two that fit the longer counts."""
    services = [service(SHORT, "scheduler")]
    wanted = Selection.of(select, ignore).wanted(lint(services), services)
    assert {one.finding.rule for one in wanted} == kept


@pytest.mark.parametrize("code", ["WC999", "E501", "wc238", "WC238x"])
def test_what_is_no_rule(code: str) -> None:
    """A code that no rule has is refused, so that it is not believed to work."""
    with pytest.raises(UsageError, match=f"no rule '{code}'"):
        Selection.of([code], [])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"[filter_scheduler]\n# wholecard: ignore WC238\n{SHORT.splitlines()[1]}\n", {"WC236"}),
        (f"[filter_scheduler]\n; wholecard: ignore WC238, WC236\n{SHORT.splitlines()[1]}\n", set()),
        (f"[filter_scheduler]\n# wholecard: ignore WC238\n# ours\n{SHORT.splitlines()[1]}\n",
         {"WC236"}),
        (f"# wholecard: ignore WC236\n{SHORT}", {"WC238"}),
        (f"[filter_scheduler]\n# wholecard: ignore WC238\n\n{SHORT.splitlines()[1]}\n",
         {"WC236", "WC238"}),
        (f"{SHORT}# wholecard: ignore WC238\n", {"WC236", "WC238"}),
        (f"[filter_scheduler]\n# wholecard: ignore WC238 because\n{SHORT.splitlines()[1]}\n",
         {"WC236", "WC238"}),
    ],
)  # fmt: skip
def test_comments(text: str, kept: set[str]) -> None:
    """A comment is for the option below it; above the first section it is for the file."""
    services = [service(text, "scheduler")]
    wanted = Selection().wanted(lint(services), services)
    assert {one.finding.rule for one in wanted} == kept


def test_what_is_ignored_is_not_fixed(tmp_path: Path) -> None:
    """--fix leaves what a comment or an option ignores."""
    path = tmp_path / "nova.conf"
    path.write_text(f"[filter_scheduler]\n# wholecard: ignore WC236\n{SHORT.splitlines()[1]}\n")
    linted = read(LintRequest([path], ["scheduler"]))
    assert fixed(linted.services, linted.lint).texts == {}


def test_settings_in_pyproject(tmp_path: Path) -> None:
    """The next pyproject.toml above with the table counts; one without it is passed over."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.wholecard.lint]\nignore = ["WC238"]\n')
    (inner / "pyproject.toml").write_text('[tool.ruff]\nselect = ["E"]\n')
    assert project_selection(inner) == Selection(ignore=("WC238",))


@pytest.mark.parametrize(
    "text", ['[tool.wholecard.lint]\nignore = "WC238"\n', "[tool\n",
             '[tool.wholecard.lint]\nselect = ["E501"]\n'],
)  # fmt: skip
def test_broken_settings(tmp_path: Path, text: str) -> None:
    """Settings that cannot be meant are an error with the file's name."""
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError):
        project_selection(tmp_path)


def test_settings_in_the_site(tmp_path: Path) -> None:
    """`lint` in the site file counts where no option is given."""
    conf, site = tmp_path / "nova.conf", tmp_path / "site.yaml"
    conf.write_text(SHORT)
    site.write_text("release: '2025.2'\ncards: {}\nlint: {ignore: [WC238]}\n")
    for given, kept in ((Selection(), ["WC236"]), (Selection(("WC238",)), [])):
        linted = read(LintRequest([conf], ["scheduler"], site=site, selection=given))
        assert [one.finding.rule for one in linted.diagnostics] == kept


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """A folder as /etc/nova is: files of several programs, and drop-in folders."""
    for name in ("nova.conf", "nova-compute.conf", "rootwrap.conf", "nova.conf.d/20-b.conf",
                 "nova.conf.d/10-a.conf", "nova.conf.d/.hidden.conf", "nova.conf.d/readme.txt",
                 "nova-compute.conf.d/cards.conf", "nova-api.conf.d/x.conf"):  # fmt: skip
        path = tmp_path / "nova" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[DEFAULT]\n")
    return tmp_path / "nova"


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (None, ["nova.conf", "10-a.conf", "20-b.conf"]),
        ("compute", ["nova.conf", "nova-compute.conf", "10-a.conf", "20-b.conf", "cards.conf"]),
        ("api", ["nova.conf", "10-a.conf", "20-b.conf", "x.conf"]),
        ("scheduler", ["nova.conf", "10-a.conf", "20-b.conf"]),
    ],
)
def test_a_folder_is_what_nova_reads(etc: Path, role: Role | None, names: list[str]) -> None:
    """Of /etc/nova the files of the service, then its drop-in folders, in oslo.config's order."""
    assert [file.name for file in files_in(etc, role)] == names


def test_a_drop_in_folder(etc: Path) -> None:
    """Of nova.conf.d every *.conf by name."""
    assert [file.name for file in files_in(etc / "nova.conf.d")] == ["10-a.conf", "20-b.conf"]


def test_a_folder_without_files(tmp_path: Path) -> None:
    """0 files are an error: nothing would be said of nothing."""
    with pytest.raises(UsageError, match="0 files would be read"):
        read(LintRequest([tmp_path], ["compute"]))


def test_roles_share_a_file(tmp_path: Path) -> None:
    """Two roles that read one file do not disagree with each other."""
    path = tmp_path / "nova.conf"
    text = "pci_in_placement = true\n[pci]\nreport_in_placement = true\n"
    path.write_text(f"[filter_scheduler]\n{FILTERS}\n{text}")
    assert read(LintRequest([path], ["api", "scheduler", "compute"])).diagnostics == []
