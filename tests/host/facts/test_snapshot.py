"""Snapshots: a host as one file, and files that are none."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from support.distributions import Distribution, everything
from support.nodes import APART, GROUPS_APART, GROUPS_TOGETHER, TOGETHER, bare, reboot, with_groups
from support.production_host import production
from support.tree import Leaf, grow, snapshot
from wholecard.core import UsageError, WholecardError
from wholecard.host.agent.cli import main
from wholecard.host.facts import snapshot_archive
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.kernel_log import read_kernel_log
from wholecard.host.facts.snapshot import open_snapshot, redacted, save

TREES: dict[str, dict[str, Leaf]] = {
    "empty": {"etc/": ""},
    "apart": bare(APART),
    "together": with_groups(bare(TOGETHER), GROUPS_TOGETHER),
    "usrmerge": {
        **{path.replace("lib/", "usr/lib/", 1): leaf for path, leaf in bare(APART).items()},
        "lib": "-> usr/lib",
    },
}


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where unpacked snapshots lie; whatever a test does, nothing may stay there."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz", ".tar.zst"])
def test_same_host(tmp_path: Path, scratch: Path, name: str, suffix: str) -> None:
    """A snapshot holds the host that was stored, and leaves nothing behind when it is closed."""
    root = grow(tmp_path / "root", TREES[name])
    before = snapshot(root)
    save(root, tmp_path / f"host{suffix}")
    with open_snapshot(tmp_path / f"host{suffix}") as opened:
        assert inspect(opened) == inspect(root)
        assert read_kernel_log(opened) == read_kernel_log(root)
    assert (snapshot(root), list(scratch.iterdir())) == (before, [])
    assert sorted(each.name for each in tmp_path.iterdir()) == [f"host{suffix}", "root", "scratch"]
    assert (tmp_path / f"host{suffix}").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("each", everything(), ids=lambda each: each.name)
def test_same_distribution(tmp_path: Path, each: Distribution) -> None:
    """Of every distribution all that inspect reads is stored: the tools, the settings, the boot."""
    root = grow(tmp_path / "root", each.tree)
    save(root, tmp_path / "host.tar")
    with open_snapshot(tmp_path / "host.tar") as opened:
        assert inspect(opened) == inspect(root)


def test_rebooted_host(tmp_path: Path) -> None:
    """The kernel's log goes along, so that interrupt remapping is known."""
    root = grow(tmp_path / "root", bare(APART))
    reboot(root, APART, GROUPS_APART, GROUPS_APART[10])
    save(root, tmp_path / "host.tar")
    with open_snapshot(tmp_path / "host.tar") as opened:
        assert inspect(opened) == inspect(root)
        assert inspect(opened).iommu.interrupt_remapping is True


def test_no_secret(tmp_path: Path) -> None:
    """A snapshot holds no password, no config, and no more vital product data than the serial."""
    root = grow(tmp_path / "root", production())
    grow(root, {
        "etc/shadow": "root:$6$x\n",
        "etc/fstab": "//nas/x /srv cifs password=cifs 0 0\n/dev/sda1 / ext4 ro 0 1\n",
        "etc/default/grub": "GRUB_CMDLINE_LINUX=\"quiet rd.iscsi.password=hunter2\"\n",
    })  # fmt: skip
    save(root, tmp_path / "host.tar")
    with open_snapshot(tmp_path / "host.tar") as opened:
        host, stored = inspect(opened), inspect(root)
        assert (host.functions, host.uses, host.memory) == (
            stored.functions, stored.uses, stored.memory,
        )  # fmt: skip
        assert host.boot.command_line.endswith(" rd.iscsi.password=REDACTED")
        assert 'password=REDACTED"' in str(host.settings.file("/etc/default/grub").text)
        names = {path.name for path in opened.rglob("*")}
    assert not names & {"shadow", "config"}
    data = (tmp_path / "host.tar").read_bytes()
    for secret in (b"hunter2", b"cifs", b"$6$", b"never read", b"PN\x04ABCD", b"asleep"):
        assert secret not in data


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("quiet a=b", "quiet a=b"),
        ("x rd.iscsi.password=abc y", "x rd.iscsi.password=REDACTED y"),
        ("API_TOKEN='a b' c", "API_TOKEN=REDACTED c"),
        ('PASSWD="a b"', "PASSWD=REDACTED"),
    ],
)
def test_redacted(text: str, kept: str) -> None:
    """A word that names a secret loses its value."""
    assert redacted(text.encode()).decode() == kept


@pytest.mark.parametrize(
    ("name", "brief"),
    [
        ("there.tar", "exists already"),
        ("host.zip", "name ends in"),
        ("no/host.tar", "cannot write"),
    ],
)
def test_not_saved(tmp_path: Path, name: str, brief: str) -> None:
    """An existing file stays, a name has one of the endings, and what fails leaves nothing."""
    (tmp_path / "there.tar").write_text("mine")
    root = grow(tmp_path / "root", bare(APART))
    with pytest.raises(WholecardError, match=brief):
        save(root, tmp_path / name)
    assert (tmp_path / "there.tar").read_text() == "mine"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["root", "scratch", "there.tar"]


