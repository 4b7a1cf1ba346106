"""Nothing of a transaction escapes `transaction/syscalls.py`: by Python's events and by strace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.faults import CALLS, counted, refuse
from support.transactions import PLAN, Node, fast_folder
from wholecard.core import Plan
from wholecard.host.changing.rollback import rollback
from wholecard.host.operations.bind_driver import BindDriver
from wholecard.transaction import syscalls
from wholecard.transaction.atomic_files import append_line, write_atomically

# https://docs.python.org/3/library/audit_events.html: those that change something.
EVENTS = frozenset(
    {
        "open",
        "os.chflags",
        "os.chmod",
        "os.chown",
        "os.link",
        "os.mkdir",
        "os.remove",
        "os.removexattr",
        "os.rename",
        "os.rmdir",
        "os.setxattr",
        "os.symlink",
        "os.truncate",
        "os.utime",
        "os.system",
        "os.exec",
        "os.fork",
        "os.posix_spawn",
        "subprocess.Popen",
    }
)
# A tool is another process; what is asked of a device is not a file's.
UNTRACED = frozenset(
    {"start", "write_sysfs", "write_config", "write_mapped", "clear_mapped", "device_ioctl"}
)
CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# The system call behind each function, as strace names it; a tool's start is another process.
TRACED = {
    "create": "openat",
    "open_to_append": "openat",
    "open_lock": "openat",
    "write": "write",
    "write_at_start": "pwrite64",
    "truncate": "ftruncate",
    "fsync": "fsync",
    "chown": "fchown",
    "chmod": "fchmod",
    "set_attribute": "fsetxattr",
    "set_times": "utimensat",
    "rename": "rename",
    "unlink": "unlink",
    "symlink": "symlink",
    "mkdir": "mkdir",
    "rmdir": "rmdir",
}
WATCHED = (
    "openat,open,creat,write,pwrite64,writev,pwritev,sendfile,copy_file_range,truncate,ftruncate,"
    "fallocate,fsync,fdatasync,sync,syncfs,chown,fchown,lchown,fchownat,chmod,fchmod,fchmodat,"
    "setxattr,lsetxattr,fsetxattr,removexattr,utimensat,utime,utimes,futimesat,rename,renameat,"
    "renameat2,link,linkat,unlink,unlinkat,symlink,symlinkat,mkdir,mkdirat,mknod,mknodat,rmdir"
)

RUN = """
import sys
from pathlib import Path
import pytest
from test_syscalls import whole_way
print(*whole_way(Path(sys.argv[1])))
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory."""
    yield from fast_folder(tmp_path)


def whole_way(place: Path) -> list[str]:
    """Apply and roll back, but for the bindings, whose kernel is a test's; the calls it took."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        node = Node(place, monkeypatch)
        node.plan = Plan(tuple(each for each in PLAN.actions if not is_binding(each.do)))
        with counted(0, refuse(0)) as names:
            node.apply()
            rollback(node.root)
        return list(names)


def is_binding(operation: object) -> bool:
    return isinstance(operation, BindDriver)


@contextmanager
def audited(root: Path) -> Iterator[Callable[[], list[str]]]:
    """Yields what gives the changes below `root` that did not come from `syscalls`."""
    escaped: list[str] = []
    on = [True]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if not on[0] or event not in EVENTS:
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & CHANGING):
            return
        about = " ".join(str(each) for each in arguments)
        frame = sys._getframe(1)
        files: list[str] = []
        while frame is not None and len(files) < 12:
            files.append(frame.f_code.co_filename)
            frame = frame.f_back  # type: ignore[assignment]
        if syscalls.__file__ not in files and (str(root) in about or event == "subprocess.Popen"):
            escaped.append(f"{event} {about}")

    # A hook cannot be taken off again; it is switched off.
    sys.addaudithook(hook)
    try:
        yield lambda: escaped
    finally:
        on[0] = False


