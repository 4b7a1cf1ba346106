"""Whole builds with the real disk tools: what is written, what is left, what goes on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support import virt_customize
from support.disk_images import as_qcow2, file_in, raw_disk
from support.image_server import serving
from wholecard.core import RefusedError, UsageError, WholecardError
from wholecard.core.units import MIB
from wholecard.guest.image.build import Watcher, build
from wholecard.guest.image.build_plan import Choice, choose_writer
from wholecard.guest.image.build_record import read_record, record_path
from wholecard.guest.image.build_request import Base, BuildRequest
from wholecard.guest.image.built_image import inspect_built
from wholecard.guest.image.cloud_config import CloudConfig
from wholecard.guest.image.package_tools import guest_changes
from wholecard.guest.image.recipe import (
    AddRepository,
    GuestOs,
    InstallPackages,
    Recipe,
    RunInGuest,
    Step,
    WriteGuestFile,
)
from wholecard.guest.image.sizes import Room
from wholecard.guest.image.virt_customize import VirtCustomize, arguments, put_files

DEBIAN = GuestOs("debian", "13")
STEPS: tuple[Step, ...] = (
    WriteGuestFile("/etc/modprobe.d/nouveau.conf", b"blacklist nouveau\n", "it is in the way"),
    AddRepository("cuda", "https://a.example", "CUDA", ("/",), (), "KEY"),
    InstallPackages(("dkms",), "the driver"),
    WriteGuestFile("/usr/local/bin/agent", b"\x7fELF\xff", "the agent", 0o755),
    RunInGuest(("sh", "-c", "echo 'a b'"), "a word with a space"),
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base image: a qcow2 of 48 MiB with one file."""
    folder = tmp_path_factory.mktemp("base")
    return as_qcow2(raw_disk(folder, {"/home/kept": "kept\n"}), "-c")


def asked(folder: Path, base: Path, steps: tuple[Step, ...] = STEPS) -> BuildRequest:
    """A request for an image of 64 MiB in `folder`."""
    recipe = Recipe(DEBIAN, steps)
    output = folder / "image.qcow2"
    return BuildRequest("image", Base(base), 64 * MIB, recipe, Room(0), output)


