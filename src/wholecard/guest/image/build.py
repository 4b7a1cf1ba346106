"""`build`: the base fetched, grown, written and packed, each stage kept until the image is whole.

The cache folder has `base/SHA256`, and `work/` with the stages of unfinished builds. A stage is
named after all that went into it and takes its name when it is whole, so a build that was killed
goes on from its last stage, and a changed recipe takes the growth as it is. Of a killed build
nothing is left at the output.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import Finding, RefusedError, UsageError, WholecardError, run
from wholecard.core.secrets import redacted
from wholecard.core.units import size_text
from wholecard.guest.image import download
from wholecard.guest.image.build_plan import BaseFacts, BuildPlan, Choice, plan_build
from wholecard.guest.image.build_record import (
    BuildRecord,
    RecordedStep,
    now,
    record_path,
    record_text,
)
from wholecard.guest.image.build_request import BuildRequest, change_json, recipe_sha256
from wholecard.guest.image.disk_image import disk_space_needed, examine, require_disk_space
from wholecard.guest.image.grow import Growth, GrowthMethod, grow
from wholecard.guest.image.image_tools import found, run_tool, tool
from wholecard.guest.image.image_tree import PREFIX, look_at_image
from wholecard.guest.image.package_tools import command_text, guest_changes
from wholecard.guest.image.partitions import read_layout
from wholecard.guest.image.recipe import RunInGuest
from wholecard.guest.image.writer import Say, Target, Writer
from wholecard.transaction.atomic_files import digest, scratch, write_atomically
from wholecard.transaction.locks import locked

_PARTIAL = ".partial"
_HOUR = 3600.0
_OLD = 7 * 24 * _HOUR


@dataclass(frozen=True)
class BuiltImage:
    """A finished build; `record` is None where the guest does the steps (`--on-boot`).

    `findings` are what a look at the image's root showed; `not_looked_at` says why there was none,
    and is empty where there was one, or nothing to look for.
    """

    file: Path
    record: BuildRecord | None
    findings: tuple[Finding, ...] = ()
    not_looked_at: str = ""


@dataclass(frozen=True)
class Watcher:
    """Who is told: `say` of each stage that begins, `fetched` of the bytes of a download."""

    say: Say = lambda _text: None
    fetched: Callable[[int, int], None] = lambda _here, _size: None


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/wholecard/images`, `~/.cache/wholecard/images` without the variable."""
    above = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(above, "wholecard", "images")


def read_base(path: Path, *, thorough: bool = False) -> BaseFacts:
    """The base image in a file. Raises UsageError where it cannot be used."""
    image = examine(path, thorough=thorough)
    return BaseFacts(image, read_layout(image))


def known_base(request: BuildRequest, cache: Path) -> Path | None:
    """The base's file, None where it has not been fetched."""
    if request.base.path is not None:
        return request.base.path
    return download.cached(cache / "base", request.base.sha256 or "")


def plan(request: BuildRequest, choice: Choice, cache: Path) -> BuildPlan:
    """What `build` would do; reads the base where it is here, and changes nothing.

    Raises UsageError where the base cannot be used.
    """
    if not _is_on_boot(choice):
        _require_another_file(request)
    path = known_base(request, cache)
    facts = None if path is None or _is_on_boot(choice) else read_base(path)
    return plan_build(request, facts, choice, has_virt_resize=found("virt-resize") is not None)


def build(
    request: BuildRequest, choice: Choice, cache: Path, watcher: Watcher, *, offline: bool = False
) -> BuiltImage:
    """Build the image, and its record beside it; with `--on-boot` write the user data.

    Raises RefusedError for findings that prevent it, before anything is written; UsageError where
    the base is unusable or a tool is missing; FetchError; WholecardError where a stage fails.
    """
    if _is_on_boot(choice) and choice.writer is not None:
        choice.writer.write(request.recipe, request.output, watcher.say)
        return BuiltImage(request.output, None)
    # What can be known without the base is said before a download of hours.
    _refuse(plan_build(request, None, choice))
    _require_output(request)
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    brief = "another build uses the cache of images"
    resolution = "Wait for it, or let XDG_CACHE_HOME name another folder."
    with locked(cache / "lock", brief, resolution):
        return _Build(request, choice, cache, watcher, offline).run()


