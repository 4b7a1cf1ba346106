"""The writer that works in an unpacked root: what it runs, what it leaves, how it fails.

bubblewrap is a stand-in that runs the command in the root's folder by changing paths; real roots
are in test_writers_agree.py.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.tree import grow
from wholecard.core import UsageError
from wholecard.guest.image.recipe import (
    GuestOs,
    InstallPackages,
    Recipe,
    RunInGuest,
    Step,
    WriteGuestFile,
)
from wholecard.guest.image.sandbox_root import SandboxRoot
from wholecard.guest.image.writer import WriteError

DEBIAN = GuestOs("debian", "13")
# Records the mounts and the command; writes a file as the sandbox's shell would.
_BWRAP = """#!/bin/sh
printf '%s\\n' "$*" >> "$WHOLECARD_TEST_LOG"
while [ "$1" != -- ]; do
    case "$1 $3" in "--bind /") root=$2 ;; "--ro-bind /run/wholecard") new=$2 ;; esac
    shift
done
shift
[ -x "$root/usr/sbin/policy-rc.d" ] && echo "services off" >> "$WHOLECARD_TEST_LOG"
case $3 in
*'cat "$1"'*) mkdir -p "$root${6%/*}"; cat "$new/content" > "$root$6"; chmod "$7" "$root$6" ;;
*) exec "$@" ;;
esac
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small root, and the stand-in on PATH."""
    programs = grow(tmp_path / "bin", {"bwrap": (_BWRAP, 0o755)})
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    # Of the environment a sandbox passes on what reaches a registry; the log's name is one of it.
    monkeypatch.setattr(
        "wholecard.guest.image.sandbox_root.registry_environment",
        lambda: {"WHOLECARD_TEST_LOG": str(tmp_path / "log"), "PATH": os.environ["PATH"]},
    )
    return grow(tmp_path / "root", {"etc/machine-id": "0123\n", "usr/sbin/": ""})


def write(root: Path, *steps: Step) -> list[str]:
    """Carry out these steps; the lines that were said."""
    said: list[str] = []
    SandboxRoot().write(Recipe(DEBIAN, steps), root, said.append)
    return said


def test_steps_are_carried_out_in_their_order(root: Path, tmp_path: Path) -> None:
    """Each step is said and done once, and packages start no service meanwhile."""
    said = write(
        root,
        WriteGuestFile("/etc/a/b.conf", b"\0\xff", "a file", 0o600),
        RunInGuest(("echo", "two words"), "a command"),
    )
    assert said == ["step 1 of 2: write /etc/a/b.conf", "step 2 of 2: echo 'two words'"]
    assert (root / "etc/a/b.conf").read_bytes() == b"\0\xff"
    assert (root / "etc/a/b.conf").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "log").read_text().count("services off") == 2


def test_nothing_is_left_behind(root: Path) -> None:
    """The root has neither the policy nor an empty resolv.conf, and its machine id is empty."""
    write(root, RunInGuest(("true",), "nothing"))
    assert (root / "etc/machine-id").read_bytes() == b""
    assert not (root / "usr/sbin/policy-rc.d").exists()
    assert not (root / "etc/resolv.conf").exists()


def test_a_policy_of_the_image_stays(root: Path) -> None:
    """An image that forbids services itself keeps its own file."""
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 104\n")
    write(root, RunInGuest(("true",), "nothing"))
    assert policy.read_text() == "#!/bin/sh\nexit 104\n"


def test_resolv_conf_may_be_a_link(root: Path, tmp_path: Path) -> None:
    """systemd-resolved's link leads into /run, which is empty here: the mount goes there."""
    (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    write(root, RunInGuest(("true",), "nothing"))
    assert (root / "etc/resolv.conf").is_symlink()
    mounted = "--ro-bind /etc/resolv.conf /run/systemd/resolve/stub-resolv.conf"
    assert mounted in (tmp_path / "log").read_text()


COMPILER = (
    "make: Entering\\nnv-pci.c:237:9: error: too few arguments to function\\n"
    + "".join(f"noise {number}\\n" for number in range(40))
    + "make: *** [all] Error 2\\n"
)


def test_a_failed_step_quotes_the_first_error(root: Path) -> None:
    """A compiler's error is far above the end of the output: both are shown, and the reason."""
    fails = RunInGuest(("sh", "-c", f"printf '{COMPILER}'; exit 2"), "the card's driver")
    with pytest.raises(WriteError) as caught:
        write(root, fails)
    lines = caught.value.details.splitlines()
    assert lines[:2] == [
        "reason of the step: the card's driver",
        "nv-pci.c:237:9: error: too few arguments to function",
    ]
    assert lines[-1] == "make: *** [all] Error 2"
    assert len(lines) < 20
    assert not (root / "usr/sbin/policy-rc.d").exists()


@pytest.mark.parametrize("status", ["0", "1"])
def test_a_module_that_was_not_built(root: Path, status: str) -> None:
    """A DKMS build that failed is an error with the compiler's line, also where all ends well."""
    log = "var/lib/dkms/nvidia/550.163.01/build/make.log"
    head = "DKMS make.log for nvidia/550.163.01 for kernel 6.12.118+deb13-amd64 (x86_64)"
    line = "nv-pci.c:237:9: error: too few arguments to function 'pci_resize_resource'"
    script = f'mkdir -p {root}/{log[:-9]}; printf "%s\\n" "$1" "$2" > {root}/{log}; exit {status}'
    with pytest.raises(WriteError) as caught:
        write(root, RunInGuest(("sh", "-c", script, "sh", head, line), "a driver"))
    assert line in caught.value.details
    assert "Install 580.126.09 or newer." in caught.value.resolution


def test_an_older_failure_is_not_ours(root: Path) -> None:
    """A build that had failed in the root before is not this recipe's."""
    grow(root, {"var/lib/dkms/other/1.0/build/make.log": "a.c:1:1: error: old\n"})
    assert write(root, RunInGuest(("true",), "a command"))


def test_an_unknown_system_is_refused_before_anything_runs(root: Path, tmp_path: Path) -> None:
    """Packages of a system whose tool is not known change nothing."""
    recipe = Recipe(GuestOs("plan9", "4"), (InstallPackages(("acme",), "an editor"),))
    with pytest.raises(UsageError, match="plan9"):
        SandboxRoot().write(recipe, root, lambda _text: None)
    assert not (tmp_path / "log").exists()


def test_it_needs_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bwrap is missing the writer says which package has it."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert SandboxRoot().unusable() == "bwrap is not installed; its package is bubblewrap."
