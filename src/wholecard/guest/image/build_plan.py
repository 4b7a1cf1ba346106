"""What a build would do, decided before anything is changed: sizes, growth, writer, steps. Pure.

A plan without the base image says what it can: the base is read when it has been fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wholecard.core import Finding, Severity, UsageError
from wholecard.core.report_text import WIDTH, findings_text
from wholecard.core.secrets import redacted
from wholecard.core.units import GIB, counted, size_text
from wholecard.guest.image.build_request import BuildRequest
from wholecard.guest.image.disk_image import DiskImage
from wholecard.guest.image.grow import Growth, GrowthMethod, disk_for, plan_growth
from wholecard.guest.image.package_tools import GuestChange, command_text, step_changes
from wholecard.guest.image.partitions import Layout
from wholecard.guest.image.recipe import (
    AddRepository,
    HoldPackages,
    InstallPackages,
    RunInGuest,
    Step,
    WriteGuestFile,
)
from wholecard.guest.image.writer import Target, Writer

_MOST_FILE_LINES = 12
_OTHERS_READ = 0o004


@dataclass(frozen=True)
class BaseFacts:
    """The base image as it was read."""

    image: DiskImage
    layout: Layout


@dataclass(frozen=True)
class Choice:
    """The writer to use, None where nothing is to be written or none can be used, and why."""

    writer: Writer | None
    reason: str
    refusal: str = ""


@dataclass(frozen=True)
class BuildPlan:
    """A build as it would be done. `base` and `growth` are None where the base is not here."""

    request: BuildRequest
    base: BaseFacts | None
    growth: Growth | None
    choice: Choice
    findings: tuple[Finding, ...]

    @property
    def on_boot(self) -> bool:
        """Whether the steps are done by the guest, and no image is made."""
        writer = self.choice.writer
        return writer is not None and writer.target is Target.USER_DATA

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that prevent the build."""
        return tuple(found for found in self.findings if found.severity is Severity.ERROR)


def choose_writer(
    request: BuildRequest, writers: Sequence[Writer], name: str = "", *, on_boot: bool = False
) -> Choice:
    """The writer that is named, else the first one that this machine can use.

    Raises UsageError where the named one cannot write an image.
    """
    if on_boot:
        writer = next(row for row in writers if row.target is Target.USER_DATA)
        return Choice(writer, "--on-boot: the guest's cloud-init does it, the image stays as it is")
    if not request.recipe.steps:
        return Choice(None, "there are no steps")
    if name:
        return _named(writers, name)
    refusals = []
    for writer in (row for row in writers if row.target is Target.IMAGE):
        refusal = writer.unusable()
        if not refusal:
            return Choice(writer, "it is installed here, and runs the image's own programs")
        refusals.append(refusal)
    return Choice(None, "", " ".join(refusals))


def _named(writers: Sequence[Writer], name: str) -> Choice:
    writer = next((row for row in writers if row.name == name), None)
    if writer is None:
        known = ", ".join(row.name for row in writers if row.target is not Target.ROOT)
        raise UsageError(f"there is no writer {name[:80]!r}", resolution=f"Writers: {known}.")
    if writer.target is Target.ROOT:
        raise UsageError(
            f"the writer {name} changes {writer.target.value}, and the base is a disk image",
            resolution="It is for images that Wholecard makes itself, as the lab's guest. Use "
            "virt-customize, or --on-boot.",
        )
    # That one is slow here does not matter to somebody who asks for it.
    return Choice(writer, f"--writer {name}")


def plan_build(
    request: BuildRequest, base: BaseFacts | None, choice: Choice, *, has_virt_resize: bool = False
) -> BuildPlan:
    """What the build would do. Raises UsageError where the image would have to shrink."""
    growth = None
    is_on_boot = choice.writer is not None and choice.writer.target is Target.USER_DATA
    if base is not None and not is_on_boot:
        before = base.image.virtual_size
        after = request.size if request.size is not None else _automatic(request, base)
        growth = plan_growth(base.layout, before, after, has_virt_resize=has_virt_resize)
    findings = [*request.findings, *_findings(request, base, growth, choice, is_on_boot)]
    order = list(Severity)
    findings.sort(key=lambda finding: order.index(finding.severity))
    return BuildPlan(request, base, growth, choice, tuple(findings))