def _is_on_boot(choice: Choice) -> bool:
    return choice.writer is not None and choice.writer.target is Target.USER_DATA


def _refuse(plan: BuildPlan) -> None:
    if plan.errors:
        raise RefusedError(
            f"the image {plan.request.name} is not built",
            plan.errors,
            "\n".join(dict.fromkeys(finding.fix for finding in plan.errors)),
        )


def _require_another_file(request: BuildRequest) -> None:
    output = request.output
    if request.base.path is not None and output.resolve() == request.base.path.resolve():
        raise UsageError(
            f"{output} is the base image", resolution="Write the image to another file: --output."
        )


def _require_output(request: BuildRequest) -> None:
    output = request.output
    _require_another_file(request)
    if not output.parent.is_dir():
        raise UsageError(
            f"there is no folder {output.parent}", resolution="Make it, or use --output FILE."
        )
    if output.exists() and not output.is_file():
        raise UsageError(f"{output} is not a plain file", resolution="Use --output FILE.")


@dataclass(frozen=True)
class _Build:
    """One run of the stages, with the cache's lock held."""

    request: BuildRequest
    choice: Choice
    cache: Path
    watcher: Watcher
    offline: bool

    def run(self) -> BuiltImage:
        work = self.cache / "work"
        work.mkdir(exist_ok=True)
        for left_over in work.glob(f"*{_PARTIAL}*"):
            left_over.unlink()
        for left_over in work.glob(f"{PREFIX}*"):
            shutil.rmtree(left_over)
        base, base_sha256 = self._base()
        self.watcher.say("examining the base image")
        facts = read_base(base, thorough=True)
        decided = plan_build(self.request, facts, self.choice,
                             has_virt_resize=found("virt-resize") is not None)  # fmt: skip
        _refuse(decided)
        growth = decided.growth
        if growth is None:
            raise AssertionError("a plan with a base has a growth")
        identity = recipe_sha256(self.request, base_sha256)
        grown = work / f"grown-{_key(base_sha256, str(growth.after), growth.method.value)}.raw"
        written = work / f"written-{_key(identity, self._writer_name())}.raw"
        _remove_old(work, (grown, written))
        if not written.exists():
            require_disk_space(work, disk_space_needed(facts.image, self.request.room.needed))
            self._stage(grown, lambda target: self._grow(facts, growth, target))
            self._stage(written, lambda target: self._write(grown, target))
        findings, not_looked_at = self._look(written, facts)
        record = self._pack(written, base_sha256, identity, growth)
        for stage in (grown, written):
            stage.unlink(missing_ok=True)
        return BuiltImage(self.request.output, record, findings, not_looked_at)

    def _base(self) -> tuple[Path, str]:
        """The base's file and its SHA-256."""
        base = self.request.base
        if base.path is None:
            source = download.Source(base.addresses, base.sha256 or "")
            self.watcher.say(
                f"looking for {base.text}" if self.offline else f"fetching {base.text}"
            )
            path = download.fetch(
                source, self.cache / "base", self.watcher.fetched, offline=self.offline
            )
            return path, source.sha256
        examine(base.path)
        actual = digest(base.path)
        if base.sha256 not in (None, actual):
            raise UsageError(
                f"{base.path} has another checksum",
                f"its SHA-256 is {actual}, the site file has {base.sha256}",
                "Fetch it again, or correct sha256.",
            )
        return base.path, actual

    def _stage(self, path: Path, make: Callable[[Path], None]) -> None:
        """Make a stage where it is not there; half of one never has its name."""
        if path.exists():
            return
        partial = path.with_name(f"{path.name}{_PARTIAL}")
        with _gone_if_it_fails(partial):
            make(partial)
            partial.replace(path)

    def _grow(self, facts: BaseFacts, growth: Growth, target: Path) -> None:
        self.watcher.say("unpacking the base image")
        run_tool("qemu-img", "convert", "-f", facts.image.format, "-O", "raw",
                 str(facts.image.path), str(target), timeout=_HOUR)  # fmt: skip
        grow(target, growth, facts.layout, self.watcher.say)

    def _write(self, grown: Path, target: Path) -> None:
        writer = self.choice.writer
        if writer is None:
            # Nothing is written: the stage is the one before.
            os.link(grown, target)
            return
        self.watcher.say("copying the grown image")
        run(["cp", "--reflink=auto", "--sparse=always", "--", str(grown), str(target)],
            timeout=_HOUR)  # fmt: skip
        writer.write(self.request.recipe, target, self.watcher.say)

    def _look(self, written: Path, facts: BaseFacts) -> tuple[tuple[Finding, ...], str]:
        """What the root shows, or why nothing was seen: a look prevents no image."""
        if not self.request.looks:
            return (), ""
        self.watcher.say("looking for the drivers in the image")
        try:
            return look_at_image(written, facts.layout, self.request.looks, written.parent), ""
        except WholecardError as error:
            return (), error.brief

    def _pack(self, written: Path, base_sha256: str, identity: str, growth: Growth) -> BuildRecord:
        """The compressed image and its record, put in place when both are whole."""
        output = self.request.output
        fresh = scratch(output)
        self.watcher.say(f"packing {output.name}")
        with _gone_if_it_fails(fresh):
            run_tool("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", str(written),
                     str(fresh), timeout=2 * _HOUR)  # fmt: skip
            image = examine(fresh)
            if image.virtual_size < growth.after:
                raise UsageError(
                    f"the packed image has {size_text(image.virtual_size)}",
                    resolution="Build it again; the disk may be full.",
                )
            record = BuildRecord(
                name=self.request.name,
                os=self.request.recipe.os.name,
                recipe_sha256=identity,
                base=self.request.base.text,
                base_sha256=base_sha256,
                virtual_size=image.virtual_size,
                growth=growth.method.value,
                writer=None if self.choice.writer is None else self.choice.writer.name,
                steps=recorded_steps(self.request),
                sha256=digest(fresh),
                size=fresh.stat().st_size,
                built=now(),
                tools=_versions(self.choice.writer, growth),
            )
            # The record last: without it, or with another file's, the image is not a built one.
            fresh.replace(output)
        write_atomically(record_path(output), record_text(record).encode(), 0o644)
        return record

    def _writer_name(self) -> str:
        return self.choice.writer.name if self.choice.writer else "none"


