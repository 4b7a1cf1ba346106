"""Real file systems that are full or read-only, in a mount namespace of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.transactions import Node, without_times
from wholecard.core import WholecardError
from wholecard.host.changing import journal
from wholecard.host.changing.apply import finish
from wholecard.host.changing.rollback import rollback

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

DISK = """
import sys
from pathlib import Path
import pytest
from test_full_disk import full_disk, read_only
with pytest.MonkeyPatch.context() as monkeypatch:
    {"full": full_disk, "read-only": read_only}[sys.argv[2]](Path(sys.argv[1]), monkeypatch)
"""


@AS_ROOT
@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_real_disk(tmp_path: Path, kind: str) -> None:
    """On a real full or read-only file system apply and rollback fail clearly and go on after."""
    tests = Path(__file__).parents[2]
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-B", "-c", DISK, str(tmp_path), kind],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": f"{tests}:{tests / 'host/changing'}:{os.getenv('PYTHONPATH', '')}",
        },
    )
    if "Operation not permitted" in done.stderr and "mount" in done.stderr:
        pytest.skip("no mount namespaces here")
    assert done.returncode == 0, done.stderr


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def full_disk(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a mount namespace: the root is a small file system that somebody fills, to the page.

    At each amount of free room the host stands somewhere known, and all goes on with room again.
    """
    node_place = place / "disk"
    node_place.mkdir()
    mount("-t", "tmpfs", "-o", "size=4M", "tmpfs", str(node_place))
    node = Node(node_place, monkeypatch)
    monkeypatch.setattr(
        "wholecard.host.changing.apply.refuse_without_room", lambda *arguments: None
    )
    before = node.seen()
    node.apply()
    after = without_times(node.seen())
    rollback(node.root)
    node.forget()
    failed = 0
    for pages in range(40):
        filler = fill(node_place, pages)
        failed += refused(node.apply, r"No space left|failed with status")
        node.status()
        filler.unlink()
        if finish(node.root) is None and journal.newest(node.root) is None:
            node.apply()
        assert without_times(node.seen()) == after
        filler = fill(node_place, pages // 8)
        if journal.newest(node.root) is not None:
            refused(lambda: rollback(node.root), r"No space left|failed with status")
        filler.unlink()
        if journal.newest(node.root) is not None:
            rollback(node.root)
        assert node.seen() == before
        node.forget()
    assert 4 < failed < 40


def refused(run: Callable[[], object], match: str) -> bool:
    """Whether it raised; then it was this error, with a resolution."""
    try:
        run()
    except WholecardError as error:
        return bool(re.search(match, str(error)) and error.resolution) or pytest.fail(str(error))
    return False


def fill(place: Path, pages: int) -> Path:
    """Fill a file system until no page is free, then free so many."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"x" * 4096)
        except OSError:
            size = stream.tell()
        stream.truncate(max(0, size - pages * 4096))
    return filler


def read_only(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a mount namespace: /etc is mounted read-only, then /boot."""
    node = Node(place, monkeypatch)
    before = node.seen()
    for folder in ("etc", "boot", "var"):
        target = str(node.root / folder)
        mount("--bind", target, target)
        mount("-o", "remount,bind,ro", target)
        with pytest.raises(WholecardError, match=r"Read-only|failed with status") as caught:
            node.apply()
        assert caught.value.resolution
        subprocess.run(["umount", target], check=True)
        if journal.newest(node.root) is not None:
            rollback(node.root)
        assert node.seen() == before
        node.apply()
        mount("--bind", target, target)
        mount("-o", "remount,bind,ro", target)
        with pytest.raises(WholecardError, match="Read-only"):
            rollback(node.root)
        subprocess.run(["umount", target], check=True)
        rollback(node.root)
        assert node.seen() == before
        node.forget()
