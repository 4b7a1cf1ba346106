"""Damaged journals are noticed before anything is touched."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.transactions import Node, fast_folder
from support.tree import snapshot
from wholecard.core import WholecardError
from wholecard.host.changing import journal
from wholecard.host.changing.rollback import rollback
from wholecard.transaction.checksummed import pack


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A small host in memory."""
    for place in fast_folder(tmp_path):
        yield Node(place, monkeypatch)


@pytest.mark.parametrize("name", ["plan.json", "before/index.json", "log.jsonl", "before/000"])
@pytest.mark.parametrize(
    "garbage",
    [b"", b"\0" * 40 + b"\n", b"[]\n", b"{}\n", b'{"event": "done"}\n', b"\xff\xfe\n", b"{" * 3000],
)
def test_garbage(node: Node, name: str, garbage: bytes) -> None:
    """A damaged journal is one clear error with its resolution, and nothing is touched."""
    node.apply()
    place = journal.entries(node.root)[0].directory / name
    place.write_bytes(garbage)
    if name == "log.jsonl" and b"\n" not in garbage:
        # Nothing, or half a record: that is what a kill leaves.
        assert journal.newest(node.root) is not None
        return
    before = snapshot(node.root)
    with pytest.raises(WholecardError, match=r"damaged|cannot read") as caught:
        rollback(node.root)
    assert "Restore the journal's folder" in caught.value.resolution
    assert snapshot(node.root) == before
    if name in ("plan.json", "log.jsonl"):
        with pytest.raises(WholecardError, match=r"damaged|cannot read"):
            node.status()


@pytest.mark.parametrize("name", ["plan.json", "before/index.json"])
def test_flipped_byte(node: Node, name: str) -> None:
    """A byte that is not what was written is noticed, wherever it is, or changes no meaning."""
    node.apply()
    (entry,) = journal.entries(node.root)
    place = entry.directory / name
    data = place.read_bytes()
    sound = (entry.read(), entry.backup())
    tried = 0
    for at in range(0, len(data), 7):
        place.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        # A space that became another white space, say.
        with contextlib.suppress(WholecardError):
            assert (entry.read(), entry.backup()) == sound
        tried += 1
    assert tried > 100


@pytest.mark.parametrize(
    ("op", "field", "value"),
    [
        ("bind-driver", "driver", "../../../tmp/x"),
        ("bind-driver", "former_driver", "a/b"),
        ("bind-driver", "address", "0000:01"),
        ("load-module", "module", "-r\nx"),
        ("run-tool", "argv", []),
        ("run-tool", "outputs", ["/boot/../../x"]),
        ("write-file", "path", "/etc/../../x"),
    ],
)
def test_strange_values(node: Node, op: str, field: str, value: Any) -> None:
    """A plan that was written with its checksum and has no driver, module or path is damaged."""
    node.apply()
    file = journal.entries(node.root)[0].directory / "plan.json"
    data = json.loads(file.read_text())
    del data["sum"]
    next(row["do"] for row in data["plan"]["actions"] if row["do"]["op"] == op)[field] = value
    file.write_bytes(pack(data))
    before = snapshot(node.root)
    with pytest.raises(WholecardError, match="is damaged"):
        rollback(node.root)
    assert snapshot(node.root) == before


@pytest.mark.parametrize("name", ["plan.json", "before/index.json", "log.jsonl", "before/000"])
def test_pipe(node: Node, name: str) -> None:
    """A journal's file that is a pipe, or a link, is neither waited for nor followed."""
    node.apply()
    file = journal.entries(node.root)[0].directory / name
    data = file.read_bytes()
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(WholecardError):
        rollback(node.root)
    file.unlink()
    file.symlink_to(node.root.parent / "elsewhere")
    (node.root.parent / "elsewhere").write_bytes(data)
    with pytest.raises(WholecardError):
        rollback(node.root)
