"""The plan of a build: what prevents it first, then each step and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from support.golden import compare
from wholecard.core import Finding, Severity, UsageError
from wholecard.core.units import GIB, MIB
from wholecard.guest.image.build_plan import (
    BaseFacts,
    BuildPlan,
    Choice,
    choose_writer,
    plan_build,
    plan_json,
    plan_text,
)
from wholecard.guest.image.build_request import Base, BuildRequest
from wholecard.guest.image.cloud_config import CloudConfig
from wholecard.guest.image.disk_image import DiskImage
from wholecard.guest.image.grow import GrowthMethod
from wholecard.guest.image.partitions import Layout, Partition, PartitionTable, RootFilesystem
from wholecard.guest.image.recipe import (
    AddRepository,
    GuestOs,
    HoldPackages,
    InstallPackages,
    Recipe,
    RunInGuest,
    Step,
    WriteGuestFile,
)
from wholecard.guest.image.sizes import MARGIN, Room, room_of
from wholecard.guest.image.virt_customize import VirtCustomize
from wholecard.guest.image.writer import Say, Target

GOLDEN = Path(__file__).parent / "golden"
DRIVER = InstallPackages(("nvidia-open-kernel-dkms", "nvidia-smi", "linux-headers-amd64"), "driver")
STEPS: tuple[Step, ...] = (
    WriteGuestFile("/etc/modprobe.d/nouveau.conf", b"blacklist nouveau\n", "it is in the way"),
    AddRepository("cuda", "https://a.example", "CUDA", ("/",), (), "KEY"),
    DRIVER,
    InstallPackages(("nvidia-cuda-toolkit", "htop"), "CUDA and a tool"),
    HoldPackages(("nvidia-smi",), "another branch would not fit"),
    RunInGuest(("systemctl", "enable", "nvidia-persistenced"), "keeps the card awake"),
    WriteGuestFile("/blob", b"\xff" * 40, "not a text"),
    WriteGuestFile("/long", b"line\n" * 40, "a long text"),
    WriteGuestFile("/etc/key", b"hunter22\n", "not everybody may read it", 0o600),
    WriteGuestFile("/etc/conf", b"user=a\npassword=hunter22\n", "it names a password"),
)
MIRRORS = ("https://a.example/b.img", "file:///srv/b.img")


@dataclass(frozen=True)
class Always:
    """A writer that every machine can use."""

    name: str = "always"
    target: Target = Target.IMAGE
    refusal: str = ""

    def unusable(self) -> str:
        return self.refusal

    def write(self, recipe: Recipe, target: Path, say: Say) -> None:
        raise AssertionError


READY = Choice(Always(), "it is installed here")


def asked(steps: tuple[Step, ...] = STEPS, size: int | None = None) -> BuildRequest:
    """A request with a base that has an address."""
    recipe = Recipe(GuestOs("debian", "13"), steps)
    base = Base(None, MIRRORS, "a" * 64)
    return BuildRequest("image", base, size, recipe, room_of(steps), Path("/srv/image.qcow2"))


def facts(kind: str = "ext4", free: int | None = 1 * GIB) -> BaseFacts:
    """A base of 3 GiB with a file system of that kind."""
    part = Partition(1, 262144, 6029279, "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709")
    layout = Layout(PartitionTable("gpt", (part,)), part, RootFilesystem(kind, None, free))
    return BaseFacts(DiskImage(Path("/b"), "qcow2", 3 * GIB, GIB), layout)


GOLDENS: list[tuple[str, BuildPlan]] = [
    ("plan.txt", plan_build(asked(), facts(), READY)),
    ("plan-without-base.txt", plan_build(asked(), None, READY)),
    ("plan-too-small.txt", plan_build(asked(size=4 * GIB), facts(), READY)),
    ("plan-on-boot.txt", plan_build(asked(), None, choose_writer(asked(), (CloudConfig(),),
                                                                 on_boot=True))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "plan"), GOLDENS)
def test_golden(name: str, plan: BuildPlan) -> None:
    """The plan as a person reads it."""
    compare(name, plan_text(plan) + "\n", GOLDEN)


def test_json() -> None:
    """The same as a record: sizes in bytes, each step with its reason."""
    data = plan_json(plan_build(asked(), facts(), READY))
    assert data["size"] == {"before": 3 * GIB, "after": 11 * GIB, "reason":
                            "ext4 grows without a mount or root",
                            "method": "sfdisk and e2fsprogs"}  # fmt: skip
    assert data["base"]["free"] == GIB
    assert [step["reason"] for step in data["steps"]][2:-1] == [step.reason for step in STEPS]
    assert [row["what"] for row in data["sets"]] == ["NVIDIA driver", "CUDA toolkit"]
    assert data["writer"] == "always"


# The size, the base's file system and its free bytes; the rules, and a word of the first message.
SIZES = [
    (None, "ext4", GIB, [], ""),
    (12 * GIB, "ext4", GIB, [], ""),
    (5 * GIB, "ext4", GIB, ["WC410"], "has 2.9 GiB free"),
    (12 * GIB, "xfs", GIB, ["WC410", "WC411"], "has 1 GiB free"),
    (12 * GIB, "xfs", 11 * GIB, ["WC411"], "growpart"),
    (12 * GIB, "lvm", None, ["WC411"], "growpart"),
    (3 * GIB, "ext4", 11 * GIB, [], ""),
]


@pytest.mark.parametrize(("size", "kind", "free", "rules", "words"), SIZES)
def test_too_small(
    size: int | None, kind: str, free: int | None, rules: list[str], words: str
) -> None:
    """The room during the build is compared with what the steps need, as far as both are known."""
    plan = plan_build(asked(STEPS[:3], size), facts(kind, free), READY)
    assert plan.request.room.needed > 1 * GIB
    plan = plan_build(replace(plan.request, room=Room(8 * GIB)), facts(kind, free), READY)
    assert [found.rule for found in plan.findings] == rules
    assert not rules or words in plan.findings[0].message


def test_automatic_size_is_enough() -> None:
    """The size that `auto` chooses is never too small, and whole GiB."""
    for free in (0, 1, GIB, 2 * GIB - 1, 100 * GIB):
        plan = plan_build(asked(), facts(free=free), READY)
        assert not plan.errors
        assert plan.growth is not None
        assert plan.growth.after % GIB == 0


def test_too_small_without_the_base() -> None:
    """A size below what the steps alone need is said before the base is fetched."""
    [found] = plan_build(asked(STEPS[:3], GIB), None, READY).errors
    assert found.rule == "WC410"
    assert found.fix == "Give size more than 2 (GiB), or auto."


def test_profiles_findings() -> None:
    """What a profile knows to go wrong is in the plan, and an error of it prevents the build."""
    known = Finding("WC401", "image image", Severity.ERROR, "it does not build", "")
    plan = plan_build(replace(asked(), findings=(known,)), facts(), READY)
    assert plan.errors == (known,)


WRITERS = (Always("first", refusal="No."), Always("second"), CloudConfig(),
           Always("root", Target.ROOT))  # fmt: skip


def test_writers() -> None:
    """The first usable writer is taken, the named one always; none without steps."""
    assert choose_writer(asked(), WRITERS).writer == WRITERS[1]
    assert choose_writer(asked(), WRITERS, "first").writer == WRITERS[0]
    assert choose_writer(asked(), WRITERS, on_boot=True).writer == CloudConfig()
    assert choose_writer(asked(()), WRITERS) == Choice(None, "there are no steps")
    none = choose_writer(asked(), WRITERS[:1])
    assert none == Choice(None, "", "No.")
    assert [found.rule for found in plan_build(asked(), facts(), none).errors] == ["WC412"]


@pytest.mark.parametrize(("name", "words"), [
    ("root", "changes a folder that is a system's root"),
    ("no", "no writer 'no'"),
])  # fmt: skip
def test_wrong_writer(name: str, words: str) -> None:
    """A writer that is not known, or that changes something else, is refused."""
    with pytest.raises(UsageError, match=words):
        choose_writer(asked(), WRITERS, name)


def test_virt_customize_is_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs its program and KVM, and says which of both is missing."""
    monkeypatch.setattr("wholecard.guest.image.image_tools._SBIN", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    kvm = tmp_path / "kvm"
    writer = VirtCustomize(kvm)
    assert "virt-customize is not installed" in writer.unusable()
    (tmp_path / "virt-customize").touch(0o755)
    assert f"{kvm} cannot be opened" in writer.unusable()
    kvm.touch()
    assert writer.unusable() == ""


ROOMS: list[tuple[tuple[str, ...], list[str], tuple[str, ...]]] = [
    (("nvidia-open-kernel-dkms", "dkms", "linux-headers-amd64"), ["NVIDIA driver"], ()),
    (("nvidia-open", "cuda-toolkit-12-8"), ["NVIDIA driver", "CUDA toolkit"], ()),
    (("linux-modules-nvidia-580-server-open-generic", "nvidia-utils-580-server"),
     ["NVIDIA driver"], ()),
    (("nvidia-driver", "nvidia-smi"), ["NVIDIA driver with X"], ()),
    (("dkms=3.2.2-1", "htop"), ["kernel, headers and dkms"], ("htop",)),
    (("rocminfo", "podman"), ["ROCm run time", "podman"], ()),
    (("linux-image-amd64",), ["kernel, headers and dkms"], ()),
]  # fmt: skip


@pytest.mark.parametrize(("names", "sets", "unknown"), ROOMS)
def test_room(names: tuple[str, ...], sets: list[str], unknown: tuple[str, ...]) -> None:
    """Packages belong to measured sets, each counted once; the others are named."""
    room = room_of([InstallPackages(names, "")])
    assert [row.what for row in room.sets] == sets
    assert room.unknown == unknown
    installed = sum(row.installed for row in room.sets)
    download = max(row.download for row in room.sets)
    assert room.needed == installed + download + MARGIN


def test_room_of_files() -> None:
    """Files alone need their own size, and commands are not known to need any."""
    steps = (WriteGuestFile("/a", bytes(MIB), ""), RunInGuest(("x",), ""))
    assert room_of(steps) == Room(MIB)


def test_first_boot_growth_is_no_error_without_steps() -> None:
    """An image of XFS without steps grows at the first boot, which is a note only."""
    plan = plan_build(asked((), 12 * GIB), facts("xfs"), Choice(None, ""))
    assert plan.growth is not None
    assert plan.growth.method is GrowthMethod.FIRST_BOOT
    assert not plan.errors
