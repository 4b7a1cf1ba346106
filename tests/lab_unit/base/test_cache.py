"""The cache: whole entries, built once, whatever happens on the way."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.tree import grow, snapshot
from wholecard.lab.base import cache
from wholecard.lab.base.errors import LabError

FORK = multiprocessing.get_context("fork")
MUST_HAVE = ("disk.raw", "boot/vmlinuz-*")
ENTRY = {"disk.raw": "12345678", "boot/vmlinuz-6.12": "kernel"}


class Builder:
    """A build that counts how often it was asked for."""

    def __init__(self) -> None:
        self.built = 0

    def __call__(self, folder: Path) -> None:
        self.built += 1
        grow(folder, ENTRY)


def names(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()}


def test_entry_is_built_once(tmp_path: Path) -> None:
    """An entry is built at the first call; a second one finds it and leaves it as it is."""
    build = Builder()
    folder = cache.entry(tmp_path, "node", "k1", build, MUST_HAVE)
    before = snapshot(tmp_path)
    assert cache.entry(tmp_path, "node", "k1", build, MUST_HAVE) == folder
    assert folder == tmp_path / "node-k1"
    assert build.built == 1
    assert snapshot(tmp_path) == before


def test_two_builds_of_an_entry_differ(tmp_path: Path) -> None:
    """Built again under the same key, an entry is another one for what was made from it."""
    seen = set()
    for _ in range(2):
        folder = cache.entry(tmp_path, "guest", "k1", Builder(), MUST_HAVE)
        seen |= {cache.identity(folder), cache.identity(folder)}
        cache.remove_tree(folder)
    assert len(seen) == 2
    assert cache.identity(folder) == "guest-k1 "


def test_marker_records_sizes(tmp_path: Path) -> None:
    """The marker keeps the size of each file that a pattern of `must_have` finds."""
    folder = cache.entry(tmp_path, "node", "k1", Builder(), MUST_HAVE)
    sizes = json.loads((folder / cache.MARKER).read_text())["sizes"]
    assert sizes == {"disk.raw": 8, "boot/vmlinuz-6.12": 6}


def forget_marker(folder: Path) -> None:
    (folder / cache.MARKER).unlink()


def grow_a_file(folder: Path) -> None:
    (folder / "disk.raw").write_text("123456789")


def cut_a_file(folder: Path) -> None:
    (folder / "disk.raw").write_text("")


def lose_a_file(folder: Path) -> None:
    (folder / "boot/vmlinuz-6.12").unlink()


@pytest.mark.parametrize("harm", [forget_marker, grow_a_file, cut_a_file, lose_a_file])
def test_broken_entry_is_rebuilt(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """An entry without its marker, or of which a file is gone or another size, is built anew."""
    build = Builder()
    folder = cache.entry(tmp_path, "node", "k1", build, MUST_HAVE)
    before = snapshot(tmp_path, without=f"node-k1/{cache.MARKER}")
    harm(folder)
    assert not cache.is_whole(folder)
    cache.entry(tmp_path, "node", "k1", build, MUST_HAVE)
    assert build.built == 2
    assert cache.is_whole(folder)
    assert snapshot(tmp_path, without=f"node-k1/{cache.MARKER}") == before


@pytest.mark.parametrize(
    "marker",
    [b"", b"{", b"[]", b"{}", b"null", b"7", b'{"sizes": 7}', b'{"sizes": ["disk.raw"]}',
     b'{"sizes": {"disk.raw": "8"}}', b"\xff\xfe\x00", b'{"sizes": {"\\u0000": 1}}'],
)  # fmt: skip
def test_marker_of_garbage_does_not_count(tmp_path: Path, marker: bytes) -> None:
    """Whatever is in a marker that the store did not write, the entry is built anew."""
    build = Builder()
    folder = cache.entry(tmp_path, "node", "k1", build, MUST_HAVE)
    (folder / cache.MARKER).write_bytes(marker)
    cache.entry(tmp_path, "node", "k1", build, MUST_HAVE)
    assert build.built == 2


def test_older_entries_of_the_kind_are_removed(tmp_path: Path) -> None:
    """A new key takes the place of the kind's older ones; other kinds stay."""
    cache.entry(tmp_path, "node", "k1", Builder(), MUST_HAVE)
    cache.entry(tmp_path, "guest", "k1", Builder(), MUST_HAVE)
    grow(tmp_path, {"node-k0.partial/half": "", "node-k0.tar": ""})
    cache.entry(tmp_path, "node", "k2", Builder(), MUST_HAVE)
    assert names(tmp_path) == {"node-k2", "node.lock", "guest-k1", "guest.lock"}


def test_failed_build_leaves_nothing(tmp_path: Path) -> None:
    """A build that raises leaves nothing, and its own error reaches the caller."""

    def build(folder: Path) -> None:
        grow(folder, ENTRY)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.entry(tmp_path, "node", "k1", build)
    assert names(tmp_path) == {"node.lock"}


def test_build_that_lacks_a_file_is_an_error(tmp_path: Path) -> None:
    """A build that ends well but without a file it must have does not become an entry."""
    with pytest.raises(LabError, match=r"the lab's node was built without boot/initrd\*"):
        cache.entry(tmp_path, "node", "k1", Builder(), ("disk.raw", "boot/initrd*"))
    assert not (tmp_path / "node-k1").exists()


