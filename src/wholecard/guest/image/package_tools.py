"""Repositories as files and packages as commands: what every writer of a recipe carries out.

A recipe has five kinds of step; a writer knows two, a file and a command. What is between is here
alone, so that two writers cannot differ in it. Sources: sources.list(5) (deb822, `Signed-By`),
apt-get(8), apt-mark(8), dnf.conf(5), dnf's versionlock plugin, cloud-init's own use of both.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from wholecard.core import UsageError
from wholecard.guest.image.recipe import (
    AddRepository,
    GuestOs,
    HoldPackages,
    InstallPackages,
    Recipe,
    RunInGuest,
    Step,
    WriteGuestFile,
)

GuestChange = WriteGuestFile | RunInGuest

APT = frozenset({"debian", "ubuntu"})
DNF = frozenset({"rocky", "almalinux", "rhel", "centos", "ol", "fedora", "amzn"})

# These become names of files and words of commands in the guest.
REPOSITORY_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
# deb-version(7) and rpm's names; `@` begins a group of dnf, `/` a release of apt.
PACKAGE_NAME = r"^[A-Za-z0-9][A-Za-z0-9.+_:~^*-]{0,127}(=[A-Za-z0-9][A-Za-z0-9.+_:~^*-]{0,127})?$"
# Neither a space nor a control character, so that it stays one word of one line.
URI = r"^(https?|file)://?[!-~]{1,2000}$"

_APT_ENVIRONMENT = ("env", "DEBIAN_FRONTEND=noninteractive")
# A file that the recipe wrote, or that the image's maker changed, is not asked about.
_KEEP_FILES = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
_LOCK_WAIT = ("-o", "DPkg::Lock::Timeout=300")


@dataclass(frozen=True)
class RepositoryFiles:
    """Where a repository's two files are in the guest; `key` is None where it brings no key."""

    source: str
    key: str | None


def guest_changes(recipe: Recipe) -> tuple[GuestChange, ...]:
    """The recipe as files and commands in their order, each with its step's reason.

    Package lists are read again once after repositories were added, and what the package tool
    downloaded is removed at the end. Raises UsageError for an operating system whose package tool
    is not known, and for a name that a command or a file must not have.
    """
    tool = _tool(recipe.os)
    changes: list[GuestChange] = []
    is_fresh = False
    for step in recipe.steps:
        if isinstance(step, (WriteGuestFile, RunInGuest)):
            changes.append(step)
        elif isinstance(step, AddRepository):
            changes += _repository(tool, step)
            is_fresh = False
        elif isinstance(step, InstallPackages):
            if tool == "apt" and not is_fresh:
                changes.append(_apt_update())
                is_fresh = True
            changes.append(_install(tool, step))
        else:
            changes += _hold(tool, step)
    if any(isinstance(step, InstallPackages) for step in recipe.steps):
        changes.append(_clean(tool))
    return tuple(changes)


def step_changes(os: GuestOs, step: Step) -> tuple[GuestChange, ...]:
    """One step alone as files and commands, as a plan shows it: without update and clean-up."""
    tool = _tool(os)
    if isinstance(step, (WriteGuestFile, RunInGuest)):
        return (step,)
    if isinstance(step, AddRepository):
        return tuple(_repository(tool, step))
    if isinstance(step, InstallPackages):
        return (_install(tool, step),)
    return tuple(_hold(tool, step))


def repository_files(os: GuestOs, step: AddRepository) -> RepositoryFiles:
    """The paths of the files that add this repository to a guest. Raises UsageError."""
    if not re.fullmatch(REPOSITORY_NAME, step.name):
        raise UsageError(
            f"a repository cannot be named {step.name[:80]!r}",
            resolution="Use letters, digits, '.', '_' and '-', 64 at most.",
        )
    if _tool(os) == "apt":
        # apt reads an armored key where its name ends in .asc (apt-key(8), since 1.4).
        key = f"/etc/apt/keyrings/{step.name}.asc"
        source = f"/etc/apt/sources.list.d/{step.name}.sources"
    else:
        key = f"/etc/pki/rpm-gpg/RPM-GPG-KEY-{step.name}"
        source = f"/etc/yum.repos.d/{step.name}.repo"
    return RepositoryFiles(source, None if step.key is None else key)