def _automatic(request: BuildRequest, base: BaseFacts) -> int:
    """The disk's size in bytes: what the steps need more than is free, in whole GiB."""
    missing = request.room.needed - (base.layout.filesystem.free or 0)
    before = base.image.virtual_size
    return before if missing <= 0 else -(-(before + disk_for(missing)) // GIB) * GIB


def _findings(
    request: BuildRequest,
    base: BaseFacts | None,
    growth: Growth | None,
    choice: Choice,
    is_on_boot: bool,
) -> Iterator[Finding]:
    subject = f"image {request.name}"
    if not is_on_boot:
        yield from _too_small(subject, request, base, growth)
    if growth is not None and growth.method is GrowthMethod.FIRST_BOOT:
        yield Finding(
            "WC411", subject, Severity.NOTE,
            f"Only the disk grows during the build: {growth.reason}. The file system follows at "
            "the first boot, by cloud-init's growpart.",
            "For ext4 nothing is needed; for XFS and LVM install guestfs-tools.")  # fmt: skip
    if choice.refusal:
        yield Finding(
            "WC412", subject, Severity.ERROR,
            f"No writer can change the image on this machine. {choice.refusal}",
            "Build on a host with KVM and guestfs-tools, or let the guest do it: --on-boot. "
            "With --writer virt-customize the build is tried without KVM.")  # fmt: skip
    if request.room.unknown:
        names = ", ".join(request.room.unknown[:8])
        more = len(request.room.unknown) - 8
        names += f" and {more} more" if more > 0 else ""
        yield Finding(
            "WC415", subject, Severity.NOTE,
            f"Nobody measured how much these packages need, so they are not counted: {names}.",
            "Give size a few GiB more than the plan says, or see the free space afterwards: "
            "df -h / in a server.")  # fmt: skip


def _too_small(
    subject: str, request: BuildRequest, base: BaseFacts | None, growth: Growth | None
) -> Iterator[Finding]:
    """WC410: the room during the build is less than the steps need."""
    needed = request.room.needed
    what = f"The steps need {size_text(needed)}"
    what += f" ({request.room.text}, and room to work)" if request.room.sets else ""
    if base is None or growth is None:
        if request.size is not None and request.size < needed:
            least = -(-needed // GIB)
            yield Finding(
                "WC410", subject, Severity.ERROR,
                f"{what}, and size is {size_text(request.size)}.",
                f"Give size more than {least} (GiB), or auto.")  # fmt: skip
        return
    free = base.layout.filesystem.free
    if free is None:
        return
    room = free + growth.room_at_build
    if room >= needed:
        return
    if growth.method is GrowthMethod.FIRST_BOOT:
        fix = "Install guestfs-tools, which grows this file system, or use --on-boot."
    else:
        least = -(-(growth.before + disk_for(needed - free)) // GIB)
        fix = f"Give size at least {least} (GiB), or auto."
    message = (
        f"{what}, and the image has {size_text(room)} free while it is built: its disk has "
        f"{size_text(growth.before)}, {size_text(free)} free, and grows to "
        f"{size_text(growth.after)}."
    )
    yield Finding("WC410", subject, Severity.ERROR, message, fix)


def plan_text(plan: BuildPlan, width: int = WIDTH) -> str:
    """The plan as every plan prints: first what prevents it, then each step and why."""
    parts = [findings_text(plan.findings, width), ""] if plan.findings else []
    parts += _summary(plan)
    for number, (title, why, lines) in enumerate(_rows(plan), 1):
        parts += [f"{number}. {title}", f"   why:  {why}"]
        parts += [f"   {line}" for line in lines]
    return "\n".join(parts)


def _summary(plan: BuildPlan) -> list[str]:
    request = plan.request
    base, writer = plan.base, plan.choice.writer
    lines = [f"image:   {request.name} ({request.recipe.os.name}, {request.output})",
             f"base:    {request.base.text}"]  # fmt: skip
    if base is not None:
        root = base.layout.filesystem
        free = "not known" if root.free is None else size_text(root.free)
        kind = root.kind or "a file system that is not known"
        lines.append(f"         {base.image.format}, disk of {size_text(base.image.virtual_size)}, "
                     f"{kind} with {free} free")  # fmt: skip
    elif plan.on_boot:
        lines.append("         not read: a server boots the stock image as it is")
    else:
        lines.append("         not fetched yet: its size and free space are read by build")
    needed = size_text(request.room.needed)
    lines.append(f"needs:   {needed}" + (f": {request.room.text}" if request.room.sets else ""))
    lines.append(f"size:    {_size(plan)}")
    lines.append(f"writer:  {writer.name if writer else 'none'}"
                 + (f": {plan.choice.reason}" if plan.choice.reason else ""))  # fmt: skip
    return [*lines, ""]


def _size(plan: BuildPlan) -> str:
    """The disk's size: before and after growth, or as far as it is known without the base."""
    growth, request = plan.growth, plan.request
    if growth is not None:
        if growth.method is GrowthMethod.NONE:
            return f"{size_text(growth.before)}, unchanged"
        return f"{size_text(growth.before)} -> {size_text(growth.after)}, by {growth.method.value}"
    if plan.on_boot:
        needed = size_text(request.room.needed)
        return f"the flavor's disk; it needs {needed} more than the image has in use"
    return "auto" if request.size is None else size_text(request.size)


def _rows(plan: BuildPlan) -> Iterator[tuple[str, str, list[str]]]:
    """Each step: what, why, and the lines that show it."""
    request = plan.request
    if not plan.on_boot:
        yield from _base_rows(plan)
    for step in request.recipe.steps:
        changes = step_changes(request.recipe.os, step)
        yield (_title(step), step.reason,
               [line for change in changes for line in _lines(change)])  # fmt: skip
    why = (
        "servers get it as user data"
        if plan.on_boot
        else "cloud apply uploads it: a compressed qcow2, and the record of what went in"
    )
    yield f"write {request.output}", why, []


def _base_rows(plan: BuildPlan) -> Iterator[tuple[str, str, list[str]]]:
    """The steps before the recipe: the base is fetched, and grown."""
    base, growth = plan.request.base, plan.growth
    if base.path is None:
        why = f"the base image, of SHA-256 {base.sha256}"
        mirrors = [f"or from {mirror}" for mirror in base.addresses[1:]]
        lines = mirrors if plan.base is None else ["it is in the cache"]
        yield f"fetch {base.text}", why, lines
    if growth is not None and growth.method is not GrowthMethod.NONE:
        yield (f"grow the disk to {size_text(growth.after)}", growth.reason,
               [f"by {growth.method.value}"])  # fmt: skip


def _title(step: Step) -> str:
    if isinstance(step, AddRepository):
        return f"add the repository {step.name}"
    if isinstance(step, InstallPackages):
        return f"install {counted(len(step.names), 'package')}"
    if isinstance(step, HoldPackages):
        return f"hold {counted(len(step.names), 'package')}"
    if isinstance(step, WriteGuestFile):
        return f"write {step.path}"
    return f"run {step.argv[0]}"


def _lines(change: GuestChange) -> Iterator[str]:
    if isinstance(change, RunInGuest):
        yield f"$ {redacted(command_text(change))}"
        return
    yield f"{change.path} (mode {change.mode:04o}, {size_text(len(change.content))})"
    if not change.mode & _OTHERS_READ:
        yield "its content is not shown: in the guest not everybody may read it"
        return
    try:
        lines = redacted(change.content.decode()).splitlines()
    except UnicodeDecodeError:
        return
    yield from (f"+{line}" for line in lines[:_MOST_FILE_LINES])
    if len(lines) > _MOST_FILE_LINES:
        yield f"and {len(lines) - _MOST_FILE_LINES} more lines"


def plan_json(plan: BuildPlan) -> dict[str, Any]:
    """The plan as a record; sizes are in bytes, None where the base is not here yet."""
    request, base, growth = plan.request, plan.base, plan.growth
    writer = plan.choice.writer
    return {
        "image": request.name,
        "os": request.recipe.os.name,
        "output": str(request.output),
        "base": {
            "from": request.base.text,
            "sha256": request.base.sha256,
            "virtual_size": base.image.virtual_size if base else None,
            "filesystem": base.layout.filesystem.kind if base else None,
            "free": base.layout.filesystem.free if base else None,
        },
        "needed": request.room.needed,
        "sets": [{"what": row.what, "bytes": row.installed} for row in request.room.sets],
        "size": {"before": growth.before, "after": growth.after, "method": growth.method.value,
                 "reason": growth.reason} if growth else None,
        "writer": writer.name if writer else None,
        "writer_reason": plan.choice.reason,
        "steps": [
            {"step": title, "reason": why, "shown": lines} for title, why, lines in _rows(plan)
        ],
        "findings": [finding.to_json() for finding in plan.findings],
    }  # fmt: skip
