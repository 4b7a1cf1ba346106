"""`wholecard nova render` and `wholecard nova diff` as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.sites import FACTS
from wholecard.cli.app import run_app
from wholecard.nova.render.managed_files import OURS

SITE = """\
release: 2025.2
cards:
  h100:
    match:
      - {vendor: 10de, product: "2330"}
    numa_policy: preferred
hosts:
  gpu-01: {facts: gpu-01.json}
  gpu-02: {facts: gpu-02.json}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A site file with the facts of its hosts beside it."""
    for name, host in FACTS.items():
        (tmp_path / f"{name}.json").write_text("".join(host.to_lines()))
    (tmp_path / "site.yaml").write_text(SITE)
    return str(tmp_path / "site.yaml")


def called(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The exit status, standard output and standard error of `wholecard nova …`."""
    status = run_app(["nova", *words])
    out, err = capsys.readouterr()
    return status, out, err


def test_the_quick_form(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a site file a card is named by its ids, for any release."""
    words = ("render", "--role", "api", "--alias", "h100=10de:2330,type-PF")
    status, out, _ = called(capsys, *words)
    assert status == 0
    assert (
        'alias = {"name": "h100", "vendor_id": "10de", "product_id": "2330", '
        '"device_type": "type-PF", "numa_policy": "preferred"}\n' in out
    )
    assert "pci_in_placement = true" in out
    status, out, _ = called(capsys, *words, "--release", "mitaka")
    assert out.endswith(
        '\npci_alias = {"name": "h100", "vendor_id": "10de", "product_id": "2330", '
        '"device_type": "type-PF"}\n'
    )


def test_a_role_of_a_site(capsys: pytest.CaptureFixture[str], file: str) -> None:
    """The site's release counts, and --release instead of it."""
    status, out, _ = called(capsys, "render", "--site", file, "--role", "compute")
    assert status == 0
    assert out.startswith(f"{OURS} for nova-compute (2025.2, nova 32).\n")
    status, out, _ = called(
        capsys, "render", "--site", file, "--role", "compute", "--release", "xena",
        "--host", "gpu-02",
    )  # fmt: skip
    assert "passthrough_whitelist = " in out


def test_filters_of_files(capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path) -> None:
    """--conf is what nova-scheduler reads now: its filters stay, a missing class is added."""
    conf = tmp_path / "nova.conf"
    conf.write_text("[filter_scheduler]\nenabled_filters = Mine\navailable_filters = my.Mine\n")
    status, out, _ = called(
        capsys, "render", "--site", file, "--role", "scheduler", "--conf", f"scheduler={conf}"
    )
    assert status == 0
    assert "enabled_filters = Mine,PciPassthroughFilter\n" in out
    assert "available_filters = nova.scheduler.filters.pci_passthrough_filter." in out


def test_a_list_that_keeps_the_scheduler_from_starting(
    capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path
) -> None:
    """A filter that nova does not have is refused with its place, in --conf and in the site."""
    conf = tmp_path / "nova.conf"
    conf.write_text("[filter_scheduler]\nenabled_filters = AvailabilityZoneFilter,ComputFilter\n")
    words = ("render", "--site", file, "--role", "scheduler")
    status, out, err = called(capsys, *words, "--conf", f"scheduler={conf}")
    assert (status, out) == (2, "")
    assert f"{conf}:2: nova-scheduler of 2025.2 does not start" in err
    assert (
        "no filter AvailabilityZoneFilter, it was removed in 2023.2. Delete it from the list."
        in err
    )
    assert "nova has no filter ComputFilter. Write ComputeFilter." in err
    with Path(file).open("a") as site:
        site.write("nova: {enabled_filters: [ComputeFilter, PciPassThroughFilter]}\n")
    status, out, err = called(capsys, *words)
    assert (status, out) == (2, "")
    assert f"{file}:10:41: nova has no filter PciPassThroughFilter; " in err


@pytest.mark.parametrize("in_site", [False, True])
def test_a_filter_that_conf_makes_available(
    capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path, in_site: bool
) -> None:
    """A class that --conf names among available_filters may bear the name of one that is gone."""
    conf = tmp_path / "nova.conf"
    conf.write_text(
        "[filter_scheduler]\nenabled_filters = AvailabilityZoneFilter\n"
        "available_filters = nova.scheduler.filters.all_filters\n"
        "available_filters = acme.filters.AvailabilityZoneFilter\n"
    )
    if in_site:
        with Path(file).open("a") as site:
            site.write("nova: {enabled_filters: [AvailabilityZoneFilter]}\n")
    words = ("render", "--site", file, "--role", "scheduler", "--conf", f"scheduler={conf}")
    status, out, err = called(capsys, *words)
    assert (status, err) == (0, "")
    assert "enabled_filters = AvailabilityZoneFilter,PciPassthroughFilter\n" in out


@pytest.mark.parametrize(
    ("role", "words", "warned"),
    [
        ("scheduler", (), True),
        ("scheduler", ("--conf",), False),
        ("api", (), False),
        ("compute", (), False),
    ],
)
def test_nobody_told_of_any_filters(
    capsys: pytest.CaptureFixture[str],
    file: str,
    tmp_path: Path,
    role: str,
    words: tuple[str, ...],
    warned: bool,
) -> None:
    """nova's own list is said to be nova's own: in the file, and beside it on standard error."""
    conf = tmp_path / "nova.conf"
    conf.write_text("[filter_scheduler]\nenabled_filters = ComputeFilter\n")
    given = (f"scheduler={conf}",) if words else ()
    status, out, err = called(capsys, "render", "--site", file, "--role", role, *words, *given)
    assert status == 0
    assert out.startswith(OURS)
    assert ("enabled_filters is nova's own list of 2025.2" in err) == warned
    assert ("# nova's own list of 2025.2" in out) == warned


def test_a_limit_that_is_not_counted(capsys: pytest.CaptureFixture[str], file: str) -> None:
    """Limits of cards before 2026.2 stop no role; who would have them in its file is told."""
    with Path(file).open("a") as site:
        site.write("quotas: {p: {cards: {h100: 8}}}\n")
    for role, said in (("compute", False), ("api", True)):
        status, out, err = called(capsys, "render", "--site", file, "--role", role)
        assert (status, "unified" in out) == (0, False)
        assert (f"warning: {file}:10:14: quotas.p: the limit of h100" in err) == said


@pytest.mark.parametrize(
    ("tool", "path"),
    [
        ("drop-in", "nova-compute/gpu-01/90-wholecard.conf"),
        ("kolla", "nova/gpu-02/nova.conf"),
        ("openstack-ansible", "host_vars/gpu-01/wholecard.yml"),
        ("charms", "wholecard-overlay.yaml"),
        ("rhoso", "nova-extra-config.yaml"),
    ],
)
def test_files_are_written_once(
    capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path, tool: str, path: str
) -> None:
    """A layout's files are written, said, and the second time left as they are."""
    words = ("render", "--site", file, "--layout", tool, "--output", str(tmp_path / "out"))
    status, out, _ = called(capsys, *words)
    assert status == 0
    assert f"written: {tmp_path / 'out' / path}\n" in out
    assert (tmp_path / "out" / path).read_text().startswith(OURS)
    status, out, _ = called(capsys, *words)
    assert status == 0
    assert {line.split(":")[0] for line in out.splitlines()} == {"unchanged"}


def test_dry_run(capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path) -> None:
    """A dry run says what would be written, as text or as JSON with both texts, and writes none."""
    words = ("render", "--site", file, "--layout", "charms", "--output", str(tmp_path / "out"))
    status, out, _ = called(capsys, *words, "--dry-run")
    assert (status, out) == (0, f"would be written: {tmp_path}/out/wholecard-overlay.yaml\n")
    assert not (tmp_path / "out").exists()
    status, out, _ = called(capsys, *words, "--dry-run", "--json")
    (planned,) = json.loads(out)["files"]
    assert (planned["path"], planned["before"]) == ("wholecard-overlay.yaml", None)
    called(capsys, *words)
    assert (tmp_path / "out/wholecard-overlay.yaml").read_text() == planned["after"]
    _, out, _ = called(capsys, *words, "--json")
    assert json.loads(out)["files"] == [{**planned, "before": planned["after"]}]


def test_a_layout_is_printed(capsys: pytest.CaptureFixture[str], file: str) -> None:
    """Without --output the files are printed, each under its path."""
    status, out, _ = called(capsys, "render", "--site", file, "--layout", "charms")
    assert status == 0
    assert out.startswith(f"==> wholecard-overlay.yaml <==\n{OURS}")


def test_anothers_file_stops_it(
    capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path
) -> None:
    """A file that Wholecard did not write is named, and nothing is written beside it."""
    there = tmp_path / "out/nova/nova-compute.conf"
    there.parent.mkdir(parents=True)
    there.write_text("[libvirt]\nvirt_type = kvm\n")
    status, _, err = called(
        capsys, "render", "--site", file, "--layout", "kolla", "--output", str(tmp_path / "out")
    )
    assert status == 2
    assert "Wholecard did not write it" in err
    assert [path.name for path in (tmp_path / "out/nova").iterdir()] == ["nova-compute.conf"]


WRONG = [
    (("render", "--role", "api"), "use either a site file or --alias"),
    (("render", "--role", "api", "--alias", "x"), "is not a card"),
    (("render", "--alias", "x=10de:2330"), "neither a role"),
    (("render", "--alias", "x=10de:2330", "--role", "metal"), "no role 'metal'"),
    (("render", "--alias", "x=10de:2330", "--layout", "puppet"), "unknown layout 'puppet'"),
    (("render", "--alias", "x=10de:2330", "--role", "api", "--layout", "kolla"), "--role prints"),
    (("render", "--alias", "x=10de:2330", "--host", "a", "--layout", "kolla"), "--host works only"),
    (("render", "--alias", "x=10de:2330", "--layout", "kolla", "--dry-run"), "--dry-run works"),
    (("render", "--alias", "x=10de:2330", "--role", "api", "--json"), "--json works only"),
    (
        ("render", "--alias", "x=10de:2330", "--role", "api", "--release", "zebra"),
        "knows no OpenStack release",
    ),
    (("render", "--site", "/none.yaml", "--role", "api"), "cannot read"),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_called_wrongly(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    """A wrong call ends with 2, says what was wrong and how to call it."""
    status, _, err = called(capsys, *words)
    assert status == 2
    assert said in err
    assert "Resolution:" in err


def test_an_unknown_host(capsys: pytest.CaptureFixture[str], file: str) -> None:
    """A host that the site does not have is refused, and those it has are named."""
    status, _, err = called(
        capsys, "render", "--site", file, "--role", "compute", "--host", "gpu-09"
    )
    assert status == 2
    assert "gpu-01, gpu-02" in err


def test_diff_then_none(capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path) -> None:
    """diff ends with 1 while something would change, with 0 once our file is in its place."""
    conf, ours = tmp_path / "nova.conf", tmp_path / "90-wholecard.conf"
    conf.write_text("[filter_scheduler]\nenabled_filters = Mine\navailable_filters = my.Mine\n")
    for role in ("scheduler", "compute"):
        words = ("--site", file, "--role", role, "--host", "gpu-01")
        files = ("--conf", f"{role}={conf}")
        status, out, _ = called(capsys, "diff", *words, *files)
        assert status == 1
        assert "Restart, in this order:\n  1. nova-compute: " in out
        status, text, _ = called(capsys, "render", *words, *(files if role == "scheduler" else ()))
        ours.write_text(text)
        status, out, _ = called(capsys, "diff", *words, *files, "--conf", f"{role}={ours}")
        assert (status, out) == (0, f"nova-{role}: nothing would change.\n")
        ours.unlink()


def test_diff_as_json(capsys: pytest.CaptureFixture[str], file: str, tmp_path: Path) -> None:
    """--json has the changes option by option."""
    conf = tmp_path / "nova.conf"
    conf.write_text("[pci]\nreport_in_placement = true\n")
    status, out, _ = called(
        capsys, "diff", "--site", file, "--role", "compute", "--conf", f"compute={conf}", "--json"
    )
    assert status == 1
    assert [each["option"] for each in json.loads(out)["changes"]] == [
        "[pci] device_spec", "[pci] alias", "[filter_scheduler] pci_in_placement",
    ]  # fmt: skip
