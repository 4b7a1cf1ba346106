"""Programs run in an unpacked root through bubblewrap, not on the person's machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wholecard.core import Result, run

# The only variables of the machine that a program in the root gets: how to reach a registry.
PASSED_ON = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
             "http_proxy", "https_proxy", "no_proxy", "UV_DEFAULT_INDEX", "UV_INDEX",
             "UV_INDEX_URL", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS")  # fmt: skip
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Mount:
    """A folder or file of the machine, seen in the root at `inside`."""

    outside: Path
    inside: str
    writable: bool = False
    device: bool = False

    def arguments(self) -> list[str]:
        """This mount for bwrap's command line."""
        kind = "--dev-bind" if self.device else "--bind" if self.writable else "--ro-bind"
        return [kind, str(self.outside), self.inside]


@dataclass(frozen=True)
class Sandbox:
    """An unpacked root, read-only unless `writable`, with what is mounted into it."""

    root: Path
    mounts: tuple[Mount, ...] = ()
    writable: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    def with_mounts(self, *mounts: Mount) -> Sandbox:
        """The same root with more in it."""
        return Sandbox(self.root, (*self.mounts, *mounts), self.writable, self.environment)

    def argv(self, command: Sequence[str], *, workdir: str = "/") -> list[str]:
        """The argument list that runs `command` in the root.

        The processes have a PID namespace of their own: when its first process ends, the kernel
        kills the others (pid_namespaces(7)). The network is the machine's: services use loopback.
        """
        argv = ["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
        if is_rootless():
            argv += ["--unshare-user", "--uid", "0", "--gid", "0"]
        argv += ["--bind" if self.writable else "--ro-bind", str(self.root), "/"]
        argv += ["--dev", "/dev", "--proc", "/proc"]
        # apt checks signatures as a user of its own, who writes there too.
        for scratch in ("/tmp", "/var/tmp"):  # noqa: S108 - in the private root
            argv += ["--perms", "1777", "--tmpfs", scratch]
        argv += ["--tmpfs", "/run"]
        for mount in self.mounts:
            argv += mount.arguments()
        return [*argv, "--chdir", workdir, "--", *command]

    def env(self) -> dict[str, str]:
        """The whole environment of a program in the root; it has nothing of the person's own."""
        base = {
            "PATH": PATH,
            "HOME": "/tmp",  # noqa: S108 - a tmpfs of its own
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
        }
        return base | dict(self.environment)

    def run(
        self, command: Sequence[str], *, timeout: float, stdin: str = "", check: bool = True,
        die_with_us: bool = True,
    ) -> Result:  # fmt: skip
        """Run a program in the root to its end; raises RunError as `run` does."""
        argv = self.argv(command)
        if die_with_us:
            argv.insert(1, "--die-with-parent")
        return run(argv, timeout=timeout, stdin=stdin, check=check, env=self.env(), inherit=False)


def is_rootless() -> bool:
    """Whether such programs run in user namespaces, for an ordinary user."""
    return os.geteuid() != 0


def registry_environment() -> dict[str, str]:
    """The settings of this machine that a package client in the root needs."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def registry_mounts() -> tuple[Mount, ...]:
    """Name resolution and certificates of this machine, for a package client in the root."""
    paths = [Path("/etc/resolv.conf"), Path("/etc/hosts"), Path("/etc/ssl/certs")]
    return tuple(Mount(path, str(path)) for path in paths if path.exists())