def customize() -> Choice:
    """The writer virt-customize, although this machine has no KVM."""
    return Choice(VirtCustomize(), "")


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_build(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image has the base's file, the recipe's files and modes, and saw its commands in order;
    beside it is the record, and in the cache no stage."""
    log = virt_customize.installed(tmp_path, monkeypatch)
    folder = tmp_path / "out"
    folder.mkdir()
    request = asked(folder, base)
    said: list[str] = []
    built = build(request, customize(), tmp_path / "cache", Watcher(said.append))
    assert "step 8 of 8, apt-get: the downloaded packages are not needed any more" in said
    assert names(folder) == ["image.qcow2", "image.qcow2.json"]
    assert names(tmp_path / "cache/work") == []
    image = tmp_path / "look.qcow2"
    image.write_bytes(built.file.read_bytes())
    assert file_in(image, "/home/kept") == b"kept\n"
    assert file_in(image, "/etc/modprobe.d/nouveau.conf") == b"blacklist nouveau\n"
    assert file_in(image, "/etc/apt/keyrings/cuda.asc") == b"KEY\n"
    assert file_in(image, "/usr/local/bin/agent") == b"\x7fELF\xff"
    commands = log.read_text().splitlines()
    assert commands[:3] == ["chown 0:0 /etc/modprobe.d/nouveau.conf",
                            "chown 0:0 /etc/apt/keyrings/cuda.asc",
                            "chown 0:0 /etc/apt/sources.list.d/cuda.sources"]  # fmt: skip
    assert [line.split()[-1] for line in commands[3:6]] == [
        "update", "dkms", "/usr/local/bin/agent"]  # fmt: skip
    assert commands[6:] == ["sh -c 'echo '\"'\"'a b'\"'\"''", "apt-get clean",
                            "truncate /etc/machine-id"]  # fmt: skip
    record = read_record(built.file)
    assert record == built.record
    assert record is not None
    assert record.sha256 == hashlib.sha256(built.file.read_bytes()).hexdigest()
    assert record.virtual_size == 64 * MIB
    assert record.base_sha256 == hashlib.sha256(base.read_bytes()).hexdigest()
    assert "virt-customize 1.52.0" in record.tools
    assert [step.what for step in record.steps if step.kind == "file"] == [
        "/etc/modprobe.d/nouveau.conf", "/etc/apt/keyrings/cuda.asc",
        "/etc/apt/sources.list.d/cuda.sources", "/usr/local/bin/agent"]  # fmt: skip
    assert inspect_built(built.file, request).findings == ()


def test_failed_step(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that fails ends the build with its words; nothing is at the output, and a build
    of the corrected recipe takes the growth from the cache."""
    virt_customize.installed(tmp_path, monkeypatch)
    monkeypatch.setenv("FAILS_AT", "install --yes")
    folder = tmp_path / "out"
    folder.mkdir()
    request = asked(folder, base)
    with pytest.raises(WholecardError, match="command exited with an error") as caught:
        build(request, customize(), tmp_path / "cache", Watcher())
    assert caught.value.brief == (
        "virt-customize did not carry out the recipe: step 5 of 8, env: the driver"
    )
    assert caught.value.details.startswith("[   1.0] Running: ")
    assert "E: Unable to locate package" in caught.value.details
    assert names(folder) == []
    [grown] = names(tmp_path / "cache/work")
    assert grown.startswith("grown-")
    said: list[str] = []
    corrected = replace(request, recipe=Recipe(DEBIAN, STEPS[:1]))
    build(corrected, customize(), tmp_path / "cache", Watcher(said.append))
    assert "unpacking the base image" not in said
    assert names(folder) == ["image.qcow2", "image.qcow2.json"]


POINTS = ["unpacking", "growing", "copying", "step 4 of 8", "packing"]


def killed_at(point: str, request: BuildRequest, cache: Path) -> int:
    """The signal that ended a build, which kills itself where it says `point`."""

    def say(text: str) -> None:
        if text.startswith(point):
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            build(request, customize(), cache, Watcher(say))
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def test_killed_at_each_stage(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that is killed leaves nothing at the output, and the next one goes on."""
    virt_customize.installed(tmp_path, monkeypatch)
    folder = tmp_path / "out"
    folder.mkdir()
    for point in POINTS:
        assert killed_at(point, asked(folder, base), tmp_path / "cache") == signal.SIGKILL
        assert names(folder) == []
    said: list[str] = []
    build(asked(folder, base), customize(), tmp_path / "cache", Watcher(said.append))
    # Killed last while packing, so all before it is there.
    assert said == ["examining the base image", "packing image.qcow2"]
    assert names(tmp_path / "cache/work") == []


def test_interrupted_packing(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where packing fails, the image and the record that were there before stay."""
    folder = tmp_path / "out"
    folder.mkdir()
    request = asked(folder, base, ())
    built = build(request, Choice(None, ""), tmp_path / "cache", Watcher())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    fake = tmp_path / "qemu-img"
    fake.write_text('#!/bin/sh\nfor last; do :; done\n[ "$2" != -c ] || { echo half > "$last"; '
                    'echo "No space left on device" >&2; exit 1; }\n'
                    'exec /usr/bin/qemu-img "$@"\n')  # fmt: skip
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    larger = replace(request, size=80 * MIB)
    with pytest.raises(WholecardError, match="No space left on device"):
        build(larger, Choice(None, ""), tmp_path / "cache", Watcher())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert inspect_built(built.file, request).findings == ()


def test_from_a_server(base: Path, tmp_path: Path) -> None:
    """A base with an address is fetched once, and then built without the server."""
    content = base.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    request = asked(tmp_path, base, ())
    with serving(content) as server:
        request = replace(request, base=Base(None, (f"{server.address}/b",), sha256))
        build(request, Choice(None, ""), tmp_path / "cache", Watcher())
    again = build(request, Choice(None, ""), tmp_path / "cache", Watcher(), offline=True)
    assert again.record is not None
    assert again.record.base_sha256 == sha256


def test_refused_before_anything(base: Path, tmp_path: Path) -> None:
    """An image that is too small is refused with the number, before anything is fetched."""
    request = replace(asked(tmp_path, base), room=Room(5 << 30),
                      base=Base(None, ("http://127.0.0.1:1/b",), "0" * 64))  # fmt: skip
    with pytest.raises(RefusedError, match=r"need 5 GiB, and size is 64 MiB") as caught:
        build(request, customize(), tmp_path / "cache", Watcher())
    assert [found.rule for found in caught.value.findings] == ["WC410"]
    assert names(tmp_path) == []


BAD_BASES: list[tuple[dict[str, Any], str]] = [
    ({"sha256": "0" * 64}, "has another checksum"),
    ({"path": Path("/no/such")}, "No such file"),
    ({"path": Path("/dev/zero")}, "not a plain file"),
    ({"path": Path(__file__)}, "is not a disk image"),
]


@pytest.mark.parametrize(("changes", "words"), BAD_BASES)
def test_bad_base(base: Path, tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    """A base that cannot be used is named, and nothing is at the output."""
    out = tmp_path / "out"
    out.mkdir()
    request = asked(out, base, ())
    bad = replace(request, base=replace(request.base, **changes))
    with pytest.raises(UsageError, match=words):
        build(bad, Choice(None, ""), tmp_path / "cache", Watcher())
    assert names(out) == []


def test_shrink(base: Path, tmp_path: Path) -> None:
    """A size below the base's is refused, and nothing is at the output."""
    request = replace(asked(tmp_path, base, ()), size=32 * MIB)
    with pytest.raises(UsageError, match="disk has 48 MiB, and size is 32 MiB"):
        build(request, Choice(None, ""), tmp_path / "cache", Watcher())
    assert names(tmp_path) == ["cache"]


def test_no_space(base: Path, tmp_path: Path) -> None:
    """A cache on a disk that is too small is refused before the image is unpacked."""
    request = replace(asked(tmp_path, base, ()), size=None, room=Room(1 << 60))
    with pytest.raises(UsageError, match=r"free, and the build needs 2097152.0 TiB"):
        build(request, Choice(None, ""), tmp_path / "cache", Watcher())
    assert names(tmp_path / "cache/work") == []


def test_no_folder(base: Path, tmp_path: Path) -> None:
    """An output in a folder that does not exist is refused first."""
    request = replace(asked(tmp_path, base, ()), output=tmp_path / "no/image.qcow2")
    with pytest.raises(UsageError, match="there is no folder"):
        build(request, Choice(None, ""), tmp_path / "cache", Watcher())
    assert names(tmp_path) == []


def test_output_is_the_base(base: Path, tmp_path: Path) -> None:
    """The base image is not written over, also where a link leads to it."""
    link = tmp_path / "link.qcow2"
    link.symlink_to(base)
    request = replace(asked(tmp_path, base, ()), output=link)
    with pytest.raises(UsageError, match="is the base image"):
        build(request, Choice(None, ""), tmp_path / "cache", Watcher())
    assert names(tmp_path) == ["link.qcow2"]


def test_secrets(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password in a command is in the image's own script only: not in the record, not in what is
    printed, and not on a command line, which everybody on the machine can read."""
    virt_customize.installed(tmp_path, monkeypatch)
    words = ("register", "--password=hunter22", "http://u:hunter22@a.example")
    steps: tuple[Step, ...] = (RunInGuest(words, "the registration"),)
    request = asked(tmp_path, base, steps)
    script = put_files(tmp_path, guest_changes(request.recipe))
    assert "hunter22" not in " ".join(arguments(base, guest_changes(request.recipe), script))
    said: list[str] = []
    built = build(request, customize(), tmp_path / "cache", Watcher(said.append))
    assert built.record is not None
    assert built.record.steps[0].what == ("register --password=REDACTED http://REDACTED@a.example")
    assert "hunter22" not in "".join(said)
    assert "hunter22" in (tmp_path / "customized").read_text()


def test_on_boot(tmp_path: Path) -> None:
    """For the guest's first boot only the user data is written; the base is not even read."""
    request = asked(tmp_path, Path("/no/such"))
    choice = choose_writer(request, (VirtCustomize(), CloudConfig()), on_boot=True)
    built = build(request, choice, tmp_path / "cache", Watcher())
    assert built.record is None
    assert built.file.read_text().startswith("#cloud-config\n")
    assert names(tmp_path) == ["image.qcow2"]


def test_changed_image(base: Path, tmp_path: Path) -> None:
    """A file that was changed, and a recipe that is another today, are findings of show."""
    request = asked(tmp_path, base, ())
    built = build(request, Choice(None, ""), tmp_path / "cache", Watcher())
    other = replace(request, recipe=Recipe(DEBIAN, STEPS[:1]))
    [found] = inspect_built(built.file, other).findings
    assert "another recipe" in found.message
    with built.file.open("ab") as stream:
        stream.write(b"x")
    [found] = inspect_built(built.file, request).findings
    assert (found.rule, "SHA-256 differs" in found.message) == ("WC414", True)


@pytest.mark.parametrize(("text", "words"), [
    ("", "not a record"),
    ("[]", "the record is not an object"),
    ("{}", "not a record"),
    ('{"sha256": "\\u001b[2J"}', "not a valid value"),
    ("[" * 100_000, "nested too deeply"),
])  # fmt: skip
def test_odd_record(tmp_path: Path, text: str, words: str) -> None:
    """A record that is not one is an error, whatever it has."""
    image = tmp_path / "i"
    image.touch()
    record_path(image).write_text(text)
    with pytest.raises(UsageError, match=words):
        inspect_built(image)


def test_record_of_nothing(tmp_path: Path) -> None:
    """An image without a record, or no image, says what to do."""
    with pytest.raises(UsageError, match="does not exist") as caught:
        inspect_built(tmp_path / "i")
    assert caught.value.resolution == "Build it first: wholecard image build i"
    (tmp_path / "i").touch()
    with pytest.raises(UsageError, match="has no record"):
        inspect_built(tmp_path / "i")


def test_record_is_json(base: Path, tmp_path: Path) -> None:
    """The record can be read by any program."""
    built = build(asked(tmp_path, base, ()), Choice(None, ""), tmp_path / "cache", Watcher())
    data = json.loads(record_path(built.file).read_text())
    assert (data["name"], data["os"], data["format"]) == ("image", "debian-13", 1)
