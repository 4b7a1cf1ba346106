"""Options that several commands have: one spelling, one meaning and one help each.

Which cloud is meant: `--cloud`, else OS_CLOUD, else the only cloud of clouds.yaml. An option is
stronger than the site file, and the site file than Wholecard's own default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from wholecard.cli.say import say
from wholecard.core import UsageError
from wholecard.core.releases import LATEST

if TYPE_CHECKING:
    from wholecard.fleet import Ssh

SiteFile = Annotated[Path, typer.Option(
    "--site", metavar="FILE", envvar="WHOLECARD_SITE", show_envvar=False, help="The site file; "
        "$WHOLECARD_SITE may name it.")]  # fmt: skip
OptionalSite = Annotated[Path | None, typer.Option("--site", metavar="FILE", help="The site file.")]
Facts = Annotated[list[str] | None, typer.Option(
    "--facts", metavar="[HOST=]FILE", help="A host's facts: what inspect --json or inspect --save "
    "wrote there. Without HOST= the file is named after its host.")]  # fmt: skip
Conf = Annotated[list[str] | None, typer.Option(
    "--conf", metavar="ROLE[@HOST]=PATH", help="A file that a service reads, or a folder of such "
        "files. Repeat it in the order in which the service reads them. ROLE is api, scheduler, "
        "conductor, compute or placement; compute@gpu-01 means nova-compute of the host "
        "gpu-01.")]  # fmt: skip
RoleName = Annotated[str | None, typer.Option(
    "--role", metavar="ROLE", help="api, scheduler, conductor, compute or placement.")]  # fmt: skip
HostName = Annotated[str | None, typer.Option(
    "--host", metavar="NAME", help="A host of the site file, for the role compute.")]  # fmt: skip
ReleaseName = Annotated[str | None, typer.Option(
    "--release", metavar="RELEASE", help="A series, a code name or nova's version: 2025.2. "
        f"Default: the site file's release, or {LATEST} without a site file.")]  # fmt: skip
CloudName = Annotated[str, typer.Option(
    "--cloud", metavar="NAME", help="The cloud's name in clouds.yaml. Default: $OS_CLOUD, or the "
        "only cloud there.")]  # fmt: skip
CloudsFile = Annotated[Path | None, typer.Option(
    "--clouds-file", metavar="FILE", envvar="OS_CLIENT_CONFIG_FILE", show_envvar=False,
        help="The path of clouds.yaml. Default: $OS_CLIENT_CONFIG_FILE, or the file that "
        "openstacksdk finds.")]  # fmt: skip
SshConfig = Annotated[Path | None, typer.Option(
    "--ssh-config", metavar="FILE", help="As ssh -F FILE.")]  # fmt: skip
Sudo = Annotated[bool, typer.Option("--sudo", help="Use sudo -n on the hosts.")]
SshNames = Annotated[list[str] | None, typer.Option(
    "--ssh-name", metavar="HOST=NAME", help="ssh's name of a hypervisor host, where the two "
        "differ; may be repeated.")]  # fmt: skip
Format = Annotated[str, typer.Option(
    "--format", "-f", metavar="FORMAT", help="table, json, yaml or csv.")]  # fmt: skip
TextFormat = Annotated[str, typer.Option(
    "--format", "-f", metavar="FORMAT", help="text, json or yaml.")]  # fmt: skip
Columns = Annotated[list[str] | None, typer.Option(
    "--column", "-c", metavar="COLUMN", help="Print only this column; may be "
        "repeated.")]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


@dataclass(frozen=True)
class Elsewhere:
    """`--on` and the options that go with it."""

    on: tuple[str, ...]
    sudo: bool
    ssh_config: Path | None
    jobs: int | None
    timeout: float | None


class CloudCommand(TyperCommand):
    """A command for a cloud, which reads openstackclient's `--os-cloud` as `--cloud`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Spell the option as the help does."""
        words = [re.sub(r"^--os-cloud(?==|$)", "--cloud", word) for word in args]
        return super().parse_args(ctx, words)


def chosen_cloud(name: str, clouds_file: Path | None) -> str:
    """The cloud that is meant (see above). Raises UsageError where several could be."""
    name = name or os.environ.get("OS_CLOUD", "")
    if name:
        return name
    # Late: it is slow to import.
    from openstack.config import OpenStackConfig

    files = [str(clouds_file)] if clouds_file else None
    loader = OpenStackConfig(config_files=files, load_envvars=False)
    # The SDK invents a cloud `defaults` where it finds no file.
    names = sorted(loader.get_cloud_names()) if loader.config_filename else []
    if len(names) == 1:
        return str(names[0])
    if names:
        details = f"clouds.yaml has: {', '.join(names)}"
        raise UsageError("no cloud is selected", details, "Name one: --cloud NAME or OS_CLOUD=NAME")
    resolution = "Name the file: --clouds-file FILE. Kolla-Ansible's is /etc/kolla/clouds.yaml."
    raise UsageError("no clouds.yaml was found", resolution=resolution)


def show(
    text: str,
    answer: Mapping[str, Any],
    rows_name: str = "",
    *,
    as_json: bool = False,
    format_name: str = "",
    columns: Sequence[str] | None = None,
) -> None:
    """Print an answer as the options ask; `rows_name` is its member that has the rows."""
    from wholecard.core.output_format import formatted

    name = "json" if as_json else format_name or ("table" if rows_name else "text")
    say(formatted(name, columns or (), text, answer, rows_name), colours=name in ("table", "text"))


def ssh_of(config: Path | None, sudo: bool) -> Ssh:
    """How hosts are reached. Raises UsageError where the configuration file is not there."""
    from wholecard.fleet import Ssh

    if config is not None and not config.is_file():
        raise UsageError(f"file not found: {config}", resolution="Name a file for ssh -F.")
    return Ssh(config, sudo)


def ssh_names(texts: Iterable[str] | None) -> dict[str, str]:
    """ssh's names of hosts, by `HOST=NAME`. Raises UsageError."""
    by_host = {}
    for text in texts or ():
        host, sign, name = text.partition("=")
        if not (sign and host and name):
            resolution = "Write it as --ssh-name HOST=NAME, for example gpu-01=10.0.0.1"
            raise UsageError(f"--ssh-name {text!r} has no name of ssh's", resolution=resolution)
        by_host[host] = name
    return by_host
