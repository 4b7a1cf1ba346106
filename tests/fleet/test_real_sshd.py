"""The fleet by a real ssh and a real sshd, which answers on a pipe: no port, no daemon."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.commands import Ran, wholecard
from support.nodes import APART, bare
from support.tree import grow

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """ssh's configuration for gpu-01, whose user is the tests' and whose home is empty."""
    if SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("no OpenSSH server here")
    for key in ("user", "host"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / key)]
        subprocess.run(argv, check=True, timeout=60)
    grow(tmp_path, {
        "home/": "",
        "programs/python3": (f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', 0o755),
        "authorized": ((tmp_path / "user.pub").read_text(), 0o600),
        "known": f"gpu-01 {(tmp_path / 'host.pub').read_text()}",
        "sshd.conf": f"HostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/authorized\n"
                     "UsePAM no\nStrictModes no\nPermitRootLogin yes\nPidFile none\n"
                     f"SetEnv HOME={tmp_path}/home PATH={tmp_path}/programs:/usr/bin:/bin\n",
        "ssh.conf": f"Host gpu-01\nProxyCommand {SSHD} -i -f {tmp_path}/sshd.conf\n"
                    f"User {pwd.getpwuid(os.getuid()).pw_name}\nIdentityFile {tmp_path}/user\n"
                    f"IdentitiesOnly yes\nUserKnownHostsFile {tmp_path}/known\n",
        "root/": "",
    })  # fmt: skip
    grow(tmp_path / "root", bare(APART))
    config = tmp_path / "ssh.conf"
    argv = ["ssh", "-F", str(config), "-o", "BatchMode=yes", "gpu-01", "true"]
    tried = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    if tried.returncode:
        pytest.skip(f"sshd lets this user not in: {tried.stderr.strip()}")
    return config


def on_host(config: Path, *words: str) -> Ran:
    """A command on gpu-01."""
    return wholecard("--ssh-config", str(config), "--on", "gpu-01", *words, timeout=100)


def test_real_ssh(config: Path, tmp_path: Path) -> None:
    """The same answer comes through a real ssh as here; the agent is sent once."""
    words = ("inspect", "--json", "--root", str(tmp_path / "root"))
    for _ in range(2):
        ran = on_host(config, *words)
        assert (ran.status, ran.stderr) == (0, "")
        assert json.loads(ran.stdout) == json.loads(wholecard(*words).stdout)
    (agent,) = (tmp_path / "home/.cache/wholecard").iterdir()
    assert agent.stat().st_mode & 0o777 == 0o700


def test_words_by_real_ssh(config: Path, tmp_path: Path) -> None:
    """No shell on the way takes a word apart."""
    hostile = f"it's $(touch {tmp_path}/hacked); `id` \\ \" * ~ & | >"
    ran = on_host(config, "host", "plan", "--json", "--card", hostile, "--root", "root")
    here = wholecard("host", "plan", "--json", "--card", hostile, "--root", "root")
    assert (ran.status, ran.stdout, ran.stderr) == (2, here.stdout, here.stderr)
    assert not (tmp_path / "hacked").exists()


def test_unknown_key(config: Path, tmp_path: Path) -> None:
    """A host whose key is not known is refused by ssh, and nothing is added to known_hosts."""
    (tmp_path / "known").write_text("")
    ran = on_host(config, "inspect")
    assert ran.status == 3
    assert "gpu-01: ssh does not reach it" in ran.stderr
    assert "Host key verification failed" in ran.stderr
    assert (tmp_path / "known").read_text() == ""
