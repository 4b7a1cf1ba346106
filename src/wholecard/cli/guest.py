"""`wholecard guest …`: what goes into a guest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# Its help is in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)


@app.command("agent")
def agent_command(
    system: Annotated[str, typer.Option("--os", metavar="SYSTEM", help="linux (POSIX shell, "
        "busybox too) or windows (PowerShell 5.1).")] = "linux",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it "
        "to this file, executable. Default: print it.")] = None,
    unit: Annotated[bool, typer.Option("--unit", help="Print the systemd unit that starts the "
        "agent in a Linux image, and not the agent.")] = False,
) -> None:  # fmt: skip
    """Print the agent that reports a guest's cards on its serial console, one file.

    In an image it is /usr/local/sbin/wholecard-agent with its unit; it is silent unless a proof
    asks. In a guest: sh wholecard-agent --stdout
    """
    from wholecard.core import UsageError
    from wholecard.guest.agent.files import agent_text, unit_text

    if unit and system != "linux":
        raise UsageError(
            f"--unit is for linux, and --os is {system}",
            resolution="Windows has no systemd: give its agent as user data (guest "
            "windows-user-data).",
        )
    if unit:
        _write(unit_text(), output)
    else:
        _write(agent_text(system), output, 0o755)


@app.command("windows-user-data")
def windows_user_data_command(
    virtio: Annotated[str, typer.Option("--virtio", metavar="SOURCE", help="virtio's installer, "
        "virtio-win-guest-tools.exe or an .msi or .inf: a URL, a path, or *:\\FILE for any "
        "drive.")] = "",
    virtio_sha256: Annotated[str, typer.Option("--virtio-sha256", metavar="SUM", help="Its "
        "SHA-256, needed for a URL.")] = "",
    driver: Annotated[str, typer.Option("--driver", metavar="SOURCE", help="The installer of the "
        "card's driver, in the same forms.")] = "",
    driver_sha256: Annotated[str, typer.Option("--driver-sha256", metavar="SUM", help="Its "
        "SHA-256, needed for a URL.")] = "",
    driver_arguments: Annotated[str | None, typer.Option("--driver-arguments", metavar="WORDS",
        help="What makes it silent. Default for an .exe: NVIDIA's, -s -noreboot -clean.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it "
        "to this file. Default: print it.")] = None,
) -> None:  # fmt: skip
    """Print user data that installs drivers in a stock Windows, for cloudbase-init.

    A PowerShell script: each installer, then a restart, then the agent's report on the console.

      wholecard guest windows-user-data --virtio '*:\\virtio-win-guest-tools.exe' -o user-data.ps1
    """
    from wholecard.guest.windows.user_data import (
        NVIDIA_ARGUMENTS,
        VIRTIO_ARGUMENTS,
        Installer,
        windows_user_data,
    )

    installers = []
    if virtio:
        words = VIRTIO_ARGUMENTS if virtio.lower().endswith(".exe") else ""
        installers.append(Installer("virtio", virtio, virtio_sha256, words))
    if driver:
        words = NVIDIA_ARGUMENTS if driver.lower().endswith(".exe") else ""
        words = words if driver_arguments is None else driver_arguments
        installers.append(Installer("driver", driver, driver_sha256, words))
    _write(windows_user_data(installers), output)


@app.command("cloudbase-init-conf")
def cloudbase_init_conf_command(
    log_to_console: Annotated[bool, typer.Option("--log-to-console", help="cloudbase-init's own "
        "log goes to the console; scripts, and so a proof, cannot report there then.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it "
        "to this file. Default: print it.")] = None,
) -> None:  # fmt: skip
    """Print cloudbase-init.conf for a Windows image: the config drive, and who has the console."""
    from wholecard.guest.windows.cloudbase_init import cloudbase_init_conf

    _write(cloudbase_init_conf(log_to_console), output)


def _write(text: str, output: Path | None, mode: int = 0o644) -> None:
    """The text to a file, or to standard output, each with the lines that it has."""
    import sys

    from wholecard.transaction.atomic_files import write_atomically

    if output is not None:
        write_atomically(output, text.encode(), mode)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()
