"""A new Debian root: mmdebstrap unpacks packages into a folder, as root or as an ordinary user."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wholecard.core import run
from wholecard.guest.image.sandbox import is_rootless


def unpack(
    suite: str,
    target: Path,
    packages: Sequence[str] = (),
    *,
    not_unpacked: Sequence[str] = (),
    variant: str = "minbase",
    timeout: float = 1200,
) -> None:
    """Packages of a Debian suite (`trixie`) into the folder `target`, without recommended ones.

    `not_unpacked` are paths that dpkg leaves out (dpkg(1), --path-exclude). `timeout` is in
    seconds. Without root it goes through a tar archive, for only a user namespace of many users can
    unpack packages, and only one of a single user can run programs for an ordinary user
    afterwards. Raises RunError where no mirror has the packages.
    """
    # As root it mounts /proc, /sys and /dev into the tree: in a mount namespace of its own, so that
    # they are gone with it however it ends.
    private = [] if is_rootless() else ["unshare", "--mount", "--propagation", "private"]
    include = [f"--include={','.join(packages)}"] if packages else []
    argv = [*private, "mmdebstrap", f"--variant={variant}",
            "--aptopt=APT::Install-Recommends \"false\"",
            "--aptopt=Acquire::Languages \"none\"", "--aptopt=Acquire::Retries \"3\"",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in not_unpacked),
            *include, "--quiet"]  # fmt: skip
    resolution = (
        "Check that this machine reaches a Debian mirror "
        f"(`apt-get update` works) and that the mirror has {suite}; then run the command again."
    )
    if not is_rootless():
        run([*argv, "--mode=root", "--format=directory", suite, str(target)],
            timeout=timeout, resolution=resolution)  # fmt: skip
        return
    archive = target.with_suffix(".tar")
    try:
        run([*argv, "--mode=unshare", "--format=tar", suite, str(archive)],
            timeout=timeout, resolution=resolution)  # fmt: skip
        run(["tar", "--extract", "--file", str(archive), "--directory", str(target),
             "--no-same-owner", "--exclude=./dev/*"], timeout=300)  # fmt: skip
    finally:
        archive.unlink(missing_ok=True)
