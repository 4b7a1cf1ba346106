"""`openstack gpu …` in openstackclient's own shell, against a server that answers as APIs do."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstackclient.shell import OpenStackShell

from support.capacity_stock import ALIAS, CLASS
from support.moving_cloud import COMPUTE, MovingCloud, give_trait, moving_cloud
from support.openstack_api import PASSWORD, serving


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MovingCloud]:
    """Two hosts with two cards each, a server on the first, and OS_CLOUD that names the cloud."""
    monkeypatch.setenv("OS_CLOUD", "test")
    monkeypatch.delenv("WHOLECARD_DATABASES", raising=False)
    with serving(tmp_path) as api:
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(api.clouds))
        cloud = moving_cloud(api)
        cloud.add("train", "gpu-01")
        api.answers[f"GET {COMPUTE}/flavors/detail"] = (200, {"flavors": [
            {"id": "1", "name": "g1", "vcpus": 4, "ram": 8192, "disk": 0, "swap": "",
             "OS-FLV-EXT-DATA:ephemeral": 0, "extra_specs": {"pci_passthrough:alias": "h100:1"}}
        ]})  # fmt: skip
        yield cloud


@pytest.fixture
def conf(tmp_path: Path) -> str:
    """nova-api's configuration with the alias, as `--conf` names it."""
    (tmp_path / "api.conf").write_text(f"[pci]\nalias = {ALIAS}\n")
    return f"--conf=api={tmp_path / 'api.conf'}"


def run(*words: str) -> int:
    """The exit status of `openstack gpu` with these words."""
    return OpenStackShell().run(["gpu", *words])


def rows(capsys: pytest.CaptureFixture[str]) -> Any:
    """What was printed as JSON; the password is nowhere in it."""
    out, err = capsys.readouterr()
    assert PASSWORD not in out + err
    return json.loads(out)


