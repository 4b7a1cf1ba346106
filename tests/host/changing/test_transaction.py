"""What a transaction keeps, gives back, refuses and says."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.faults import killed, points_of
from support.transactions import LABEL, PLAN, Node, fast_folder, without_times
from support.tree import grow, snapshot
from wholecard.core import Action, Plan, UsageError, WholecardError
from wholecard.host.changing import journal
from wholecard.host.changing.apply import finish
from wholecard.host.changing.rollback import rollback
from wholecard.host.changing.status import status
from wholecard.host.operations.run_tool import RunTool
from wholecard.host.operations.write_file import WriteFile
from wholecard.transaction import syscalls
from wholecard.transaction.atomic_files import Traits, copy_atomically, traits_of, write_atomically

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
MOTD = "/etc/motd"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A small host in memory."""
    for place in fast_folder(tmp_path):
        yield Node(place, monkeypatch)


def change(node: Node, before: str, after: str) -> None:
    """A journal of its own: the message of the day has another text."""
    operation = WriteFile(MOTD, after, 0o600, before, 0o600)
    node.plan = Plan((Action("write-file", MOTD, "", operation, ""),), reboot_needed=True)
    node.apply()


@AS_ROOT
def test_label(node: Node) -> None:
    """A replaced file keeps its SELinux label and owner; rollback gives them back as they were."""
    grub = node.root / "etc/default/grub"
    try:
        before = os.getxattr(grub, LABEL)
    except OSError:
        pytest.skip("this file system takes no labels")
    node.apply()
    assert os.getxattr(grub, LABEL) == before == b"system_u:object_r:old_t:s0\0"
    assert (grub.stat().st_uid, grub.stat().st_gid) == (12, 34)
    os.setxattr(grub, LABEL, b"system_u:object_r:other_t:s0\0")
    os.chown(grub, 0, 0)
    rollback(node.root)
    assert os.getxattr(grub, LABEL) == before
    assert (grub.stat().st_uid, grub.stat().st_gid) == (12, 34)


def test_time(node: Node) -> None:
    """A file that is put back was changed when it was changed last, not now."""
    grub = node.root / "etc/default/grub"
    before = grub.stat().st_mtime_ns
    node.apply()
    assert grub.stat().st_mtime_ns != before
    rollback(node.root)
    assert grub.stat().st_mtime_ns == before


def test_untouched_stays(node: Node) -> None:
    """A file that is as it was is not written again by rollback."""
    change(node, "welcome\n", "hello\n")
    grow(node.root, {MOTD: ("welcome\n", 0o600)})
    (entry,) = journal.entries(node.root)
    kept = entry.backup().file(MOTD)
    os.utime(node.root / MOTD[1:], ns=(0, kept.mtime_ns or 0))
    inode = (node.root / MOTD[1:]).stat().st_ino
    rollback(node.root)
    assert (node.root / MOTD[1:]).stat().st_ino == inode


