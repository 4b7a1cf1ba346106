"""The writer `root`: an unpacked system changes itself in a sandbox, without a virtual machine.

Its programs run in the root's folder through bubblewrap, as root or, for an ordinary user, in a
user namespace. In a namespace of one user only packages whose files all belong to root can be
installed (user_namespaces(7)).
"""

from __future__ import annotations

import posixpath
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import RunError
from wholecard.guest.drivers.make_log import failed_builds
from wholecard.guest.image.package_tools import GuestChange, command_text, guest_changes
from wholecard.guest.image.recipe import Recipe, WriteGuestFile
from wholecard.guest.image.sandbox import (
    Mount,
    Sandbox,
    is_rootless,
    registry_environment,
)
from wholecard.guest.image.writer import Say, Target, WriteError

# A driver's module is compiled in it: 242 CPU seconds for NVIDIA's open one on two cores.
_TIMEOUT = 2 * 3600.0
_NEW_FILES = "/run/wholecard"
# Through links, as an editor writes, and as the writers do that have the guest's own shell.
_PUT = (
    'set -e; umask 022; mkdir -p "$(dirname "$2")"; cat "$1" > "$2"; chown 0:0 "$2"; '
    'chmod "$3" "$2"'
)
# dpkg and compilers print errors to both streams; together they keep their order.
_ONE_STREAM = 'exec "$@" 2>&1'
_ERROR = re.compile(r"\berror\b:|^E: |^dpkg: error", re.IGNORECASE)
_LAST_LINES = 15
# dpkg(1): no sync after each file. A root whose writing was cut short is not used at all.
_NO_SYNC = "unsafe-io"
_RESOLUTION = ("etc/resolv.conf", "etc/hosts")
# A package that is installed starts its services where nothing forbids it (invoke-rc.d(8)).
_POLICY = Path("usr/sbin/policy-rc.d")
_NO_SERVICES = "#!/bin/sh\nexit 101\n"


@dataclass(frozen=True)
class SandboxRoot:
    """See the module. `mounts` are further folders of this machine that the steps may read."""

    mounts: tuple[Mount, ...] = ()
    name: str = "root"
    target: Target = Target.ROOT

    def unusable(self) -> str:
        """Why this machine cannot use it; empty where it can."""
        if shutil.which("bwrap") is None:
            return "bwrap is not installed; its package is bubblewrap."
        return ""

    def write(self, recipe: Recipe, target: Path, say: Say) -> None:
        """Carry out the recipe in the root `target`. Raises WriteError, UsageError."""
        changes = guest_changes(recipe)
        failed_before = failed_builds(target)
        with (
            tempfile.TemporaryDirectory(prefix="wholecard-") as folder,
            no_services(target),
            _nothing_left(target),
        ):
            # TemporaryDirectory is closed to others, and the sandbox's root may be another user.
            new = Path(folder)
            new.chmod(0o755)
            inside = Sandbox(
                target,
                (*_name_resolution(target), Mount(new, _NEW_FILES), *self.mounts),
                writable=True,
                environment={
                    **registry_environment(),
                    "HOME": "/root",
                    **_apt_settings(new),
                    "DPKG_FORCE": _NO_SYNC,
                },
            )
            for number, change in enumerate(changes, 1):
                say(f"step {number} of {len(changes)}: {change_text(change)}")
                _carry_out(inside, new / "content", change)
        for build in failed_builds(target):
            if build not in failed_before:
                # A kernel's package ends well where a module was not built for it.
                finding = build.finding()
                raise WriteError(f"{finding.subject} was not built", finding.message, finding.fix)
        machine_id = target / "etc/machine-id"
        # All servers of an image with an id would share it; an empty file is given one at the
        # first boot (machine-id(5)).
        if machine_id.is_file() and not machine_id.is_symlink():
            machine_id.write_bytes(b"")


def change_text(change: GuestChange) -> str:
    """A change in one line: `write PATH` or the command."""
    if isinstance(change, WriteGuestFile):
        return f"write {change.path}"
    return command_text(change)


@contextmanager
def no_services(root: Path) -> Iterator[None]:
    """Programs of this root that install packages start no service meanwhile."""
    policy = root / _POLICY
    if policy.exists() or policy.is_symlink() or not policy.parent.is_dir():
        yield
        return
    policy.write_text(_NO_SERVICES)
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


def _end_of(error: RunError) -> str:
    """The first error that was printed, and the last lines; a compiler's error is far above."""
    lines = error.result.stdout.splitlines() if error.result else []
    if not lines:
        return error.details
    first = [line for line in lines if _ERROR.search(line)][:1]
    last = lines[-_LAST_LINES:]
    return "\n".join([*(line for line in first if line not in last), *last])


def _apt_settings(folder: Path) -> dict[str, str]:
    """apt downloads as a user of its own (apt.conf(5)), whom a namespace of one user has not."""
    if not is_rootless():
        return {}
    (folder / "apt.conf").write_text('APT::Sandbox::User "root";\n')
    return {"APT_CONFIG": f"{_NEW_FILES}/apt.conf"}


def _name_resolution(root: Path) -> tuple[Mount, ...]:
    """This machine's name resolution, for a package tool in the root.

    A system with systemd-resolved has a link there, into a folder that only its boot makes.
    """
    mounts = []
    for name in _RESOLUTION:
        inside = root / name
        path = f"/{name}"
        if inside.is_symlink():
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), inside.readlink()))
        if Path("/", name).exists():
            mounts.append(Mount(Path("/", name), path))
    return tuple(mounts)


@contextmanager
def _nothing_left(root: Path) -> Iterator[None]:
    """bubblewrap makes an empty file where it mounts one and there was none."""
    missing = [path for path in (root / name for name in _RESOLUTION)
               if not path.exists() and not path.is_symlink()]  # fmt: skip
    try:
        yield
    finally:
        for path in missing:
            if path.is_file() and not path.is_symlink() and path.stat().st_size == 0:
                path.unlink()


def _carry_out(inside: Sandbox, scratch: Path, change: GuestChange) -> None:
    if isinstance(change, WriteGuestFile):
        scratch.write_bytes(change.content)
        scratch.chmod(0o644)
        argv = ["sh", "-c", _PUT, "sh", f"{_NEW_FILES}/{scratch.name}", change.path,
                f"{change.mode:04o}"]  # fmt: skip
    else:
        argv = ["sh", "-c", _ONE_STREAM, "sh", *change.argv]
    try:
        inside.run(argv, timeout=_TIMEOUT)
    except RunError as error:
        # Of a thousand lines, the one of the compiler says what is wrong.
        failed = [build.finding() for build in failed_builds(inside.root)]
        quoted = "".join(f"{finding.subject}: {finding.message}\n" for finding in failed)
        fix = "Correct the recipe and build again: the base is taken from the cache."
        raise WriteError(
            f"a step failed: {change_text(change)}",
            f"reason of the step: {change.reason}\n{quoted}{_end_of(error)}",
            failed[0].fix if failed else fix,
        ) from error