def test_card_list(cloud: MovingCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """The cards with class, traits, state and server, in cliff's formats and columns."""
    give_trait(cloud.api, cloud.cards("gpu-01")[0], "CUSTOM_NVLINK", "OWNER_NOVA")
    (server,) = cloud.servers
    assert run("card", "list", "-f", "json", "--sort-column", "State") == 0
    found = rows(capsys)
    assert [row["State"] for row in found] == ["free", "free", "free", "given"]
    assert found[-1] == {
        "Host": "gpu-01", "Card": "0000:41:00.0", "Resource Class": CLASS,
        "Traits": ["CUSTOM_NVLINK"], "State": "given", "Servers": [server],
    }  # fmt: skip
    assert run("card", "list", "--state", "given", "--long", "-f", "csv", "-c", "Host",
               "-c", "Server Names", "-c", "Free") == 0  # fmt: skip
    assert list(csv.reader(capsys.readouterr().out.splitlines())) == [
        ["Host", "Server Names", "Free"], ["gpu-01", "['train']", "0"],
    ]  # fmt: skip


def test_hosts(cloud: MovingCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """`--host` leaves the others out; one that nobody knows is an error with our status."""
    assert run("card", "list", "--host", "gpu-02", "-f", "value", "-c", "Card") == 0
    assert capsys.readouterr().out.split() == ["0000:41:00.0", "0000:42:00.0"]
    assert run("card", "list", "--host", "gpu-09") == 2
    assert "gpu-09" in capsys.readouterr().err


def test_text_of_the_cloud(cloud: MovingCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """A server's name cannot command the terminal."""
    next(iter(cloud.servers.values())).name = "a\x1b[2Jb"
    assert run("card", "list", "--long", "--state", "given") == 0
    assert "\x1b" not in capsys.readouterr().out


def test_capacity(cloud: MovingCloud, conf: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each type, host or flavor: the figures of `wholecard capacity`."""
    assert run("capacity", "-f", "json", conf) == 0
    (of_type,) = rows(capsys)
    assert (of_type["Total"], of_type["Given"], of_type["Free"]) == (4, 1, 3)
    assert run("capacity", "--by", "host", "-f", "json", conf) == 0
    assert [(row["Host"], row["Free"]) for row in rows(capsys)] == [("gpu-01", 1), ("gpu-02", 2)]
    assert run("capacity", "--by", "flavor", "-f", "json", conf) == 0
    assert [(row["Flavor"], row["Fit"], row["Not Counted"]) for row in rows(capsys)] == [
        ("g1", 3, ""),
    ]  # fmt: skip


def test_capacity_without_aliases(cloud: MovingCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Without nova's aliases no flavor is counted, which is status 4 as with `wholecard`."""
    assert run("capacity", "--by", "flavor", "-f", "json") == 4
    (flavor,) = rows(capsys)
    assert flavor["Fit"] is None
    assert "aliases" in flavor["Not Counted"]


def test_explain(cloud: MovingCloud, conf: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer in one field, causes with their fixes in another; the status says which it is."""
    path = f"GET {COMPUTE}/flavors/1"
    listed: Any = cloud.api.answers[f"GET {COMPUTE}/flavors/detail"]
    flavor = listed[1]["flavors"][0]
    flavor["extra_specs"] = {"pci_passthrough:alias": "a100:1"}
    cloud.api.answers |= {
        path: (200, {"flavor": flavor}),
        f"GET {COMPUTE}/flavors/g1": (404, {"itemNotFound": {"message": "no", "code": 404}}),
    }
    assert run("explain", "--flavor", "g1", conf, "-f", "json") == 1
    data = rows(capsys)
    assert [finding["rule"] for finding in data["findings"]] == ["WC303"]
    assert data["release"] == "2025.1"
    assert run("explain", "--flavor", "g1", conf, "-f", "value", "-c", "findings") == 1
    assert "WC303" in capsys.readouterr().out
    assert run("explain") == 2
    assert "explain needs a server or a flavor" in capsys.readouterr().err
    assert run("explain", "--flavor", "g1", "--host", "gpu-09", conf) == 2
    assert "(--os-cloud NAME)" in capsys.readouterr().err


def test_audit(cloud: MovingCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """What disagrees, and what could not be read, which is status 4."""
    assert run("audit", "--no-wait", "-f", "json") == 4
    assert {row["Rule"] for row in rows(capsys)} == {"WC550"}
    give_trait(cloud.api, cloud.cards("gpu-01")[0], "COMPUTE_MANAGED_PCI_DEVICE")
    (server,) = cloud.servers
    cloud.servers.clear()
    assert run("audit", "--wait", "0", "-f", "json") == 1
    gone = [row for row in rows(capsys) if row["Severity"] == "error"]
    assert [(row["Rule"], row["Host"], row["Server"]) for row in gone] == [
        ("WC520", "gpu-01", server),
    ]  # fmt: skip


def test_refused_login(cloud: MovingCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """openstackclient says itself that the login was refused, and the password is not in it."""
    cloud.api.answers["POST /v3/auth/tokens"] = (401, {"error": {"message": "no", "code": 401}})
    assert run("card", "list") == 1
    assert PASSWORD not in "".join(capsys.readouterr())


def test_api_that_fails(cloud: MovingCloud, capsys: pytest.CaptureFixture[str]) -> None:
    """An API's failure is said as everywhere in Wholecard, and ends with 3."""
    cloud.api.answers[f"GET {COMPUTE}/os-hypervisors/detail"] = (403, {"forbidden": {"code": 403}})
    assert run("card", "list") == 3
    assert "it is not allowed" in capsys.readouterr().err


def test_openrc(
    cloud: MovingCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The variables of an openrc file name the cloud, as for every `openstack` command."""
    for name in ("OS_CLOUD", "OS_CLIENT_CONFIG_FILE"):
        monkeypatch.delenv(name)
    for name, value in {
        "OS_AUTH_URL": f"{cloud.api.url}/v3", "OS_USERNAME": "admin", "OS_PASSWORD": PASSWORD,
        "OS_PROJECT_NAME": "admin", "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default", "OS_COMPUTE_API_VERSION": "2.79",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert run("card", "list", "-f", "json") == 0
    assert len(rows(capsys)) == 4


def test_program(cloud: MovingCloud) -> None:
    """The program `openstack` finds the commands by the package's entry points."""
    program = Path(sys.executable).with_name("openstack")
    words = ["--os-cloud", "test", "gpu", "card", "list", "-f", "value", "-c", "State"]
    ran = subprocess.run(
        [program, *words], capture_output=True, text=True, timeout=100, check=False
    )
    assert (ran.returncode, ran.stdout.split()) == (0, ["given", "free", "free", "free"]), (
        ran.stderr
    )