def command_text(step: RunInGuest) -> str:
    """The command as a line that a shell runs unchanged."""
    return shlex.join(step.argv)


def require_known(os: GuestOs) -> None:
    """Raises UsageError for a system whose package tool is not known."""
    _tool(os)


def _tool(os: GuestOs) -> str:
    if os.id in APT:
        return "apt"
    if os.id in DNF:
        return "dnf"
    known = ", ".join(sorted(APT | DNF))
    raise UsageError(
        f"the package tool of {os.name[:80]!r} is not known",
        f"known: {known}",
        "Write the system as ID-VERSION_ID of its /etc/os-release, as in ubuntu-24.04.",
    )


def _repository(tool: str, step: AddRepository) -> Iterator[WriteGuestFile]:
    for text, what in ((step.uri, URI),):
        if not re.fullmatch(what, text):
            raise UsageError(
                f"the repository {step.name} has the address {text[:80]!r}",
                resolution="Write http://, https:// or file:/ and no spaces.",
            )
    os = GuestOs("debian" if tool == "apt" else "rocky", "")
    files = repository_files(os, step)
    if step.key is not None and files.key is not None:
        key = step.key if step.key.endswith("\n") else f"{step.key}\n"
        reason = f"the key that signs {step.name}"
        yield WriteGuestFile(files.key, key.encode(), reason)
    text = _deb822(step, files) if tool == "apt" else _repo(step, files)
    yield WriteGuestFile(files.source, text.encode(), step.reason)


def _deb822(step: AddRepository, files: RepositoryFiles) -> str:
    fields = {
        "Types": "deb",
        "URIs": step.uri,
        # A suite that ends in a slash is a path, and then there are no components.
        "Suites": " ".join(step.suites or ("/",)),
        "Components": " ".join(step.components),
        "Signed-By": files.key or "",
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)


def _repo(step: AddRepository, files: RepositoryFiles) -> str:
    lines = [f"[{step.name}]", f"name={step.name}", f"baseurl={step.uri}", "enabled=1",
             "gpgcheck=1"]  # fmt: skip
    if files.key is not None:
        lines.append(f"gpgkey=file://{files.key}")
    return "".join(f"{line}\n" for line in lines)


def _apt_update() -> RunInGuest:
    argv = (*_APT_ENVIRONMENT, "apt-get", *_LOCK_WAIT, "update")
    return RunInGuest(argv, "read the package lists of all repositories")


def _install(tool: str, step: InstallPackages) -> RunInGuest:
    names = [_checked_name(name) for name in step.names]
    if tool == "apt":
        argv = (*_APT_ENVIRONMENT, "apt-get", *_LOCK_WAIT, *_KEEP_FILES, "install", "--yes",
                "--no-install-recommends", *names)  # fmt: skip
    else:
        names = [name.replace("=", "-", 1) for name in names]
        argv = ("dnf", "install", "--assumeyes", "--setopt=install_weak_deps=False", *names)
    return RunInGuest(argv, step.reason)


def _hold(tool: str, step: HoldPackages) -> Iterator[RunInGuest]:
    names = [_checked_name(name) for name in step.names]
    if tool == "apt":
        yield RunInGuest(("apt-mark", "hold", *names), step.reason)
        return
    # The plugin's package has another name in each release; dnf finds it by what it provides.
    plugin = ("dnf", "install", "--assumeyes", "dnf-command(versionlock)")
    yield RunInGuest(plugin, "dnf's plugin that holds packages")
    names = [name.replace("=", "-", 1) for name in names]
    yield RunInGuest(("dnf", "versionlock", "add", *names), step.reason)


def _clean(tool: str) -> RunInGuest:
    argv = ("apt-get", "clean") if tool == "apt" else ("dnf", "clean", "all")
    return RunInGuest(argv, "the downloaded packages are not needed any more")


def _checked_name(name: str) -> str:
    if not re.fullmatch(PACKAGE_NAME, name):
        raise UsageError(
            f"{name[:80]!r} is not a package's name",
            resolution="Write NAME or NAME=VERSION, as in cuda-toolkit-12-8 or dkms=3.2.2-1.",
        )
    return name
