"""Files as a person names them: `--conf ROLE[@HOST]=PATH`, `--facts [HOST=]FILE`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from wholecard.core import UsageError
from wholecard.host.facts.snapshot import SUFFIXES
from wholecard.nova.options import Role, role_named


def conf_files(texts: Iterable[str] | None) -> dict[tuple[Role, str], list[Path]]:
    """The files of each `ROLE[@HOST]=PATH`, by role and host, in the order of the command line.

    The host is empty where none is named. Raises UsageError.
    """
    files: dict[tuple[Role, str], list[Path]] = {}
    for text in texts or ():
        name, sign, path = text.partition("=")
        if not (sign and path):
            example = "--conf compute@gpu-01=/etc/nova/nova.conf"
            resolution = f"Write it as --conf ROLE=PATH, for example {example}"
            raise UsageError(f"--conf {text!r} names no role", resolution=resolution)
        role_name, at, host = name.partition("@")
        role = role_named(role_name)
        if at and (role != "compute" or not host):
            what = f"--conf {text!r}: only the role compute can have a host"
            raise UsageError(what, resolution="Write it as --conf compute@HOST=PATH.")
        files.setdefault((role, host), []).append(Path(path))
    return files


def of_computes(files: Mapping[tuple[Role, str], list[Path]]) -> dict[str, list[Path]]:
    """The files of nova-compute by host; the host is empty where none is named."""
    return {host: paths for (role, host), paths in files.items() if role == "compute"}


def facts_file(text: str) -> tuple[str, Path]:
    """The host and the file of `[HOST=]FILE`; without HOST= the file is named after its host."""
    host, sign, path = text.partition("=")
    # A file's own name may have a sign of equality.
    if sign and path and "/" not in host and not Path(text).exists():
        return host, Path(path)
    name = Path(text).name
    for suffix in (*SUFFIXES, ".json"):
        name = name.removesuffix(suffix)
    return name, Path(text)
