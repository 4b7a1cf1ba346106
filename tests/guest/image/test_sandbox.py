"""What runs in an unpacked root, and what it may learn of the machine outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.tree import grow
from wholecard.core import RunError
from wholecard.guest.image.sandbox import (
    Mount,
    Sandbox,
    registry_environment,
    registry_mounts,
)

ROOT = Path("/cache/root-1")
NAMESPACES = ["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
USER = ["--unshare-user", "--uid", "0", "--gid", "0"]
PLACES = ["--dev", "/dev", "--proc", "/proc",
          "--perms", "1777", "--tmpfs", "/tmp", "--perms", "1777", "--tmpfs", "/var/tmp",
          "--tmpfs", "/run"]  # fmt: skip
DISK = Mount(Path("/run/lab/node"), "/lab", writable=True)
TREE = Mount(Path("/cache/seed-1"), "/opt/tree")
KVM = Mount(Path("/dev/kvm"), "/dev/kvm", device=True)


def be(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)


@pytest.mark.parametrize(
    ("sandbox", "uid", "middle"),
    [
        (Sandbox(ROOT), 0, ["--ro-bind", "/cache/root-1", "/", *PLACES]),
        (Sandbox(ROOT), 1000, [*USER, "--ro-bind", "/cache/root-1", "/", *PLACES]),
        (Sandbox(ROOT, writable=True), 0, ["--bind", "/cache/root-1", "/", *PLACES]),
        (Sandbox(ROOT, (TREE, DISK, KVM)), 0,
         ["--ro-bind", "/cache/root-1", "/", *PLACES, "--ro-bind", "/cache/seed-1", "/opt/tree",
          "--bind", "/run/lab/node", "/lab", "--dev-bind", "/dev/kvm", "/dev/kvm"]),
    ],
)  # fmt: skip
def test_argument_list(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, uid: int, middle: list[str]
) -> None:
    """The root is read-only unless `writable`, mounts come after it in their order, and an
    ordinary user is root in a user namespace.
    """
    be(monkeypatch, uid)
    argv = sandbox.argv(["qemu-img", "info", "--help"], workdir="/lab")
    assert argv == [
        *NAMESPACES, *middle, "--chdir", "/lab", "--", "qemu-img", "info", "--help"
    ]  # fmt: skip


def test_more_mounts_change_nothing_else() -> None:
    """More mounts make another sandbox: the first stays, and what it says is kept."""
    first = Sandbox(ROOT, (TREE,), writable=True, environment={"A": "1"})
    assert first.with_mounts(DISK, KVM) == Sandbox(ROOT, (TREE, DISK, KVM), True, {"A": "1"})
    assert first.mounts == (TREE,)


def test_environment_holds_nothing_of_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment inside is the sandbox's own, whatever the person's holds."""
    for name in ("OS_PASSWORD", "PYTHONPATH", "LD_PRELOAD", "PATH", "HOME", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "the person's own")
    inside = Sandbox(ROOT, environment={"UV_CACHE_DIR": "/opt/cache"}).env()
    assert inside == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/tmp", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "UV_CACHE_DIR": "/opt/cache",
    }  # fmt: skip


def test_run_passes_the_environment_on_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that is run has that environment and nothing of the person's, and ends with us."""
    monkeypatch.setenv("OS_PASSWORD", "the person's own")
    script = '#!/bin/sh\nprintf "%s\\n" "$@"\nenv >&2\ncat\n'
    programs = grow(tmp_path, {"bwrap": (script, 0o755)})
    inside = Sandbox(ROOT, environment={"PATH": f"{programs}:/usr/bin:/bin"})
    answer = inside.run(["true"], timeout=20, stdin="typed")
    arguments = [*inside.argv(["true"])[1:], "typed"]
    assert answer.stdout.splitlines() == ["--die-with-parent", *arguments]
    seen = {line.partition("=")[0] for line in answer.stderr.splitlines()}
    assert seen - {"PWD", "OLDPWD", "SHLVL", "_"} == set(inside.env())
    outliving = inside.run(["true"], timeout=20, stdin="typed", die_with_us=False)
    assert outliving.stdout.splitlines() == arguments


def test_run_raises_as_run_does(tmp_path: Path) -> None:
    """A program that fails is an error with what it printed, unless check is False."""
    programs = grow(tmp_path, {"bwrap": ("#!/bin/sh\necho no such thing >&2\nexit 4\n", 0o755)})
    inside = Sandbox(ROOT, environment={"PATH": f"{programs}:/usr/bin:/bin"})
    with pytest.raises(RunError, match="no such thing"):
        inside.run(["true"], timeout=20)
    assert inside.run(["true"], timeout=20, check=False).status == 4


def test_registry_environment_is_a_short_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package client learns the proxies, certificates and indexes of the machine, no more."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mirror/simple")
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert registry_environment() == {
        "HTTPS_PROXY": "http://proxy:3128", "UV_DEFAULT_INDEX": "https://mirror/simple",
    }  # fmt: skip


def test_registry_mounts_are_read_only() -> None:
    """What a package client sees of the machine's /etc, it cannot change."""
    assert not any(mount.writable or mount.device for mount in registry_mounts())
    assert {mount.inside for mount in registry_mounts()} <= {
        "/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs"
    }  # fmt: skip
