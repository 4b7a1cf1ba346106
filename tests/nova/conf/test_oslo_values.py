"""nova's files read by oslo.config: what it would wait for, or fall over, is one error of ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wholecard.core import WholecardError
from wholecard.nova.conf.oslo_values import read_values
from wholecard.nova.options import by_name
from wholecard.nova.render.managed_files import without_ours

CIRCLES = [
    "[filter_scheduler]\nenabled_filters = $enabled_filters\n",
    "[filter_scheduler]\nenabled_filters = ${filter_scheduler.enabled_filters}\n",
    "[filter_scheduler]\nenabled_filters = ${scheduler.max_attempts}\n"
    "[scheduler]\nmax_attempts = ${filter_scheduler.enabled_filters}\n",
    "x\n",
    "[pci\nalias = 1\n",
]


@pytest.mark.parametrize("text", CIRCLES)
def test_refused(tmp_path: Path, text: str) -> None:
    """A value that refers to itself, and what is no configuration, is refused."""
    (tmp_path / "nova.conf").write_text(text)
    with pytest.raises(WholecardError, match="cannot read nova's configuration"):
        read_values([tmp_path / "nova.conf"], 32)


@pytest.mark.parametrize(
    ("others", "written", "read"),
    [
        ("", "$my_ip", "$my_ip"),
        ("[DEFAULT]\nmy_ip = 10.0.3.1\n", "$my_ip", "10.0.3.1"),
        ("", "${api_database.connection}", "$api_database.connection"),
        ("[api_database]\nconnection = x\n", "${api_database.connection}", "x"),
        ("[DEFAULT]\nmy_ip = $host\n", "a-$my_ip", "a-$host"),
    ],
)
def test_names_that_are_nova_s(tmp_path: Path, others: str, written: str, read: str) -> None:
    """A value with the name of an option that only nova knows is read, as far as files say it."""
    file = tmp_path / "nova.conf"
    file.write_text(f"{others}[libvirt]\nlive_migration_inbound_addr = {written}\n")
    values = read_values([file], 34)
    assert values[by_name("live_migration_inbound_addr")] == (read,)


@pytest.mark.parametrize("kind", ["pipe", "device", "huge", "folder"])
def test_kind_of_file(tmp_path: Path, kind: str) -> None:
    """What is no plain file, or huge, is not opened."""
    file = tmp_path / "nova.conf"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "folder":
        file.mkdir()
    else:
        file.touch()
        os.truncate(file, 1 << 40)
    with pytest.raises(WholecardError, match="cannot read nova's configuration"):
        read_values([file], 32)
    assert without_ours([file]) == [file]