def recorded_steps(request: BuildRequest) -> tuple[RecordedStep, ...]:
    """Each file and command of the recipe, as a record has it."""
    steps = []
    for change in guest_changes(request.recipe):
        if isinstance(change, RunInGuest):
            steps.append(RecordedStep("run", redacted(command_text(change)), change.reason))
        else:
            sha256 = str(change_json(change)["sha256"])
            steps.append(RecordedStep("file", change.path, change.reason, sha256))
    return tuple(steps)


def _versions(writer: Writer | None, growth: Growth) -> tuple[str, ...]:
    """The first line of `--version` of the programs that made the image."""
    programs = ["qemu-img"]
    if growth.method is GrowthMethod.E2FSPROGS:
        programs.append("sfdisk")
    if growth.method is GrowthMethod.VIRT_RESIZE:
        programs.append("virt-resize")
    if writer is not None and found(writer.name):
        programs.append(writer.name)
    lines: list[str] = []
    for program in programs:
        result = run([tool(program), "--version"], timeout=60, check=False)
        lines += result.stdout.strip().splitlines()[:1]
    return tuple(lines)


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _remove_old(work: Path, kept: Sequence[Path]) -> None:
    """Remove the stages of builds that nobody went on with."""
    for stage in work.glob("*.raw"):
        if stage not in kept and stage.stat().st_mtime < time.time() - _OLD:
            stage.unlink()


@contextlib.contextmanager
def _gone_if_it_fails(*paths: Path) -> Iterator[Sequence[Path]]:
    try:
        yield paths
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise
