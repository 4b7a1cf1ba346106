"""`wholecard prove`: what it prints, writes and ends with."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.openstack_api import PASSWORD, serving
from support.proof_cloud import H100, VIRTIO, ProofCloud, honest, proof_cloud
from wholecard.cli.app import run_app


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[ProofCloud]:
    """A cloud whose guests report one H100."""
    with serving(tmp_path) as api:
        yield proof_cloud(api)


def run(cloud: ProofCloud, *more: str) -> int:
    """The exit status of the command; no server is left."""
    where = ["--cloud", "test", "--clouds-file", str(cloud.api.clouds)]
    status = run_app(["prove", "--flavor", "gpu", "--image", "debian", *where, *more])
    assert cloud.running == []
    return status


def test_proved(cloud: ProofCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A proof prints the card's line and ends with 0; page and JUnit XML are written."""
    page, junit = tmp_path / "report.html", tmp_path / "junit.xml"
    assert run(cloud, "-o", str(page), "--junit", str(junit)) == 0
    out, err = capsys.readouterr()
    assert "h100    10de:2330  0000:01:00.0  nvidia" in out
    assert "proved: 1 of 1 server" in out
    assert "ACTIVE, console 1." in err
    assert "H100" in page.read_text()
    assert ET.parse(junit).getroot().get("failures") == "0"
    assert PASSWORD not in out + err + page.read_text() + junit.read_text()


def test_one_host(cloud: ProofCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """--host proves the host that is named, and says so."""
    assert run(cloud, "--host", "gpu-02", "--availability-zone", "gpus") == 0
    out = capsys.readouterr().out
    assert "image debian; host gpu-02" in out
    assert "ACTIVE on gpu-02" in out


def test_not_proved_as_json(cloud: ProofCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """A guest without its card ends with 1, and standard output is JSON alone."""
    cloud.guests = [honest(VIRTIO)]
    assert run(cloud, "--json") == 1
    data = json.loads(capsys.readouterr().out)
    assert [finding["rule"] for finding in data["servers"][0]["findings"]] == ["WC401"]


@pytest.mark.parametrize(
    "words",
    [["--image", ""], ["--count", "0"], ["--containers", "101"], ["--flavor", "other"],
     ["--container-image", "$(x)"], ["--num-bodies", "99999999", "--bench"],
     ["--availability-zone", "gpus:gpu-01"], ["--host", "gpu-09"],
     ["-o", "/no/such/folder/x.html"], ["--site", "/no/such.yaml"]],
)  # fmt: skip
def test_called_wrongly(cloud: ProofCloud, words: list[str]) -> None:
    """A wrong call ends with 2, and nothing boots."""
    assert run(cloud, *words) == 2
    assert cloud.servers == {}


def test_explained(cloud: ProofCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """A server in ERROR is explained where that can be read; a cloud that refuses hides nothing."""
    cloud.statuses, cloud.fault = ["ERROR"], "No valid host was found."
    assert run(cloud) == 1
    out = capsys.readouterr().out
    assert "WC409" in out
    assert "No valid host was found." in out


def test_clean(cloud: ProofCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """--clean deletes kept servers of proofs alone, and needs neither flavor nor image."""
    where = ["--cloud", "test", "--clouds-file", str(cloud.api.clouds)]
    assert run_app(["prove", "--flavor", "gpu", "--image", "debian", "--keep", *where]) == 0
    (kept,) = cloud.running
    cloud.add("theirs", {}, {})
    capsys.readouterr()
    assert run_app(["prove", "--clean", *where]) == 0
    assert kept in capsys.readouterr().out
    assert cloud.running == ["theirs"]


def test_the_nonce_is_not_shown(cloud: ProofCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing that is printed during a run would help another guest to forge its report."""
    cloud.guests = [honest(VIRTIO, H100)]
    assert run(cloud) == 0
    (server,) = cloud.servers.values()
    out, err = capsys.readouterr()
    assert server.nonce not in out + err
