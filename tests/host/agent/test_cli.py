"""The agent's commands: what they print and how they exit."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.golden import compare
from support.nodes import APART, GROUPS_APART, OWN, bare, reboot, with_groups
from support.tree import grow, snapshot
from wholecard.host.agent.cli import main
from wholecard.host.agent.help import COMMANDS
from wholecard.host.changing import journal
from wholecard.host.changing.status import status
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect

FOUR = [*GROUPS_APART[10], *GROUPS_APART[11]]


@pytest.fixture
def agent(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command on a root: its status, what it printed, and its errors."""

    def run(root: Path, command: str, *arguments: str) -> tuple[int, str, str]:
        status = main([command, "--root", str(root), *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_whole_way(apart: Path, agent: Any) -> None:
    """A host goes the whole way: check, plan, apply, reboot, verify, rollback."""
    before = snapshot(apart)
    assert agent(apart, "check", "--all-cards")[0] == 1
    status, out, _ = agent(apart, "plan", "--all-cards", "--json")
    assert (status, len(json.loads(out)["actions"])) == (0, 8)
    assert snapshot(apart) == before
    status, out, err = agent(apart, "apply", "--all-cards", "--json")
    data = json.loads(out)
    assert (status, data["journal"], data["applied"], data["reboot_needed"]) == (0, "0001", 8, True)
    assert len(data["seconds"]) == 8
    assert err.splitlines()[6].startswith("[7/8] run-tool update-initramfs ... ")
    status, out, _ = agent(apart, "verify", "--json")
    assert (status, "WC110" in out) == (1, True)
    reboot(apart, APART, GROUPS_APART, FOUR)
    status, out, _ = agent(apart, "verify", "--json")
    data = json.loads(out)
    assert (status, data["findings"]) == (0, [])
    assert [row["address"] for row in data["evidence"]] == FOUR
    assert agent(apart, "check", "--all-cards", "--json")[0] == 0
    assert json.loads(agent(apart, "status", "--json")[1])["rebooted"] is True
    status, out, _ = agent(apart, "rollback", "--json")
    assert (status, json.loads(out)["applied"]) == (0, 8)
    assert agent(apart, "status")[1].startswith("Nothing is applied on this host.")


def test_text(apart: Path, agent: Any) -> None:
    """The texts for people are these."""
    pieces = [agent(apart, "inspect")[1], agent(apart, "check")[1]]
    agent(apart, "apply", "--all-cards")
    pieces.append(agent(apart, "status")[1])
    reboot(apart, APART, GROUPS_APART, FOUR)
    pieces += [agent(apart, "inspect")[1], agent(apart, "verify")[1]]
    text = "----\n".join(pieces)
    compare("agent.txt", re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+", "TIME", text))


def test_inspect_json(apart: Path, agent: Any) -> None:
    """inspect --json is the host itself, with its schema."""
    data = json.loads(agent(apart, "inspect", "--json")[1])
    assert data["schema"] == 2
    assert {"functions", "cards", "groups", "iommu", "boot"} <= set(data)
    assert Host.from_json(data) == inspect(apart)


def test_dry_run(apart: Path, agent: Any) -> None:
    """apply --dry-run prints the plan and touches nothing."""
    before = snapshot(apart, without="-")
    status, out, _ = agent(apart, "apply", "--all-cards", "--dry-run")
    assert (status, out.startswith("1. write-file /etc/default/grub.d/zzz-wholecard.cfg")) == (
        0,
        True,
    )
    assert snapshot(apart, without="-") == before


def test_refused(together: Path, agent: Any) -> None:
    """A refusal exits 1 with its findings, and touches nothing."""
    before = snapshot(together)
    status, out, err = agent(together, "apply", "--card", "0000:02:01.0", "--json")
    data = json.loads(out)
    assert (status, [each["rule"] for each in data["findings"]]) == (1, ["WC107"])
    assert "Select these cards together" in data["error"]["resolution"]
    assert err.startswith("error: ")
    assert snapshot(together) == before


@pytest.mark.parametrize(
    ("arguments", "brief"),
    [
        (["plan"], "no card is selected"),
        (["plan", "--card", "0000:00:04.0"], "0000:00:04.0 is not a card"),
        (["plan", "--card", "zz"], "'zz' is not a PCI address"),
        (["plan", "--containers", "xx"], "'xx' is not a PCI address"),
        (["plan", "--card", "0000:0g:00"], "'0000:0g:00' is not a PCI address"),
        (["verify"], "nothing is applied"),
        (["rollback"], "nothing is applied"),
    ],
)
def test_called_wrongly(apart: Path, agent: Any, arguments: list[str], brief: str) -> None:
    """What was called wrongly exits 2 and says why."""
    status, _, err = agent(apart, *arguments)
    assert status == 2
    assert brief in err


@pytest.mark.parametrize(
    ("arguments", "brief"),
    [
        (["--loader", "grubby"], "no boot loader grubby"),
        (["--initramfs", "dracut"], "no initramfs tool dracut"),
        (["--companion", "0000:00:02.0"], "is a bridge"),
        (["--park", "zz"], "is not a PCI address"),
        (["--hugepages", "64"], "is not a size and a count of huge pages"),
        (["--isolate-cpus", "x"], "not a list of CPUs"),
        (["--desired", "/nowhere/gpu-01.json"], "cannot read the desired state"),
        (["--facts", "/nowhere/host.json"], "cannot read a host's facts"),
    ],
)
@pytest.mark.parametrize("command", ["check", "plan", "apply"])
def test_bad_options(
    apart: Path, agent: Any, calls: Path, command: str, arguments: list[str], brief: str
) -> None:
    """An impossible desired state is called wrongly: status 2, one error, nothing touched."""
    before = snapshot(apart)
    status, _, err = agent(apart, command, "--all-cards", *arguments)
    assert (status, brief in err, snapshot(apart) == before) == (2, True, True)


@pytest.mark.parametrize(
    "words", [["--card", "0000:01:00.0,0000:02:00.0"], ["--card=0000:01:00.0", "--card=0000:02:00"]]
)
def test_several_cards(apart: Path, agent: Any, words: list[str]) -> None:
    """Cards are named by repeating the option or with commas."""
    assert "0000:02:00.1 8086 293e vfio-pci" in agent(apart, "plan", *words)[1]


def test_unknown_option(apart: Path, agent: Any) -> None:
    """An unknown option leads to the help of its own command."""
    status, _, err = agent(apart, "inspect", "--bogus")
    assert (status, "See wholecard-host inspect --help" in err) == (2, True)


def test_wish_file(apart: Path, agent: Any, tmp_path: Path) -> None:
    """A desired state can be written in a file; options add to it."""
    file = tmp_path / "gpu-01.json"
    file.write_text(json.dumps({"cards": ["0000:01:00"], "hugepages": ["1G:4"]}))
    status, out, _ = agent(apart, "plan", "--desired", str(file), "--park", "0000:02:00.1")
    assert status == 0
    assert "hugepagesz=1G hugepages=4" in out
    assert "0000:00/03.0/00.1 0000:02:00.1 8086 293e pci-stub" in out
    assert "0000:02:00.0" not in out


def test_check_with_companion(apart: Path, agent: Any) -> None:
    """A companion that is named is not left behind (WC104)."""
    network = "0000:00:04.0"
    grow(apart, with_groups(bare(APART), {**GROUPS_APART, 10: [*GROUPS_APART[10], network]}))
    card = ("--card", "0000:01:00.0", "--json")
    assert "WC104" in agent(apart, "check", *card)[1]
    assert "WC104" not in agent(apart, "check", *card, "--companion", network)[1]


def test_image(apart: Path, agent: Any, tmp_path: Path) -> None:
    """An unpacked image is planned for with the facts of the host that it is for."""
    facts = tmp_path / "host.json"
    facts.write_text(agent(apart, "inspect", "--json")[1])
    for name in ("sys", "proc"):
        shutil.rmtree(apart / name)
    status, _, err = agent(apart, "plan", "--card", "0000:01:00.0")
    assert (status, "--facts" in err) == (2, True)
    status, out, _ = agent(apart, "apply", "--card", "0000:01:00.0", "--facts", str(facts))
    assert (status, "softdep snd_hda_intel" in out) == (0, True)
    again = agent(apart, "plan", "--card", "0000:01:00.0", "--facts", str(facts))
    assert again[:2] == (0, "Nothing to do: everything is as requested.\n")


@pytest.mark.parametrize("text", ["[]", "{", '{"schema": 1}', '{"schema": 2}'])
def test_bad_facts(apart: Path, agent: Any, tmp_path: Path, text: str) -> None:
    """Facts that are none are one error, called wrongly."""
    facts = tmp_path / "host.json"
    facts.write_text(text)
    status, _, err = agent(apart, "plan", "--all-cards", "--facts", str(facts))
    assert status == 2
    assert err.startswith("error: ")


def test_broken(apart: Path, agent: Any, calls: Path) -> None:
    """A tool that fails exits 3; status exits 1 and says where; apply again finishes."""
    (calls.parent / "calls.fail").touch()
    assert agent(apart, "apply", "--all-cards")[0] == 3
    status, out, _ = agent(apart, "status")
    assert (status, "stopped at:  run-tool update-initramfs" in out) == (1, True)
    assert agent(apart, "verify")[0] == 3
    (calls.parent / "calls.fail").unlink()
    status, out, _ = agent(apart, "apply", "--all-cards", "--json")
    data = json.loads(out)
    assert (status, data["journal"], data["applied"]) == (0, "0001", 2)


def test_rollback_to(apart: Path, agent: Any) -> None:
    """rollback --to undoes what came after a journal; an unknown one exits 2 and lists those."""
    before = snapshot(apart)
    agent(apart, "apply", "--card", "0000:01:00.0")
    agent(apart, "apply", "--all-cards")
    status, _, err = agent(apart, "rollback", "--to", "3")
    assert (status, "In effect: 0001, 0002." in err) == (2, True)
    status, out, _ = agent(apart, "rollback", "--to", "1", "--json")
    assert (status, json.loads(out)["journals"]) == (0, ["0002"])
    assert agent(apart, "rollback", "--to", "1")[:2] == (
        0,
        "No newer journal is applied: nothing was undone.\n",
    )
    assert agent(apart, "rollback", "--to", "0")[:2] == (
        0,
        "Journal 0001 is rolled back. Reboot.\n",
    )
    assert snapshot(apart) == before


def test_drift(apart: Path, agent: Any) -> None:
    """status exits 1 and shows the difference where a file was edited since; not for an image."""
    agent(apart, "apply", "--all-cards")
    grow(apart, {"boot/initrd.img-6.99": "a new kernel's"})
    status, out, _ = agent(apart, "status")
    assert (status, "  output /boot/initrd.img-6.99: new\n" in out) == (0, True)
    with (apart / "etc/wholecard/bind").open("a") as stream:
        stream.write("0000:09:00.0 1002 5046 vfio-pci\n")
    status, out, _ = agent(apart, "status")
    assert (status, "changed:     2 of 9 things since apply" in out) == (1, True)
    assert "    +0000:09:00.0 1002 5046 vfio-pci" in out
    agent(apart, "rollback", "--discard-edits")
    assert "The host was not rebooted after the rollback." not in agent(apart, "status")[1]


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """--help teaches how a host is prepared."""
    assert main(["--help"]) == 0
    assert "Exit status: 0 all is well" in capsys.readouterr().out


@pytest.mark.parametrize("command", sorted(COMMANDS))
@pytest.mark.parametrize("prog", ["wholecard-host", "wholecard host"])
def test_command_help(capsys: pytest.CaptureFixture[str], command: str, prog: str) -> None:
    """Each command's --help names it as it was called, with an example and its exit status."""
    assert main([command, "--help"], prog) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: {prog} {command} ")
    assert f"\n  {prog} {command}" in out
    assert "\nExit status: 0 " in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.usefixtures("ctrl_c")
def test_interrupted(apart: Path) -> None:
    """Ctrl-C ends a command with one word and status 130."""
    command_line = apart / "proc/cmdline"
    command_line.unlink()
    os.mkfifo(command_line)
    argv = [sys.executable, "-m", "wholecard.host.agent.cli", "inspect", "--root", str(apart)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ran:
        # It waits for what it reads; this waits until it reads.
        try:
            with command_line.open("w"):
                ran.send_signal(signal.SIGINT)
                ended = ran.communicate(timeout=60)
        finally:
            ran.kill()
    assert (ran.returncode, *ended) == (130, "", "interrupted\n")


def test_unheard(apart: Path) -> None:
    """Whoever stops reading, as `head` does, sees no error."""
    argv = [sys.executable, "-m", "wholecard.host.agent.cli", "inspect", "--root", str(apart)]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_left_alone(apart: Path) -> None:
    """An apply whose caller has gone, with the connection, goes on to its end."""
    argv = [sys.executable, "-m", "wholecard.host.agent.cli", "apply", "--all-cards"]
    reading, writing = os.pipe()
    os.close(reading)
    argv += ["--root", str(apart), "--json"]
    subprocess.run(argv, stdout=writing, stderr=writing, check=False, timeout=60)
    os.close(writing)
    assert status(apart, "boot-one")["state"] == journal.APPLIED


def test_check_without_cards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A host without cards is checked for itself: before a card is put in."""
    grow(tmp_path, bare(OWN))
    assert main(["check", "--root", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "WC101" in said.out
    assert "No GPU for passthrough found" in said.err


@pytest.mark.parametrize("words", [[], ["--json"], ["-f", "yaml"], ["-f", "csv"]])
def test_no_secret(apart: Path, agent: Any, tmp_path: Path, words: list[str]) -> None:
    """What inspect prints is without the secrets that --save takes out, in every format."""
    line = "quiet rd.iscsi.password=hunter2 netroot=iscsi:u:hunter2@h"
    grow(apart, {"proc/cmdline": line, "etc/default/grub": f'GRUB_CMDLINE_LINUX="{line}"\n',
                 "etc/modprobe.d/x.conf": "options x psk=hunter2\n"})  # fmt: skip
    assert "hunter2" not in agent(apart, "inspect", *words)[1]
    if words == ["--json"]:
        printed = agent(apart, "inspect", "--json")[1]
        agent(apart, "inspect", "--save", str(tmp_path / "host.tar"))
        assert b"hunter2" not in (tmp_path / "host.tar").read_bytes()
        assert main(["inspect", "--root", str(tmp_path / "host.tar"), "--json"]) == 0
        assert printed.count("REDACTED") == 7


UNSAFE = {
    "proc/cmdline": "root=/dev/vda1 ro pcie_acs_override=downstream\n",
    "etc/modprobe.d/unsafe.conf": "options vfio_iommu_type1 allow_unsafe_interrupts=1\n",
}


def test_warnings_before_apply(apart: Path, agent: Any) -> None:
    """`plan` and `apply` show the warnings of `check` that stay, before anything is changed."""
    grow(apart, UNSAFE)
    status, out, _ = agent(apart, "plan", "--all-cards")
    assert (status, out.count("WC129 warning"), out.count("WC162 warning")) == (0, 1, 1)
    assert not {"WC101", "WC103"} & {*out.split()}
    status, out, _ = agent(apart, "plan", "--all-cards", "--json")
    found = [(each["rule"], each["severity"]) for each in json.loads(out)["findings"]]
    assert (status, found) == (0, [("WC129", "warning"), ("WC162", "warning")])
    status, out, err = agent(apart, "apply", "--all-cards")
    assert status == 0
    assert out.index("WC162 warning") < out.index("Applied as journal 0001.")
    assert out.endswith("see above: WC129 (vfio_iommu_type1), WC162 (IOMMU).\n")
    assert "WC162" not in err
    status, out, err = agent(apart, "apply", "--all-cards", "--json")
    assert err.index("WC162 warning") < err.index("2 warnings")
    assert [each["rule"] for each in json.loads(out)["findings"]] == ["WC129", "WC162"]


def test_ids_stay(apart: Path, agent: Any) -> None:
    """A plan that leaves a binding by ids which takes another card says so, and is a finding."""
    grow(apart, {"etc/modprobe.d/vfio.conf": "options vfio-pci ids=1002:5046,8086:293e\n"})
    status, out, _ = agent(apart, "plan", "--card", "0000:01:00.0")
    assert status == 1
    assert "The plan does not change this." in out
    assert out.count("WC114 error 1002:5046") == 1
    status, out, _ = agent(apart, "plan", "--all-cards")
    assert (status, "WC114" in out) == (0, False)


def test_ids_stay_after_apply(apart: Path, agent: Any) -> None:
    """apply has the same findings as plan and the same status, the second time too.

    Its JSON has them beside what it did.
    """
    grow(apart, {"etc/modprobe.d/vfio.conf": "options vfio-pci ids=1002:5046,8086:293e\n"})
    card = ("--card", "0000:01:00.0")
    status, out, _ = agent(apart, "apply", *card)
    assert (status, out.count("WC114 error 1002:5046")) == (1, 1)
    assert "Applied as journal 0001." in out
    planned = json.loads(agent(apart, "plan", *card, "--json")[1])
    status, out, _ = agent(apart, "apply", *card, "--json")
    assert status == 1
    assert json.loads(out)["findings"] == planned["findings"] != []
    status, out, _ = agent(apart, "apply", "--all-cards", "--json")
    assert (status, json.loads(out)["findings"]) == (0, [])


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["paln"], "plan"),
        (["plan", "--al-cards"], "--all-cards"),
        (["check", "--crad=x"], "--card"),
    ],
    ids=["command", "option", "option with a value"],
)
def test_did_you_mean(words: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A word that is near to a right one is answered with that one."""
    assert main(words) == 2
    assert f"Did you mean '{meant}'?" in capsys.readouterr().err
