"""What is in a card's memory, as far as the host can see it through a BAR.

A prefetchable BAR has no side effects of reading (PCI Local Bus Specification 3.0, 6.2.5.1), so it
alone is looked at. It is memory as the card shows it: on some GPUs only a window that their own
driver opens. What a look finds is therefore proof that something was kept, and no proof that
nothing was.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import gcd
from pathlib import Path

from wholecard.core.small_files import read_text
from wholecard.host.cleaning.config_space import folder_of
from wholecard.host.cleaning.record import MemoryLook
from wholecard.transaction import syscalls

PAGE = 4096
# Pages of one BAR: all of 16 MiB, a sample of more. Reads of a BAR are not cached and slow.
MOST_PAGES = 4096
SECONDS = 20.0
# linux: include/linux/ioport.h
_IO, _MEMORY, _PREFETCH = 0x100, 0x200, 0x2000
# A page that looks random is not made shorter than this many bytes.
_NOISE = 3900
_ZERO, _ONES = bytes(PAGE), b"\xff" * PAGE
# What a GPU of NVIDIA's answers where it refuses an access: open-gpu-kernel-modules, 0xbad?????.
_REFUSED = 0xBAD

# A digest for each page that was looked at and is not empty, by its number.
Digests = dict[int, bytes]


def memory_bars(root: Path, address: str) -> tuple[tuple[int, int], ...]:
    """Number and size of each prefetchable BAR of a function that sysfs has as a file."""
    bars = []
    lines = read_text(folder_of(root, address) / "resource").splitlines()
    for number, line in enumerate(lines[:6]):
        words = line.split()
        if len(words) != 3:
            continue
        start, end, flags = (int(word, 16) for word in words)
        if flags & _MEMORY and flags & _PREFETCH and end > start:
            bars.append((number, end - start + 1))
    return tuple(bars)


def look(
    root: Path, address: str, bar: int, size: int, before: Digests | None = None
) -> tuple[MemoryLook, Digests]:
    """What a BAR shows now, and digests of what is there, to be given as `before` next time.

    With `before` the pages that are the same as then are counted as `kept`. Nothing is raised: a
    BAR that cannot be read is not visible, and `why` says so.
    """
    seen = MemoryLook(address, bar, size)
    try:
        with _mapped(folder_of(root, address) / f"resource{bar}", size) as memory:
            return _looked(memory, seen, before)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return replace(seen, why=f"it cannot be mapped ({reason})"), {}


def _looked(
    memory: mmap.mmap, seen: MemoryLook, before: Digests | None
) -> tuple[MemoryLook, Digests]:
    kinds: Counter[str] = Counter()
    digests: Digests = {}
    until = time.monotonic() + SECONDS
    for page in _sample(seen.size):
        content = memory[page * PAGE : (page + 1) * PAGE]
        kind = kind_of(content)
        kinds[kind] += 1
        if kind != "zero":
            digests[page] = hashlib.sha256(content).digest()
        if time.monotonic() > until:
            break
    pages = sum(kinds.values())
    nothing = kinds["ones"] + kinds["refused"]
    kept = 0
    if before is not None:
        kept = sum(before.get(page) == digest for page, digest in digests.items())
    why = ""
    if not pages:
        why = "it is smaller than a page"
    elif nothing == pages:
        why = "every page reads as all ones or as a refusal: the card does not show its memory"
    seen = replace(
        seen,
        looked_at_bytes=pages * PAGE,
        zero=kinds["zero"],
        constant=kinds["constant"] + (0 if why else nothing),
        data=kinds["data"],
        noise=kinds["noise"],
        kept=0 if why else kept,
        visible=not why,
        why=why,
    )
    return seen, digests


def kind_of(page: bytes) -> str:
    """`zero`, `ones`, `refused`, `constant`, `noise` or `data`."""
    if page == _ZERO:
        return "zero"
    if page == _ONES:
        return "ones"
    word = page[:4]
    if page == word * (PAGE // 4):
        return "refused" if int.from_bytes(word, "little") >> 20 == _REFUSED else "constant"
    # In C: counting bytes one by one took 40 ms a page on an emulated CPU.
    return "noise" if len(zlib.compress(page, 1)) > _NOISE else "data"


def _sample(size: int) -> Iterator[int]:
    """The numbers of at most `MOST_PAGES` pages, evenly over the whole.

    They are in an order in which the first ones, too, are spread over the whole: where reading is
    slow the time ends it.
    """
    pages = size // PAGE
    count = min(pages, MOST_PAGES)
    # The golden ratio of them spreads best.
    step = next((each for each in range(int(count * 0.618), count) if gcd(each, count) == 1), 1)
    return (index * step % count * pages // count for index in range(count))


def is_plain_memory(root: Path, address: str, bar: int, size: int) -> bool:
    """Whether what is written to a BAR is read back, at each place something else.

    It writes to 16 places and puts back what was there. A register keeps only some bits, and a
    window shows one place at several.
    """
    pages = size // PAGE
    places = sorted({index * pages // 16 * PAGE for index in range(16)})
    marks = {place: hashlib.sha256(f"wholecard {place}".encode()).digest() for place in places}
    file = folder_of(root, address) / f"resource{bar}"
    try:
        with _mapped(file, size) as memory:
            former = {place: bytes(memory[place : place + 32]) for place in places}
        syscalls.write_mapped(file, size, marks)
        try:
            with _mapped(file, size) as memory:
                return all(memory[place : place + 32] == mark for place, mark in marks.items())
        finally:
            syscalls.write_mapped(file, size, former)
    except (OSError, ValueError):
        return False


def overwrite(root: Path, address: str, bar: int, size: int) -> int:
    """Set all that a BAR shows to zero; how many bytes that were. Raises OSError."""
    syscalls.clear_mapped(folder_of(root, address) / f"resource{bar}", size)
    return size


@contextmanager
def _mapped(file: Path, size: int) -> Iterator[mmap.mmap]:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        memory = mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ)
    finally:
        os.close(descriptor)
    try:
        yield memory
    finally:
        memory.close()
