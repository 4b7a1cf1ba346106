"""The exporter as a program: it serves, it is killed, it writes a file whole or not at all."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from support.health_reports import answers, fleet_of, health
from support.promtool import promtool
from wholecard.core import UsageError, WholecardError
from wholecard.health.exporter.reading import Reading
from wholecard.health.exporter.request import (
    ServeRequest,
    Serving,
    serve,
    write_textfile,
)
from wholecard.health.request import HealthRequest

LOCAL = HealthRequest(local=True)


def scrape(port: int) -> str:
    """What the exporter on this port of loopback shows."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_serve() -> None:
    """It serves the newest reading until it is stopped, and then gives its port back."""
    seen: list[Serving] = []
    texts: list[str] = []

    def on_reading(_: Reading) -> None:
        texts.append(scrape(seen[0].port))
        seen[0].stopped.set()

    serve(ServeRequest(LOCAL, port=0), seen.append, on_reading)
    assert re.search(r'^wholecard_source_up{host=".+",source="host"} 1.0$', texts[0], re.M)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", seen[0].port), timeout=5)


def test_taken_port() -> None:
    """A port that somebody has is named, with the option for another one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(WholecardError, match=f"cannot listen on 127.0.0.1:{port}") as raised:
            serve(ServeRequest(LOCAL, port=port))
    assert "--port" in raised.value.resolution


def test_nothing_to_read() -> None:
    """Without a host and a cloud there is nothing to serve."""
    with pytest.raises(UsageError, match="nothing is to be read"):
        serve(ServeRequest(HealthRequest()))


def test_textfile(tmp_path: Path) -> None:
    """The file has the metrics, is readable by others, and nothing lies beside it."""
    file = tmp_path / "wholecard.prom"
    file.write_text("before")
    write_textfile(LOCAL, file)
    assert "wholecard_source_up" in file.read_text()
    assert promtool("check", "metrics", stdin=file.read_text()).status == 0
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]


def test_textfile_of_another_name(tmp_path: Path) -> None:
    """A name that node_exporter does not read is refused, and a missing folder named."""
    with pytest.raises(UsageError, match=r"does not end in \.prom"):
        write_textfile(LOCAL, tmp_path / "metrics.txt")
    with pytest.raises(WholecardError, match="cannot write"):
        write_textfile(LOCAL, tmp_path / "gone/wholecard.prom")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
@pytest.mark.usefixtures("ctrl_c")
def test_killed_while_it_reads(tmp_path: Path, number: signal.Signals) -> None:
    """A signal ends it at once with status 0, also while a host does not answer; no ssh stays."""
    fleet = fleet_of(tmp_path / "fleet", "gpu-01", "gpu-02")
    answers(fleet, "gpu-01", health())
    (fleet.home("gpu-02") / "instead").write_text("cat > read; echo $$ > pid; exec sleep 300")
    words = ("exporter", "--on", "gpu-01,gpu-02", "--port", "0")
    with fleet.start(*words) as process:
        pid = _when_written(fleet.home("gpu-02") / "pid", process)
        process.send_signal(number)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 0, told
    assert told.splitlines()[-1] == "stopped"
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    """Whether the process lives; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _when_written(file: Path, process: subprocess.Popen[str]) -> int:
    """The number in the file, as soon as it is there."""
    deadline = time.monotonic() + 60
    while not (file.exists() and file.read_text().strip()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the host was never asked"
        time.sleep(0.05)
    return int(file.read_text())