Member = tuple[str, bytes, str]
FOLDER, FILE, LINK = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.SYMTYPE


def packed(place: Path, members: list[Member], end: bool = True) -> Path:
    """An archive of members (name, type, content or target), with a snapshot's end."""
    with tarfile.open(place, "w") as made:
        closing = [("wholecard-snapshot", FILE, f"1 {len(members)}\n")] if end else []
        for name, kind, text in members + closing:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            data = b"" if kind in (LINK, tarfile.LNKTYPE) else text.encode()
            entry.linkname = text if not data else ""
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
    return place


@pytest.mark.parametrize(
    ("members", "details"),
    [
        ([("/etc/x", FILE, "a")], "a member is named"),
        ([("../x", FILE, "a")], "a member is named"),
        ([("a/../../x", FILE, "a")], "a member is named"),
        ([("a//x", FILE, "a")], "a member is named"),
        ([("a", FILE, "1"), ("a", FILE, "2")], "two members are named"),
        ([("a", LINK, "/etc")], "leaves the snapshot"),
        ([("a", LINK, "../x")], "leaves the snapshot"),
        ([("b/a", LINK, "../../x")], "leaves the snapshot"),
        ([("b/a", LINK, "x/../../..")], "leaves the snapshot"),
        # No further up than it is deep; but x may be a link to the top.
        ([("b/c/d/a", LINK, "x/../..")], "leaves the snapshot"),
        ([("d/" * 1500 + "a", FILE, "1")], "1501 folders deep"),
        ([("a" * (2 << 20), FILE, "1")], "a header of 2 MiB"),
        ([("a", LINK, "b"), ("a/c", FILE, "1")], "File exists"),
        ([("a", FILE, "b"), ("a/c", FILE, "1")], "File exists"),
        ([("a", tarfile.LNKTYPE, "b")], "neither file nor folder"),
        ([("a", tarfile.CHRTYPE, "")], "neither file nor folder"),
        ([("a", tarfile.FIFOTYPE, "")], "neither file nor folder"),
    ],
)
def test_refused(
    tmp_path: Path, scratch: Path, members: list[tuple[str, bytes, str]], details: str
) -> None:
    """What would leave its folder, or is no plain thing, is refused and leaves nothing behind."""
    path = packed(tmp_path / "bad.tar", members)
    with (
        pytest.raises(UsageError, match="is not a complete snapshot") as caught,
        open_snapshot(path),
    ):
        pass
    assert details in caught.value.details
    assert caught.value.resolution
    assert list(scratch.iterdir()) == []


