"""Facts that others wrote: every value is checked where it is read."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from support.production_host import production
from support.tree import grow
from wholecard.core import UsageError
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.saved import read_host, read_json
from wholecard.host.facts.snapshot import save

DEEP = "[" * 200_000


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `inspect --json` prints of a host with everything."""
    root = grow(tmp_path_factory.mktemp("facts"), production())
    return json.loads(json.dumps(inspect(root).to_json()))


def test_read(facts: Any, tmp_path: Path) -> None:
    """What inspect printed is the host again."""
    file = grow(tmp_path, {"host.json": json.dumps(facts)}) / "host.json"
    assert json.loads(json.dumps(read_json(file).to_json())) == facts


BAD = [
    (("functions", 0, "vendor"), "10dee"),
    (("functions", 0, "vendor"), 4318),
    (("functions", 0, "class_code"), "03000"),
    (("functions", 0, "driver"), "nouveau\ninstall vfio-pci /usr/bin/touch x #"),
    (("functions", 0, "driver"), "../../evil"),
    (("functions", 0, "driver_module"), "a b"),
    (("functions", 0, "modules"), ["nouveau", "x\ny"]),
    (("functions", 0, "modules"), "nouveau"),
    (("functions", 0, "path"), "0000:00/1f.2 0000:00:1f.2 8086 2922 vfio-pci\n0000:00/02.0"),
    (("functions", 0, "path"), "0000:00/../../x"),
    (("functions", 0, "modalias"), "pci:\x1b[2J"),
    (("functions", 0, "address"), "0000:01:00"),
    (("functions", 0, "address"), None),
    (("functions", 0, "numa_node"), [0]),
    (("functions", 0, "bars"), ["16M"]),
    (("functions", 0, "bars"), [True]),
    (("functions", 0, "link_speed"), "8.0"),
    (("functions", 0, "unknown"), 1),
    (("functions", 0), "function"),
    (("functions",), {"0": 1}),
    (("groups", 0, "functions", 0), "0000:ff:00.0"),
    (("groups", 0, "number"), "1"),
    (("groups", 0), []),
    (("groups_predicted",), 1),
    (("memory", "total"), "64 GiB"),
    (("memory", "total"), 1.5),
    (("memory", "nodes"), [[0]]),
    (("memory", "hugepages"), [{"size": 1}]),
    (("cpu", "nodes"), [[0, 5]]),
    (("cpu", "nodes"), [[0, "1," * 4000]]),
    (("boot", "release"), "../../etc"),
    (("boot", "release"), None),
    (("boot", "kernels"), [["6.1"]]),
    (("boot", "loader"), "grub\n"),
    (("iommu", "on"), None),
    (("settings", "files", 0, "path"), "/etc/../../x"),
    (("settings", "files", 0, "mode"), "0644"),
    (("uses",), None),
    (("schema",), [2]),
    (("unread",), [{}]),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), BAD)
def test_wrong_value(facts: Any, tmp_path: Path, path: tuple[Any, ...], value: Any) -> None:
    """A value of another type or form is refused in one line, and no other error comes."""
    data = copy.deepcopy(facts)
    member = data
    for key in path[:-1]:
        member = member[key]
    member[path[-1]] = value
    file = grow(tmp_path, {"host.json": json.dumps(data)}) / "host.json"
    with pytest.raises(UsageError) as caught:
        read_json(file)
    assert "\n" not in caught.value.details


@pytest.mark.parametrize("name", ["functions", "groups", "boot", "settings", "unread"])
def test_missing(facts: Any, tmp_path: Path, name: str) -> None:
    """A member that is missing is named."""
    data = {key: value for key, value in facts.items() if key != name}
    file = grow(tmp_path, {"host.json": json.dumps(data)}) / "host.json"
    with pytest.raises(UsageError) as caught:
        read_json(file)
    assert f"'{name}' is missing" in caught.value.details


@pytest.mark.parametrize(
    "text", ["", "[]", "null", DEEP, '{"a":' * 100_000, "1" * 100_000, '{"schema": NaN}', "\xff"]
)
def test_no_facts(tmp_path: Path, text: str) -> None:
    """What is no host's JSON, however deep or long, is refused."""
    file = grow(tmp_path, {"host.json": text.encode("latin-1")}) / "host.json"
    with pytest.raises(UsageError):
        read_json(file)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "huge", "nothing"])
def test_kind_of_file(tmp_path: Path, kind: str) -> None:
    """A pipe is not waited for and a device not read: what is not a plain file is refused."""
    file = tmp_path / "host.json"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "folder":
        file.mkdir()
    elif kind == "huge":
        file.touch()
        os.truncate(file, 1 << 40)
    with pytest.raises(UsageError, match="cannot read a host's facts"):
        read_json(file)


def test_pipe_of_a_shell(facts: Any) -> None:
    """`--facts <(ssh host wholecard-host inspect --json)` is read."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            with os.fdopen(writing, "w") as stream:
                json.dump(facts, stream)
        finally:
            os._exit(0)
    os.close(writing)
    try:
        host = read_json(Path(f"/dev/fd/{reading}"))
    finally:
        os.close(reading)
        os.wait()
    assert len(host.functions) == len(facts["functions"])


@pytest.mark.parametrize("name", ["host.json", "facts", "host.tar", "host.tar.gz"])
def test_either_kind(facts: Any, tmp_path: Path, name: str) -> None:
    """A file that is named as a snapshot is read as one, any other as JSON: the same host."""
    if ".tar" in name:
        save(grow(tmp_path / "root", production()), tmp_path / name)
    else:
        grow(tmp_path, {name: json.dumps(facts)})
    found = json.loads(json.dumps(read_host(tmp_path / name).to_json()))
    assert (found["functions"], found["groups"]) == (facts["functions"], facts["groups"])