def test_no_labels(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without labels is no error."""

    def unsupported(*arguments: Any, **keywords: Any) -> Any:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "getxattr", unsupported)
    before = snapshot(node.root)
    node.apply()
    rollback(node.root)
    assert snapshot(node.root) == before


def test_vfat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all files show one owner and mode and neither can be set, files are put back all the
    same (linux: fs/fat/file.c, fat_allow_set_mode)."""

    def refused(*arguments: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(syscalls, "chmod", refused)
    monkeypatch.setattr(syscalls, "chown", refused)
    # As `fmask=0077` and `fmask=0177` show every file, new ones too.
    for imposed in (0o700, 0o600):
        monkeypatch.setattr(
            syscalls,
            "create",
            lambda path, mode=imposed: os.open(path, os.O_WRONLY | os.O_CREAT, mode),
        )
        target = grow(tmp_path, {"esp/loader.conf": ("old", imposed), "blob": "older"})
        target = tmp_path / "esp/loader.conf"
        was = traits_of(target)
        write_atomically(target, b"new", 0o644, was)
        assert target.read_text() == "new"
        copy_atomically(tmp_path / "blob", target, Traits(was.mode, was.uid, was.gid))
        assert target.read_text() == "older"


def test_links(node: Node) -> None:
    """A link among a tool's outputs is put back as a link, and the file behind it as it was."""
    before = node.seen()
    node.apply()
    (node.root / "boot/initrd.img").unlink()
    grow(node.root, {"boot/initrd.img": "-> initrd.img-6.1", "boot/grub/grub.cfg": "-> elsewhere"})
    rollback(node.root)
    assert node.seen() == before


def test_more_outputs(node: Node) -> None:
    """An output that apply's tool made where there was none goes."""
    before = node.seen()
    Path(f"{node.calls}.more").touch()
    node.apply()
    assert (node.root / "boot/initrd.img-6.2").exists()
    rollback(node.root)
    assert node.seen() == before


def test_new_kernel_during_apply(node: Node) -> None:
    """Where a new image may be the killed tool's or a new kernel's it stays, made anew from the
    former files; what was there before is put back to the byte."""
    before = node.seen()
    Path(f"{node.calls}.kill").touch()
    assert killed(node.apply)
    node.wait()
    Path(f"{node.calls}.kill").unlink()
    grow(node.root, {"boot/initrd.img-6.2": "with our hook"})
    outcome = rollback(node.root)
    assert outcome.notes == ("update-initramfs ran again, because its outputs have changed since",)
    (node.root / "boot/initrd.img-6.2").unlink()
    assert node.seen() == before


def test_other_undo(node: Node) -> None:
    """A tool that edits its outputs names what takes its edit back where they changed since."""
    tool = RunTool(("update-grub",), ("/boot/grub/grub.cfg",), again=("update-initramfs", "-x"))
    node.plan = Plan((Action("run-tool", "x", "", tool, ""),))
    node.apply()
    grow(node.root, {"boot/efi/grub.cfg": "by somebody"})
    rollback(node.root)
    assert node.calls.read_text().split() == ["update-grub", "update-initramfs"]


def test_rollback_to(node: Node) -> None:
    """--to undoes every newer journal, newest first, until the host stands as that one left it."""
    stands = [node.seen()]
    texts = ["welcome\n", "one\n", "two\n", "three\n"]
    for before, after in zip(texts, texts[1:]):
        change(node, before, after)
        stands.append(node.seen())
    outcome = rollback(node.root, to=1)
    assert (outcome.journals, outcome.journal) == (("0003", "0002"), "0002")
    assert without_times(node.seen()) == without_times(stands[1])
    assert rollback(node.root, to=1).journals == ()
    assert rollback(node.root, to=0).journals == ("0001",)
    assert node.seen() == stands[0]
    assert rollback(node.root, to=0).journals == ()


def test_killed_rollback_to(node: Node) -> None:
    """Killed before any call, a way back over two journals is finished by the next."""
    before = node.seen()

    def apply_two() -> None:
        node.forget()
        change(node, "welcome\n", "one\n")
        change(node, "one\n", "two\n")

    apply_two()
    names = points_of(lambda: rollback(node.root, to=0))
    for at in range(1, len(names) + 1):
        apply_two()
        assert killed(lambda: rollback(node.root, to=0), at)
        rollback(node.root, to=0)
        assert node.seen() == before, at
    assert len(names) > 30


@pytest.mark.parametrize("to", [2, 7, -1])
def test_rollback_to_unknown(node: Node, to: int) -> None:
    """--to a journal that does not stand is refused with the list of those that do."""
    change(node, "welcome\n", "one\n")
    change(node, "one\n", "two\n")
    rollback(node.root)
    change(node, "one\n", "three\n")
    before = snapshot(node.root, without="-")
    with pytest.raises(UsageError, match="is in effect on this host") as caught:
        rollback(node.root, to=to)
    assert "In effect: 0001, 0003." in caught.value.details
    assert snapshot(node.root, without="-") == before


def test_rollback_to_edited(node: Node) -> None:
    """An edit stops the whole way back before anything is touched, also behind two journals."""
    change(node, "welcome\n", "one\n")
    change(node, "one\n", "two\n")
    grow(node.root, {MOTD: "by hand\n"})
    before = snapshot(node.root)
    with pytest.raises(WholecardError, match="was changed since"):
        rollback(node.root, to=0)
    assert snapshot(node.root) == before
    rollback(node.root, to=0, discard_edits=True)
    assert (node.root / MOTD[1:]).read_text() == "welcome\n"


def test_no_room(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little room for the backups is said in numbers, before anything is touched."""
    before = snapshot(node.root)
    real = os.statvfs

    def small(path: Any) -> os.statvfs_result:
        values = list(real(path))
        values[4] = 100 * 1024 // values[1]
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", small)
    with pytest.raises(WholecardError, match="not enough free space") as caught:
        node.apply()
    assert "1.0 MiB are needed" in caught.value.details
    assert "100 KiB are free" in caught.value.details
    assert snapshot(node.root) == before
    assert journal.entries(node.root) == ()


def test_hanging_tool(node: Node) -> None:
    """A tool that does not end is killed with all it started when its time is over."""
    os.mkfifo(f"{node.calls}.wait")
    tool = RunTool(("update-grub",), ("/boot/grub/grub.cfg",), timeout=0.2)
    node.plan = Plan((PLAN.actions[0], Action("run-tool", "update-grub", "", tool, "")))
    before = node.seen()
    with pytest.raises(WholecardError, match=r"did not end within 0\.2 s"):
        node.apply()
    status = node.status()
    assert (status["state"], status["next"]) == ("applying", "run-tool update-grub")
    assert status["failed"] == "chroot did not end within 0.2 s"
    rollback(node.root)
    assert node.seen() == before


def test_failing_tool(node: Node) -> None:
    """A tool that fails leaves a status that says which and why, until apply has finished."""
    Path(f"{node.calls}.fail").touch()
    with pytest.raises(WholecardError, match="status 7"):
        node.apply()
    assert node.status()["failed"] == "chroot failed with status 7"
    Path(f"{node.calls}.fail").unlink()
    finish(node.root)
    assert (node.status()["state"], node.status()["failed"]) == ("applied", None)


@AS_ROOT
@pytest.mark.parametrize("run", ["apply", "rollback"])
def test_no_permission(node: Node, run: str) -> None:
    """Who is not root gets one clear error, and nothing is touched."""
    if run == "rollback":
        node.apply()
    before = snapshot(node.root, without="-")
    for folder in (node.root, *node.root.parents):
        if folder.stat().st_uid == 0 and folder.is_relative_to(node.root.parent):
            folder.chmod(0o755)
    code, said = as_nobody(lambda: node.apply() if run == "apply" else rollback(node.root))
    assert (code, "Run it as root." in said) == (3, True), said
    assert {**snapshot(node.root, without="-"), "var": 0} == {**before, "var": 0}


def as_nobody(run: Callable[[], object]) -> tuple[int, str]:
    """The exit code and the text of the error that a run without root raises."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        code = 0
        try:
            run()
        except WholecardError as error:
            os.write(writing, str(error).encode())
            code = error.exit_code
        finally:
            os._exit(code)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading) as stream:
        return os.WEXITSTATUS(status), stream.read()


def test_refusals_leave_no_trace(node: Node) -> None:
    """Nothing to finish and nothing to roll back is found out without touching anything."""
    before = snapshot(node.root, without="-")
    assert finish(node.root) is None
    with pytest.raises(UsageError, match="nothing is applied"):
        rollback(node.root)
    assert rollback(node.root, to=0).journals == ()
    assert snapshot(node.root, without="-") == before


@pytest.mark.parametrize(
    ("tree", "match"),
    [
        ({MOTD: "-> ../elsewhere", "elsewhere": ("welcome\n", 0o600)}, "changed since the plan"),
        ({MOTD: "by hand\n"}, "changed since the plan"),
    ],
)
def test_edited_before(node: Node, tree: dict[str, Any], match: str) -> None:
    """A file that became a link or has another text is refused, and shown."""
    (node.root / MOTD[1:]).unlink()
    grow(node.root, tree)
    before = snapshot(node.root)
    with pytest.raises(WholecardError, match=match) as caught:
        node.apply()
    assert "elsewhere" in caught.value.details or "+by hand" in caught.value.details
    assert snapshot(node.root) == before


def test_link_out_of_image(node: Node, tmp_path: Path) -> None:
    """A folder of an image that leads to the running host is refused."""
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(node.root / "etc")
    (node.root / "etc").symlink_to(outside)
    node.plan = Plan((PLAN.actions[2],))
    with pytest.raises(WholecardError, match="points outside"):
        node.apply()
    assert list(outside.iterdir()) == []


def test_drift(node: Node) -> None:
    """Status lists each file, output and binding, and how it stands since."""
    node.apply()
    assert {each["state"] for each in node.status()["drift"]} == {"as-applied"}
    assert len(node.status()["drift"]) == 9
    grow(
        node.root,
        {
            "etc/default/grub": ("quiet splash\n", 0o640),
            MOTD: ("welcome\n", 0o600),
            "boot/efi/grub.cfg": "by somebody",
            "boot/initrd.img-6.9": "a new kernel",
        },
    )
    (node.root / "boot/initrd.img").unlink()
    (node.root / "etc/wholecard/deep/bind").unlink()
    (node.root / "sys/bus/pci/devices/0000:01:00.0").resolve().joinpath("driver").unlink()
    found = {
        each["subject"]: (each["kind"], each["state"], each["detail"])
        for each in node.status()["drift"]
        if each["state"] != "as-applied"
    }
    diff = found["/etc/default/grub"]
    assert diff[:2] == ("file", "edited")
    assert "-quiet iommu\n+quiet splash" in diff[2]
    del found["/etc/default/grub"]
    assert found == {
        MOTD: ("file", "edited", "mode 0600, not 0644"),
        "/etc/wholecard/deep/bind": ("file", "gone", ""),
        "/boot/efi/grub.cfg": ("output", "changed", ""),
        "/boot/initrd.img": ("output", "gone", ""),
        "/boot/initrd.img-6.9": ("output", "new", ""),
        "0000:01:00.0": ("binding", "changed", "on no driver, not on vfio-pci"),
    }


def test_drift_of_two(node: Node) -> None:
    """A file that two journals wrote is compared with the newer one alone."""
    change(node, "welcome\n", "one\n")
    change(node, "one\n", "two\n")
    assert [(each["journal"], each["state"]) for each in node.status()["drift"]] == [
        ("0002", "as-applied")
    ]


def test_reboot_that_never_came(node: Node) -> None:
    """Status knows whether the last apply or rollback waits for a reboot."""
    node.apply()
    assert node.status()["reboot_pending"] is True
    grow(node.root, {"proc/sys/kernel/random/boot_id": "boot-two\n"})
    assert status(node.root, "boot-two")["reboot_pending"] is False
    rollback(node.root)
    assert status(node.root, "boot-two")["reboot_pending"] is True
    assert status(node.root, "boot-three")["reboot_pending"] is False


def test_holder(node: Node) -> None:
    """Who is kept out is told which process is in, and since when."""
    with (
        journal.journal_of(node.root).lock(),
        pytest.raises(WholecardError, match="another apply or rollback") as caught,
    ):
        node.apply()
    assert f"It is process {os.getpid()}, since 20" in caught.value.details


def test_tool_of_a_rollback_holds_the_lock(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tools that run in a rollback inherit the lock, as they do in apply."""
    node.apply()
    (node.root / "boot/initrd.img-6.1").write_text("made for another reason")
    lock = (node.root / journal.HOME / "lock").stat()
    holders: list[bool] = []
    real = syscalls.start

    def start(argv: list[str], timeout: float, keep: tuple[int, ...]) -> None:
        holders.append(any(os.path.samestat(os.fstat(number), lock) for number in keep))
        real(argv, timeout, keep)

    monkeypatch.setattr(syscalls, "start", start)
    rollback(node.root)
    assert holders == [True, True]


def test_who_may_read_a_journal(node: Node) -> None:
    """Former files are for their owner alone, and a plan that quotes such a file is too."""
    node.apply()
    (entry,) = journal.entries(node.root)

    def mode(name: str) -> int:
        return (entry.directory / name).stat().st_mode & 0o777

    assert (mode("before"), mode("before/000"), mode("before/index.json")) == (0o700, 0o600, 0o600)
    assert (mode("plan.json"), mode(".")) == (0o600, 0o700)
    rollback(node.root)
    node.plan = Plan(PLAN.actions[2:3])
    node.apply()
    entry = journal.entries(node.root)[-1]
    assert (mode("plan.json"), mode(".")) == (0o644, 0o755)


def test_no_secret_is_shown(node: Node) -> None:
    """A diff, an error and the drift of a file show it without what names a secret."""
    operation = WriteFile(MOTD, "a=1 password=hunter2\n", 0o600, "welcome\n", 0o600)
    assert "password=REDACTED" in operation.describe()
    node.plan = Plan((Action("write-file", MOTD, "", operation, ""),))
    node.apply()
    (node.root / "etc/motd").write_text("a=2 token=hunter2\n")
    shown = str(node.status())
    with pytest.raises(WholecardError) as caught:
        rollback(node.root)
    assert "hunter2" not in shown + str(caught.value)
    assert "token=REDACTED" in shown
