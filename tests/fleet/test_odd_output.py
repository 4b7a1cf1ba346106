"""What a host prints that no agent prints: it is that host's answer, and no other's."""

from __future__ import annotations

import hashlib
import json
import sys

import pytest

from support.fleets import FakeFleet
from wholecard.core import run
from wholecard.core.program import RunError, TooMuchOutputError
from wholecard.fleet.host_result import HostResult
from wholecard.host.agent.zipapp import agent_bytes

DEEP = ["[" * 200_000, "[" * 900 + "]" * 900, "1" * 10_000, "NaN", "{"]


@pytest.mark.parametrize("output", DEEP)
def test_json(output: str) -> None:
    """What cannot be read as JSON, or not be written again, is given as text beside the others'."""
    results = [HostResult("a", 0, output), HostResult("b", 0, '{"x": [1]}')]
    data = json.loads(json.dumps({"hosts": {row.host: row.to_json() for row in results}}, indent=2))
    assert data["hosts"]["b"]["output"] == {"x": [1]}
    assert data["hosts"]["a"]["output"] == output or output.endswith("]")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("watched", [False, True])
def test_endless(stream: str, watched: bool) -> None:
    """A program that prints without end is ended and named, with little of it kept."""
    script = f"import sys\nwhile True: sys.{stream}.write('y' * 65536)"
    heard: list[str] = []
    with pytest.raises(TooMuchOutputError, match="printed more than 1 MiB"):
        run([sys.executable, "-c", script], timeout=60, limit=1 << 20,
            watch=heard.append if watched else None)  # fmt: skip


def test_within() -> None:
    """What is as long as the limit is kept whole, of both outputs, and input still gets through."""
    script = (
        "import sys; data = sys.stdin.read(); sys.stdout.write(data); sys.stderr.write(data[::-1])"
    )
    text = "ab" * 500_000
    result = run([sys.executable, "-c", script], timeout=60, stdin=text, limit=len(text))
    assert (result.stdout, result.stderr) == (text, text[::-1])
    with pytest.raises(RunError):
        run([sys.executable, "-c", script], timeout=60, stdin=text, limit=len(text) - 1)


def says(fleet: FakeFleet, host: str, script: str) -> None:
    """The host's agent, or what stands in its place, runs this script."""
    name = f"wholecard-host-{hashlib.sha256(agent_bytes()).hexdigest()[:16]}"
    text = f"cat > /dev/null; echo {name}; echo {name} >&2; {script}"
    (fleet.home(host) / "instead").write_text(text)


@pytest.mark.parametrize("hosts", ["gpu-01", "gpu-01,gpu-02"])
@pytest.mark.parametrize("status", [0, 1, 3])
def test_terminal(fleet: FakeFleet, hosts: str, status: int) -> None:
    """What a host prints commands nobody's terminal, whether one host answers or several."""
    escape = r"printf '\033]52;c;ZXZpbA==\007\033[2Jcard 0000:01:00\n'"
    for host in ("gpu-01", "gpu-02"):
        says(fleet, host, f"{escape}; {escape} >&2; exit {status}")
    ran = fleet.run("--on", hosts, "inspect")
    assert ran.status == status
    assert "card 0000:01:00" in ran.stdout
    assert "\x1b" not in ran.stdout + ran.stderr


def test_deep_json_of_one(fleet: FakeFleet) -> None:
    """Odd JSON of one host leaves the answers of the others."""
    says(fleet, "gpu-01", f"{sys.executable} -c 'print(\"[\" * 200000)'; exit 0")
    says(fleet, "gpu-02", "echo '{\"functions\": []}'; exit 0")
    ran = fleet.run("--on", "gpu-01,gpu-02", "inspect", "--json")
    hosts = json.loads(ran.stdout)["hosts"]
    assert hosts["gpu-02"]["output"] == {"functions": []}
    assert hosts["gpu-01"]["output"].startswith("[[[")


def test_endless_host(fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that prints without end has an error of its own, and the others their answers."""
    monkeypatch.setattr("wholecard.fleet.fleet.OUTPUT_LIMIT", 1 << 20)
    says(fleet, "gpu-01", f"exec {sys.executable} -c 'while True: print(\"y\" * 65536)'")
    says(fleet, "gpu-02", "echo '{}'; exit 0")
    ran = fleet.run("--on", "gpu-01,gpu-02", "inspect", "--json")
    hosts = json.loads(ran.stdout)["hosts"]
    assert hosts["gpu-02"]["output"] == {}
    assert "printed more than 1 MiB" in hosts["gpu-01"]["error"]["brief"]
    assert ran.status == 3
