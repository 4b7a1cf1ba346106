"""The agent's files: what a person, an image and a stock image's user data get."""

from __future__ import annotations

import base64
import configparser
import subprocess
from pathlib import Path

import pytest

from support.powershell import powershell_errors
from wholecard.core import UsageError
from wholecard.guest.agent.files import (
    AGENT_PATH,
    MAX_USER_DATA,
    UNIT_PATH,
    AgentRequest,
    agent_text,
    install_steps,
    script,
    unit_text,
    user_data,
)
from wholecard.guest.image.profile import ProfileSettings
from wholecard.guest.image.profiles import profile_named
from wholecard.guest.image.recipe import GuestOs, RunInGuest, WriteGuestFile
from wholecard.guest.proof.report import parse

REQUEST = AgentRequest("0a1b2c3d", bench=65536, containers=2, container_image="debian:13")


def test_a_profile_of_images() -> None:
    """The profile `agent` is these steps, for each system and whatever the cards."""
    assert (
        profile_named("agent").steps(GuestOs("debian", "13"), ProfileSettings()) == install_steps()
    )


def test_one_request_for_both_ways() -> None:
    """Metadata for an image's own agent and variables for user data say the same."""
    assert REQUEST.metadata() == {
        "wholecard_nonce": "0a1b2c3d", "wholecard_bench": "65536",
        "wholecard_containers": "2", "wholecard_container_image": "debian:13",
    }  # fmt: skip
    assert {key.lower(): value for key, value in REQUEST.environment().items()} == (
        REQUEST.metadata()
    )
    assert AgentRequest("0a1b2c3d").metadata() == {"wholecard_nonce": "0a1b2c3d"}


@pytest.mark.parametrize(
    "values",
    [
        {"nonce": "x; rm -rf /"}, {"nonce": ""}, {"nonce": "A" * 8}, {"bench": -1},
        {"bench": 1 << 25}, {"containers": 101}, {"container_image": "$(reboot)"},
        {"container_image": "-v"},
    ],
)  # fmt: skip
def test_a_request_that_is_refused(values: dict[str, object]) -> None:
    """Values that would need quoting in a shell, or that no guest can do, are refused."""
    with pytest.raises(UsageError):
        AgentRequest(**{"nonce": "0a1b2c3d", **values})  # type: ignore[arg-type]


@pytest.mark.parametrize("system", ["linux", "windows"])
def test_user_data_fits(system: str) -> None:
    """The agent with what is asked of it fits into nova's user data, with a third to spare."""
    data = user_data(system, REQUEST)
    assert base64.b64decode(data).decode() == script(system, REQUEST.environment())
    assert len(data) < MAX_USER_DATA * 2 / 3


def test_user_data_of_linux_runs(tmp_path: Path) -> None:
    """cloud-init runs it as a script with `#!`, and the report has the nonce."""
    text = script("linux", {**REQUEST.environment(), "WHOLECARD_BENCH": "",
                            "WHOLECARD_CONTAINERS": ""})  # fmt: skip
    assert text.startswith("#!/bin/sh\nexport WHOLECARD_NONCE=0a1b2c3d\n")
    file = tmp_path / "part-001"
    file.write_text(text)
    places = {name: str(tmp_path / name.lower()) for name in ("SYS", "PROC", "ETC", "CONFIG")}
    environment = {
        "PATH": "/usr/bin:/bin", "WHOLECARD_CONSOLE": str(tmp_path / "console"),
        "WHOLECARD_WORK": str(tmp_path / "work"), "WHOLECARD_REPEAT": "1", "WHOLECARD_PATH": "",
        **{f"WHOLECARD_{name}": place for name, place in places.items()},
    }  # fmt: skip
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("0123abcd-1\n")
    subprocess.run(["/bin/sh", str(file)], env=environment, check=True, timeout=20)
    proof = parse((tmp_path / "console").read_text())
    assert (proof.complete, proof.nonce) == (True, "0a1b2c3d")


def test_user_data_of_windows() -> None:
    """cloudbase-init knows it by its first line, without a byte order mark; lines end as there."""
    text = script("windows", REQUEST.environment())
    assert text.startswith("#ps1_sysnative\r\n$env:WHOLECARD_NONCE = '0a1b2c3d'\r\n")
    assert text.count("\n") == text.count("\r\n")
    assert text.isascii()


def test_powershell_is_parsed() -> None:
    """The Windows agent is PowerShell without a syntax error. It was run on no Windows here."""
    assert powershell_errors(agent_text("windows")) == []
    assert powershell_errors(script("windows", REQUEST.environment())) == []
    assert powershell_errors(agent_text("windows").replace("{", "(", 1)) != []


def test_an_image_gets_agent_and_unit() -> None:
    """The recipe's steps write the agent and its unit, which runs that file, and enable it."""
    agent, unit, enable = install_steps()
    assert isinstance(agent, WriteGuestFile)
    assert isinstance(unit, WriteGuestFile)
    assert isinstance(enable, RunInGuest)
    assert (agent.path, agent.mode) == (AGENT_PATH, 0o755)
    assert agent.content.decode() == agent_text("linux")
    parsed = configparser.ConfigParser()
    parsed.read_string(unit.content.decode())
    assert parsed["Service"]["ExecStart"] == f"/bin/sh {AGENT_PATH} --if-asked"
    assert (unit.path, unit.content.decode()) == (UNIT_PATH, unit_text())
    assert enable.argv == ("systemctl", "enable", "wholecard-agent.service")


def test_an_unknown_system() -> None:
    """There is no agent for other systems, and the error names those that have one."""
    with pytest.raises(UsageError) as caught:
        agent_text("plan9")
    assert caught.value.resolution == "Choose one of linux, windows."
