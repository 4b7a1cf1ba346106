"""How long a guest stands still: read from libvirt, kept by flavor, expected the next time."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from support.tree import grow
from wholecard.fleet.ssh import Ssh
from wholecard.moving.pauses import FILE, KEPT, NOVAS_AIM, Pauses, SshPauses, downtime

# What virsh 11 prints of a migration that is over.
OVER = """\
Job type:         Completed
Operation:        Incoming migration
Time elapsed:     30112        ms
Memory processed: 95.021 MiB
Total downtime:   735          ms
Downtime w/o network: 690      ms
"""


@pytest.mark.parametrize(
    ("printed", "seconds"),
    [
        (OVER, 0.735),
        (OVER.replace("735   ", "41200"), 41.2),
        (OVER.replace("Total downtime:  ", "Expected downtime:"), None),
        ("Job type:         None\n\n", None),
        ("", None),
    ],
)
def test_downtime(printed: str, seconds: float | None) -> None:
    """Only the pause of a migration that is over is one."""
    assert downtime(printed) == seconds


def test_the_next_one_is_expected_as_the_last_ones(tmp_path: Path) -> None:
    """Without a measured pause nova's aim is said; then the median of the flavor's own, of those
    to the same host where there are any."""
    answers = {"gpu-02": iter([2.0, 0.8, 1.0]), "gpu-01": iter([4.0])}
    pauses = Pauses(tmp_path, lambda node, _server: next(answers[node]))
    assert pauses.expected("slice").seconds == NOVAS_AIM
    assert [pauses.measure("slice", "gpu-02", "s") for _ in range(3)] == [2.0, 0.8, 1.0]
    pauses.measure("slice", "gpu-01", "s")
    expected = [Pauses(tmp_path).expected("slice", node) for node in ("gpu-02", "gpu-01", "")]
    assert [(each.seconds, each.source) for each in expected] == [
        (1.0, "the median of 3 that were measured to gpu-02"),
        (4.0, "the median of 1 that were measured to gpu-01"),
        (1.5, "the median of 4 that were measured"),
    ]
    assert pauses.expected("other").seconds == NOVAS_AIM


@pytest.mark.parametrize("text", [None, "", "{", '{"slice": "long"}'])
def test_a_file_that_is_missing_or_damaged(tmp_path: Path, text: str | None) -> None:
    """It tells nothing, and the next measured pause is kept all the same."""
    grow(tmp_path, {FILE: text} if text is not None else {})
    pauses = Pauses(tmp_path, lambda _node, _server: 0.7)
    assert pauses.expected("slice").seconds == NOVAS_AIM
    assert pauses.measure("slice", "gpu-02", "s") == 0.7
    assert pauses.measured == {"slice": [("gpu-02", 0.7)]}


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    """Old pauses are forgotten."""
    pauses = Pauses(tmp_path, lambda _node, _server: 0.7)
    for _ in range(KEPT + 5):
        pauses.measure("slice", "gpu-02", "s")
    assert len(pauses.measured["slice"]) == KEPT


SSH = """#!/bin/sh
# ssh ... HOST COMMAND: runs the command here, and records the host.
for word; do command=$word host=$last; last=$word; done
echo "$host" >> "$CALLS"
exec sh -c "$command"
"""
VIRSH = '#!/bin/sh\necho "$0 $*" >> "$CALLS"\nprintf \'%s\' {printed}\nexit {status}\n'
DOCKER = '#!/bin/sh\nshift 2\nexec "$VIRSH_INSIDE" "$@"\n'


@pytest.mark.parametrize(
    ("on_host", "inside", "seconds"),
    [(0, None, 0.735), (1, 0, 0.735), (1, 1, None)],
    ids=["on the host", "in a container", "nowhere"],
)
def test_libvirt_is_asked_over_ssh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_host: int, inside: int | None,
    seconds: float | None,
) -> None:  # fmt: skip
    """libvirt is asked where it is, by the name that ssh knows; the figure stays readable there."""
    said = shlex.quote(OVER)
    grow(tmp_path, {
        "bin/ssh": SSH, "bin/sudo": '#!/bin/sh\nshift\nexec "$@"\n',
        "bin/virsh": VIRSH.format(printed="''" if on_host else said, status=on_host),
        "bin/docker": DOCKER, "bin/podman": "#!/bin/sh\nexit 1\n",
        "inside": VIRSH.format(printed="''" if inside else said, status=inside or 0),
    })  # fmt: skip
    for path in (*(tmp_path / "bin").iterdir(), tmp_path / "inside"):
        path.chmod(0o755)
    calls = tmp_path / "calls"
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(calls))
    monkeypatch.setenv("VIRSH_INSIDE", str(tmp_path / "inside"))
    assert SshPauses(Ssh(), {"gpu-02": "rack-2"})("gpu-02", "the-server") == seconds
    host, *asked = calls.read_text().splitlines()
    assert host == "rack-2"
    assert all(line.endswith("--completed --keep-completed the-server") for line in asked)
