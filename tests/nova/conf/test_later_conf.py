"""Files that are parsed later say the same, and which of them are alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.tree import grow
from wholecard.core import UsageError
from wholecard.nova.conf.later_conf import LaterConf, read_later
from wholecard.nova.conf.service_conf import NovaConf

ONE = "[DEFAULT]\nmy_ip = 10.0.0.1\nhost=gpu-01\n[pci]\ndevice_spec = {}\n"


def later(folder: Path, text: str, name: str = "nova.conf") -> LaterConf:
    """The one file of a service."""
    conf = read_later([grow(folder, {name: text}) / name], "compute")
    assert isinstance(conf, LaterConf)
    return conf


def test_same_as_read_at_once(tmp_path: Path) -> None:
    """Entries and their positions are those of the parser that reads at once."""
    conf = later(tmp_path, ONE)
    at_once = NovaConf.read([tmp_path / "nova.conf"], "compute")
    assert list(map(str, conf.entries)) == list(map(str, at_once.entries))
    assert conf.find("pci", "device_spec")[0].value == "{}"


def test_folder(tmp_path: Path) -> None:
    """Of a folder the files that the service reads are read, in its order."""
    grow(tmp_path, {"nova.conf": ONE, "nova.conf.d/a.conf": "[pci]\nalias = {}\n"})
    conf = read_later([tmp_path], "compute")
    assert [entry.name for entry in conf.entries] == ["my_ip", "host", "device_spec", "alias"]


def test_missing(tmp_path: Path) -> None:
    """A missing file is refused when it is read, with the words of the other reader."""
    with pytest.raises(UsageError, match="is not a file"):
        read_later([tmp_path / "nova.conf"])


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        (ONE, True),
        (ONE.replace("10.0.0.1", "10.0.0.22").replace("gpu-01", "gpu-02"), True),
        (ONE.replace("device_spec", "device_spek"), False),
        (ONE.replace("{}", '{"address": "$my_ip"}'), False),
        (ONE.replace("\n[pci]", "\n\n[pci]"), False),
        (ONE.replace("my_ip", "my_ip2"), False),
    ],
    ids=["same", "own", "other option", "reference", "other lines", "longer name"],
)
def test_kind(tmp_path: Path, text: str, alike: bool) -> None:
    """Files are alike where nothing differs but the host's own name and addresses."""
    conf, other = later(tmp_path, ONE), later(tmp_path, text, "other.conf")
    assert (conf.kind == other.kind) is alike


def test_elsewhere(tmp_path: Path) -> None:
    """The same files can be read as if they had another path."""
    conf = later(tmp_path, ONE).at(["/x.conf"])
    assert [str(entry) for entry in conf.find("pci", "device_spec")] == [
        "/x.conf:5 [pci] device_spec",
    ]  # fmt: skip
