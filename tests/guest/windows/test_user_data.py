"""User data for Windows, as cloudbase-init's own dispatcher takes it, and its PowerShell parsed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from cloudbaseinit.metadata.services.baseopenstackservice import BaseOpenStackService
from cloudbaseinit.plugins.common import base, execcmd, userdata, userdatautils

from support.powershell import powershell_errors
from wholecard.core import UsageError
from wholecard.guest.windows.user_data import Installer, windows_user_data

SUM = "ab" * 32
VIRTIO = Installer("virtio", r"*:\virtio-win-guest-tools.exe", "", "/install /quiet /norestart")
DRIVER = Installer("driver", "https://example.org/d'river.exe", SUM, "-s -noreboot -clean")
SCRIPT = windows_user_data((VIRTIO, DRIVER))


class ConfigDrive(BaseOpenStackService):  # type: ignore[misc]  # it has no types
    """cloudbase-init's reader of OpenStack's metadata on a folder in the place of the drive."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def _get_data(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()


@pytest.fixture
def drive(tmp_path: Path) -> Callable[[bytes], ConfigDrive]:
    """A config drive with this user data."""
    latest = tmp_path / "openstack/latest"
    latest.mkdir(parents=True)
    (latest / "meta_data.json").write_text(json.dumps({"uuid": "x", "meta": {}}))

    def make(data: bytes) -> ConfigDrive:
        (latest / "user_data").write_bytes(data)
        return ConfigDrive(tmp_path)

    return make


def ran(service: ConfigDrive, status: int) -> tuple[Any, int]:
    """What its plugin answers where the script ends with `status`; how often it was run."""
    with mock.patch.object(
        execcmd.PowershellSysnative, "execute", return_value=(b"", b"", status)
    ) as execute:
        return userdata.UserDataPlugin().execute(service, {}), execute.call_count


@pytest.mark.parametrize(
    ("status", "again", "restarts"),
    [(1003, base.PLUGIN_EXECUTE_ON_NEXT_BOOT, True), (0, base.PLUGIN_EXECUTION_DONE, False),
     (1, base.PLUGIN_EXECUTION_DONE, False)],
)  # fmt: skip
def test_how_it_ends(
    drive: Callable[[bytes], ConfigDrive], status: int, again: int, restarts: bool
) -> None:
    """After an installer Windows restarts and the script runs again; at the end, or failed, not."""
    assert ran(drive(SCRIPT.encode()), status) == ((again, restarts), 1)


@pytest.mark.parametrize("spoilt", ["\ufeff" + SCRIPT, SCRIPT.replace("#ps1_sysnative", "#ps1x")])
def test_what_is_not_recognised(drive: Callable[[bytes], ConfigDrive], spoilt: str) -> None:
    """A byte order mark before the first line, and it is not run, without any error."""
    assert ran(drive(spoilt.encode()), 1003) == ((base.PLUGIN_EXECUTION_DONE, False), 0)


def test_which_program_runs_it() -> None:
    """PowerShell of Windows' own width: a 32-bit one has no pnputil."""
    command = userdatautils.get_command(SCRIPT.encode())
    assert type(command) is execcmd.PowershellSysnative


def test_its_form() -> None:
    """Windows' lines, ASCII alone, the installers in their order, and the agent at its end."""
    assert SCRIPT.startswith("#ps1_sysnative\r\n$Installers = @(\r\n    @{ Name = 'virtio'; ")
    assert SCRIPT.isascii()
    assert SCRIPT.count("\n") == SCRIPT.count("\r\n")
    assert "Source = 'https://example.org/d''river.exe'" in SCRIPT
    assert SCRIPT.index("'driver'") < SCRIPT.index("$RestartAndRunAgain")
    assert SCRIPT.rstrip().endswith("Send-Report\r\nexit 0")


@pytest.mark.parametrize("installers", [(), (VIRTIO,), (VIRTIO, DRIVER)])
def test_it_is_powershell(installers: tuple[Installer, ...]) -> None:
    """No syntax error, by tree-sitter's grammar. It was run on no Windows here."""
    text = windows_user_data(installers)
    assert powershell_errors(text) == []
    assert powershell_errors(text.replace("{", "(", 1)) != []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (("virtio", "https://example.org/v.exe"), "nothing says what it must be"),
        (("virtio", "v.exe"), "neither a URL nor a path"),
        (("virtio", "C:\\v.exe\r\nexit"), "neither a URL nor a path"),
        (("virtio", "https://example.org/v.exe\n", SUM), "neither a URL nor a path"),
        (("virtio", r"C:\v.exe", "ab"), "no SHA-256"),
        (("virtio", r"C:\v.exe", "", "/quiet\r\nexit"), "not printable ASCII"),
        (("a b", r"C:\v.exe"), "no name"),
        (("virtio", "C:\\" + "v" * 300), "neither a URL nor a path"),
    ],
)
def test_what_is_refused(fields: tuple[str, ...], words: str) -> None:
    """Nothing that a person writes becomes a command of the script, or is downloaded unchecked."""
    with pytest.raises(UsageError, match=words):
        Installer(*fields)


def test_too_long() -> None:
    """What nova would refuse is refused before."""
    many = [Installer(f"i{n}", r"C:\v.exe", "", "x" * 500) for n in range(100)]
    with pytest.raises(UsageError, match="too long for user data"):
        windows_user_data(many)