def test_audited(place: Path) -> None:
    """By Python's audit events, every change of apply and rollback comes from syscalls.py."""
    with audited(place / "root") as escaped, pytest.MonkeyPatch.context() as monkeypatch:
        node = Node(place, monkeypatch)
        node.plan = Plan(tuple(each for each in PLAN.actions if not is_binding(each.do)))
        made_by_the_test = len(escaped())
        assert made_by_the_test > 20
        node.apply()
        rollback(node.root)
        assert escaped()[made_by_the_test:] == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_traced(place: Path, tmp_path: Path) -> None:
    """By strace, the changing system calls below the root are those that were counted, each one."""
    trace = tmp_path / "trace"
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [
            *("strace", "-f", "-ff", "-y", "-o", str(trace), "-e", f"trace={WATCHED}"),
            *(sys.executable, "-B", "-c", RUN, str(place)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": f"{tests}:{tests / 'transaction'}:{os.getenv('PYTHONPATH', '')}",
        },
    )
    if "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    names = done.stdout.split()
    ours = Counter(TRACED[name] for name in names if name not in UNTRACED)
    logs = {log: log.read_text().splitlines() for log in tmp_path.glob("trace.*")}
    # The log that has the first call of ours; the smallest process id need not be the oldest, for
    # the kernel begins again at the small ones. What the test grew itself ends where that call is.
    main, first = next(
        (log, n)
        for log, lines in logs.items()
        for n, line in enumerate(lines)
        if 'wholecard", 0755' in line
    )
    assert len(logs) - 1 >= names.count("start") == 4
    traced = Counter(
        line.split("(")[0]
        for line in logs[main][first:]
        if str(place / "root") in line and is_change(line)
    )
    assert traced == ours
    assert sum(ours.values()) == len(names) - 4 > 150


def is_change(line: str) -> bool:
    """Whether it changed something: it did not fail, and an opened file was opened to write."""
    if " = -1 " in line:
        return False
    return not line.startswith("open") or bool(re.search("O_WRONLY|O_RDWR|O_CREAT", line))


def test_one_change_each() -> None:
    """Each function of syscalls.py has its system call here, so that a new one is counted too."""
    assert set(CALLS) == {*TRACED, *UNTRACED}


def test_sysfs_is_not_created(tmp_path: Path) -> None:
    """What the kernel does not offer is an error, and no file is left in its place."""
    with pytest.raises(FileNotFoundError):
        syscalls.write_sysfs(tmp_path / "drivers_probe", "0000:01:00.0")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "drivers_probe").write_text("")
    syscalls.write_sysfs(tmp_path / "drivers_probe", "0000:01:00.0")
    assert (tmp_path / "drivers_probe").read_text() == "0000:01:00.0"


def test_mask(tmp_path: Path) -> None:
    """A strict mask of root's shell does not make directories that others cannot read."""
    mask = os.umask(0o077)
    try:
        syscalls.mkdir(tmp_path / "made", 0o755)
    finally:
        os.umask(mask)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("mask", [0o777, 0o077, 0o000])
def test_mask_of_files(tmp_path: Path, mask: int) -> None:
    """A mask is not taken for a file system without modes: a file gets its own, whatever it is."""
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "file", b"text", 0o755)
        append_line(tmp_path / "log", b"line")
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("file", "log")]
    assert modes == [0o755, 0o644]


def test_threads_leave_the_umask_alone(tmp_path: Path) -> None:
    """Files that several threads create at once have their modes, and the umask is as before."""
    before = os.umask(0o027)
    switch = sys.getswitchinterval()
    # So that a thread is interrupted between any two of its calls.
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            descriptors = list(pool.map(lambda n: syscalls.create(tmp_path / str(n)), range(400)))
        assert {os.fstat(each).st_mode & 0o777 for each in descriptors} == {syscalls.NEW_MODE}
        for each in descriptors:
            os.close(each)
        after = os.umask(0o027)
    finally:
        sys.setswitchinterval(switch)
        os.umask(before)
    assert after == 0o027