def test_killed_build_leaves_nothing_that_counts(tmp_path: Path) -> None:
    """After SIGKILL in the middle of a build there is no entry, its lock is free, and the next
    call builds it anew.
    """
    building = FORK.Event()

    def half(folder: Path) -> None:
        grow(folder, ENTRY | {cache.MARKER: '{"sizes": {}}', "left over": ""})
        building.set()
        signal.pause()

    victim = FORK.Process(target=cache.entry, args=(tmp_path, "node", "k1", half, MUST_HAVE))
    victim.start()
    assert building.wait(20)
    victim.kill()
    victim.join(20)
    assert not (tmp_path / "node-k1").exists()
    build = Builder()
    folder = cache.entry(tmp_path, "node", "k1", build, MUST_HAVE)
    assert build.built == 1
    assert names(tmp_path) == {"node-k1", "node.lock"}
    assert not (folder / "left over").exists()


def test_two_processes_build_once(tmp_path: Path) -> None:
    """Of two processes that want the same entry one builds it and both get it."""
    calls = tmp_path / "calls"
    calls.touch()
    barrier = FORK.Barrier(2)
    asked = FORK.Semaphore(0)
    answers = FORK.Queue()

    def build(folder: Path) -> None:
        with calls.open("a") as file:
            file.write(f"{os.getpid()}\n")
        # Both have asked before the first build ends.
        asked.acquire()
        asked.acquire()
        grow(folder, ENTRY)

    def want() -> None:
        barrier.wait(20)
        asked.release()
        answers.put(str(cache.entry(tmp_path / "cache", "node", "k1", build, MUST_HAVE)))

    both = [FORK.Process(target=want) for _ in range(2)]
    for one in both:
        one.start()
    got = [answers.get(timeout=30) for _ in both]
    for one in both:
        one.join(20)
    assert [one.exitcode for one in both] == [0, 0]
    assert got == [str(tmp_path / "cache/node-k1")] * 2
    assert len(calls.read_text().splitlines()) == 1


def test_lock_that_is_held_is_an_error_in_the_end(tmp_path: Path) -> None:
    """Who waits too long for a lock gets an error that names its holder and its file."""
    lock = tmp_path / "up.lock"
    with (
        cache.locked(lock, "the first"),
        pytest.raises(LabError, match="another `lab up` is running") as caught,
        cache.locked(lock, "another `lab up` is running", timeout=0),
    ):
        pytest.fail("the lock was held twice")
    assert str(lock) in caught.value.details


def test_lock_is_free_after_an_error(tmp_path: Path) -> None:
    """A lock ends with its block, also where the block raises."""
    with pytest.raises(ZeroDivisionError), cache.locked(tmp_path / "a/lock", "nobody"):
        raise ZeroDivisionError
    with cache.locked(tmp_path / "a/lock", "nobody", timeout=0):
        pass


@pytest.mark.parametrize("mode", [0o500, 0o100, 0o000])
def test_closed_folders_are_removed(tmp_path: Path, mode: int) -> None:
    """A tree is removed with the folders in it that may not be written, read or entered."""
    top = grow(tmp_path / "top", {"a/b/file": "", "c": ""})
    for folder in (top / "a/b", top / "a", top):
        folder.chmod(mode)
    cache.remove_tree(top)
    assert list(tmp_path.iterdir()) == []


def test_links_are_removed_not_followed(tmp_path: Path) -> None:
    """What a link in a tree leads to stays as it was, and so does what a removed link leads to."""
    grow(tmp_path, {"kept/file": "", "top/link": f"-> {tmp_path}/kept", "alone": "-> kept"})
    (tmp_path / "kept").chmod(0o500)
    before = snapshot(tmp_path / "kept")
    cache.remove_tree(tmp_path / "top")
    cache.remove_tree(tmp_path / "alone")
    assert names(tmp_path) == {"kept"}
    assert snapshot(tmp_path / "kept") == before
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o500


def test_nothing_is_removed_without_complaint(tmp_path: Path) -> None:
    """Removing what does not exist is no error."""
    cache.remove_tree(tmp_path / "none")


def test_nothing_is_removed_through_a_mount(tmp_path: Path) -> None:
    """A folder with something mounted in it is refused whole, not emptied through the mount."""
    inside = tmp_path / "root-1.partial"
    (inside / "proc").mkdir(parents=True)
    (inside / "file").write_text("kept")
    script = (
        "import sys; from pathlib import Path; from wholecard.lab.base import cache\n"
        "try: cache.remove_tree(Path(sys.argv[1]))\n"
        "except cache.LabError as error: print(error.details)"
    )
    bwrap = ["bwrap", "--bind", "/", "/", "--proc", str(inside / "proc"), "--dev", "/dev"]
    done = subprocess.run(
        [*bwrap, sys.executable, "-c", script, str(inside)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[0] == str(inside / "proc")
    assert (inside / "file").read_text() == "kept"


def test_an_entry_in_use_stays(tmp_path: Path) -> None:
    """An older entry that a running process names in its arguments is not removed."""
    old = cache.entry(tmp_path, "node", "k1", Builder(), MUST_HAVE)
    script = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(old)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as user:
        assert user.stdout is not None
        user.stdout.readline()
        cache.entry(tmp_path, "node", "k2", Builder(), MUST_HAVE)
        assert cache.is_whole(old)
        user.communicate()
    cache.entry(tmp_path, "node", "k3", Builder(), MUST_HAVE)
    assert not old.exists()