def cut(data: bytes, part: float) -> bytes:
    return data[: int(len(data) * part)]


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz", ".tar.zst"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: b"garbage" * 100,
        lambda data: cut(data, 0.05),
        lambda data: cut(data, 0.5),
        lambda data: cut(data, 0.9),
    ],
)
def test_broken(
    tmp_path: Path, scratch: Path, suffix: str, spoil: Callable[[bytes], bytes]
) -> None:
    """A broken or truncated file is one error of usage, and leaves nothing behind."""
    root = grow(tmp_path / "root", bare(APART))
    path = tmp_path / f"host{suffix}"
    save(root, path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(UsageError, match="is not a complete snapshot"), open_snapshot(path):
        pass
    assert list(scratch.iterdir()) == []


def test_cut_between_members(tmp_path: Path) -> None:
    """An archive that ends early between two members is noticed by its missing end."""
    path = packed(tmp_path / "host.tar", [("a", FILE, "1")], end=False)
    with pytest.raises(UsageError) as caught, open_snapshot(path):
        pass
    assert "its end is missing" in caught.value.details


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.zst"])
def test_bomb(tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    """A file that unpacks to more than the limit is refused, and so are too many members."""
    root = grow(tmp_path / "root", {**bare(APART), "proc/cmdline": "0" * 2_000_000})
    path = tmp_path / f"host{suffix}"
    save(root, path)
    monkeypatch.setattr(snapshot_archive, "LIMIT", 1 << 20)
    monkeypatch.setattr("wholecard.host.facts.snapshot.LIMIT", 1 << 20)
    with pytest.raises(UsageError, match="is not a complete snapshot"), open_snapshot(path):
        pass
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(snapshot_archive, "MOST_MEMBERS", 10)
    with pytest.raises(UsageError) as caught, open_snapshot(path):
        pass
    assert "more than 10 members" in caught.value.details
    assert list(scratch.iterdir()) == []


def test_no_zstd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without zstd the error names it, and another way."""
    root = grow(tmp_path / "root", bare(APART))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WholecardError) as caught:
        save(root, tmp_path / "host.tar.zst")
    assert "zstd" in caught.value.brief
    assert ".tar.gz" in caught.value.resolution
    assert not (tmp_path / "host.tar.zst").exists()


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """inspect --save stores, and inspect, check and plan read what was stored."""
    root = grow(tmp_path / "root", bare(APART))
    path = tmp_path / "host.tar.gz"
    assert main(["inspect", "--root", str(root), "--save", str(path)]) == 0
    capsys.readouterr()
    assert main(["inspect", "--root", str(path), "--json"]) == 0
    assert Host.from_json(json.loads(capsys.readouterr().out)) == inspect(root)
    outputs = []
    for place in (root, path):
        for words in (["check"], ["plan", "--all-cards"]):
            status = main([*words, "--root", str(place)])
            outputs.append((status, capsys.readouterr().out))
    assert outputs[:2] == outputs[2:]


@pytest.mark.parametrize("command", ["apply", "verify", "rollback", "status"])
def test_read_only(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """What changes a host, or asks after its changes, is not for snapshots."""
    root = grow(tmp_path / "root", bare(APART))
    save(root, tmp_path / "host.tar")
    assert main([command, "--root", str(tmp_path / "host.tar")]) == 2
    assert "is a snapshot" in capsys.readouterr().err


def test_facts_are_no_snapshot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Facts given as a root are refused with the command that saves what is needed."""
    (tmp_path / "gpu-01.json").write_text("{}")
    assert main(["check", "--root", str(tmp_path / "gpu-01.json")]) == 2
    assert "inspect --save gpu-01.tar.gz" in capsys.readouterr().err


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A root that is not there is called wrong, with or without more arguments."""
    for words in (["inspect"], ["inspect", "--json"], ["check"]):
        assert main([*words, "--root", str(tmp_path / "none")]) == 2
        assert "does not exist" in capsys.readouterr().err


def headed(header: bytes, content: bytes, *then: tarfile.TarInfo) -> bytes:
    """A tar file that begins with a special header of this type and content."""
    first = tarfile.TarInfo("header")
    first.type, first.size = header, len(content)
    blocks = [first.tobuf(tarfile.USTAR_FORMAT), content, b"\0" * (-len(content) % 512)]
    return b"".join([*blocks, *(each.tobuf(tarfile.USTAR_FORMAT) for each in then), b"\0" * 1024])


def sparse() -> bytes:
    """GNU's old format: 512 bytes in the archive that unpack to 300 MiB of zeros."""
    member = tarfile.TarInfo("hole")
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    block[156:157] = tarfile.GNUTYPE_SPARSE
    block[124:136] = b"%011o\0" % 512
    block[386:410] = b"%011o\0%011o\0" % ((300 << 20) - 512, 512)
    block[483:495] = b"%011o\0" % (300 << 20)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + b"x" * 512 + b"\0" * 1024


@pytest.mark.parametrize(
    ("data", "details"),
    [
        (sparse(), "is a sparse file"),
        (headed(tarfile.XHDTYPE, b"0" * (2 << 20)), "a header of 2 MiB"),
        (headed(tarfile.GNUTYPE_LONGLINK, b"0" * (2 << 20)), "a header of 2 MiB"),
        (headed(tarfile.XGLTYPE, b"14 path=hello\n"), "a header for all members"),
        (headed(tarfile.XHDTYPE, b"10 a=bcde\n")[:1024] * 3000, ""),
    ],
)
def test_hostile(tmp_path: Path, scratch: Path, data: bytes, details: str) -> None:
    """Zeros that are not in the stream, huge headers and headers of headers are refused."""
    path = tmp_path / "host.tar"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="not a complete") as caught, open_snapshot(path):
        pass
    assert details in caught.value.details
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
def test_bomb_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    """Members that are small one by one count together."""
    path = packed(tmp_path / "plain.tar", [(f"m{n}", FILE, "0" * 400_000) for n in range(4)])
    monkeypatch.setattr(snapshot_archive, "LIMIT", 1 << 20)
    data = path.read_bytes()
    if suffix != ".tar":
        data = gzip.compress(data) if suffix == ".tar.gz" else lzma.compress(data)
    path = tmp_path / f"host{suffix}"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="not a complete") as caught, open_snapshot(path):
        pass
    assert "more than 1 MiB" in caught.value.details


def test_no_member_through_a_link(tmp_path: Path) -> None:
    """A member is written to a name that nothing has, also not a link."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        snapshot_archive._write(tmp_path / "link", b"1", 0o644)
    (tmp_path / "there").write_text("2")
    with pytest.raises(FileExistsError):
        snapshot_archive._write(tmp_path / "there", b"1", 0o644)
    assert not (tmp_path / "elsewhere").exists()


def test_pipe(tmp_path: Path) -> None:
    """A pipe with a snapshot's name is not waited for."""
    os.mkfifo(tmp_path / "host.tar")
    with pytest.raises(UsageError, match="is not a file"), open_snapshot(tmp_path / "host.tar"):
        pass
