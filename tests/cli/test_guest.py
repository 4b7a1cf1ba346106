"""`wholecard guest`: the files that a person takes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from wholecard.cli.app import run_app
from wholecard.guest.agent.files import agent_text, unit_text
from wholecard.guest.proof.report import parse


@pytest.mark.parametrize("system", ["linux", "windows"])
def test_printed(system: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is printed as it is, to the byte."""
    assert run_app(["guest", "agent", "--os", system]) == 0
    assert capsys.readouterr().out == agent_text(system)


def test_a_file_that_runs(tmp_path: Path) -> None:
    """Written to a file it is executable, and reports on this machine by hand."""
    file = tmp_path / "wholecard-agent"
    assert run_app(["guest", "agent", "-o", str(file)]) == 0
    run = subprocess.run(
        [str(file), "--stdout"], capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert parse(run.stdout).complete


def test_the_unit(capsys: pytest.CaptureFixture[str]) -> None:
    """With --unit it is the systemd unit."""
    assert run_app(["guest", "agent", "--unit"]) == 0
    assert capsys.readouterr().out == unit_text()


def test_no_unit_for_windows(capsys: pytest.CaptureFixture[str]) -> None:
    """A systemd unit for Windows is the caller's error, and nothing is printed."""
    assert run_app(["guest", "agent", "--unit", "--os", "windows"]) == 2
    out, err = capsys.readouterr()
    assert (out, "--unit is for linux" in err) == ("", True)


def test_an_unknown_system() -> None:
    """Another system is a wrong call."""
    assert run_app(["guest", "agent", "--os", "plan9"]) == 2


def test_windows_user_data(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """To a file and to the screen the same bytes: Windows' lines, and no byte order mark."""
    file = tmp_path / "user-data.ps1"
    words = ["guest", "windows-user-data", "--virtio", r"*:\v.exe", "--driver", r"D:\d.msi"]
    assert run_app(words) == 0
    printed = capfdbinary.readouterr().out
    assert run_app([*words, "-o", str(file)]) == 0
    assert file.read_bytes() == printed
    assert printed.startswith(b"#ps1_sysnative\r\n$Installers = @(\r\n")
    first, second = printed.split(b"\r\n")[2:4]
    assert b"Name = 'virtio'" in first
    assert b"Arguments = '/install /quiet /norestart'" in first
    assert b"Source = 'D:\\d.msi'; Sha256 = ''; Arguments = ''" in second


def test_windows_user_data_unchecked(capsys: pytest.CaptureFixture[str]) -> None:
    """A download without a checksum is refused, with the option that gives it."""
    assert run_app(["guest", "windows-user-data", "--driver", "https://example.org/d.exe"]) == 2
    assert "--driver-sha256" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "port"), [([], b"=\r\n"), (["--log-to-console"], b"=COM1,")])
def test_cloudbase_init_conf(
    options: list[str], port: bytes, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """COM1 is the scripts', or cloudbase-init's own."""
    assert run_app(["guest", "cloudbase-init-conf", *options]) == 0
    assert b"logging_serial_port_settings" + port in capfdbinary.readouterr().out
