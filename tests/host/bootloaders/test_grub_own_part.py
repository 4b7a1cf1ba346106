"""Wholecard's own part of GRUB's settings, read by a real shell as grub-mkconfig reads it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.tree import grow
from wholecard.core import WholecardError
from wholecard.host.bootloaders.grub_own_part import (
    change_in_place,
    change_part,
    configured_command_line,
)
from wholecard.host.bootloaders.registry import BootState
from wholecard.host.config_files import GRUB, GRUB_PART, FileText, Settings
from wholecard.host.kernel_args.command_line import ARGUMENTS, KernelArgs

D = "GRUB_CMDLINE_LINUX_DEFAULT"
L = "GRUB_CMDLINE_LINUX"
INTEL, AMD = ARGUMENTS["vt-d"], ARGUMENTS["amd-vi"]
PAGES = KernelArgs(
    INTEL.present, groups=(("default_hugepagesz=1G", "hugepagesz=1G", "hugepages=8"),)
)


def state(grub: str, **parts: str) -> BootState:
    """The settings with these parts, in the order of their names."""
    files = [FileText(f"/etc/default/grub.d/{name}.cfg", parts[name]) for name in sorted(parts)]
    return BootState(Settings((FileText(GRUB, grub), *files)))


def changed(before: BootState, files: tuple[FileText, ...]) -> BootState:
    """The settings after these files were written."""
    texts = {file.path: file for file in (*before.settings.files, *files)}
    first = texts.pop(GRUB)
    return BootState(Settings((first, *(texts[path] for path in sorted(texts)))))


def sourced(root: Path, after: BootState) -> list[str]:
    """What a shell makes of the settings."""
    grow(root, {file.path[1:]: file.text or "" for file in after.settings.files})
    parts = " ".join(f'. "$1{file.path}";' for file in after.settings.files)
    script = f'set -e; {parts} printf "%s %s" "${L}" "${D}"'
    call = ["sh", "-c", script, "sh", str(root)]
    return subprocess.run(call, capture_output=True, text=True, check=True).stdout.split()


QUIET = f'{D}="quiet"\n{L}=""\n'
FORMS = {
    "plain": state(QUIET),
    "set in single quotes": state(f"{D}='quiet'\n"),
    "a package's drop-in": state(QUIET, kdump=f'{D}="${D} crashkernel=2G-4G:320M"\n'),
    "${X:+$X }": state(QUIET, ttm=f'{L}="${{{L}:+${L} }}ttm.pages_limit=32768000"\n'),
    "sed over itself": state(QUIET, zz=f'{D}="$(echo " ${{{D}}} " | sed -e "s/ quiet / /")"\n'),
    "another variable": state(QUIET, x=f'EXTRA="a=b"\n{D}="${{{D}:+${D} }}$EXTRA"\n'),
    "an if": state(QUIET, y=f'if :; then\n  {D}="${D} nomodeset"\nfi\n'),
    "two lines": state(f'{D}="quiet \\\n  splash"\n'),
    "a comment without space": state(f'{D}="quiet"#note\n'),
    "a default": state(f': "${{{L}:=console=ttyS0}}"\n{D}=quiet\n'),
    "another file": state(f'{D}="quiet"\nif :; then . /dev/null; fi\n'),
    "off": state(f'{D}="quiet iommu=off intel_iommu=off,sm_on"\n{L}="iommu=nopt a"\n'),
    "off, not plain": state(f'{D}="$(echo iommu=off quiet) intel_iommu=off"\n'),
    "for init": state(f'{D}="quiet"\n{L}="console=ttyS0 -- single"\n'),
    "for init, not plain": state(f'{D}="quiet -- $(echo single)"\n'),
    "nothing": state(""),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("kernel_args", [INTEL, AMD, PAGES], ids=["intel", "amd", "pages"])
def test_drop_in(tmp_path: Path, name: str, kernel_args: KernelArgs) -> None:
    """Whatever shell is before it, the kernel gets the arguments and keeps the others' words."""
    before = FORMS[name]
    files = change_part(before, kernel_args)
    assert [file.path for file in files] == [GRUB_PART]
    after = changed(before, files)
    given = sourced(tmp_path / "after", after)
    read = given[: given.index("--")] if "--" in given else given
    wanted = str(kernel_args).split()
    assert [word for word in wanted if word not in read and f"{word},sm_on" not in read] == []
    assert not {"iommu=off", "iommu=nopt", "intel_iommu=off"}.intersection(
        read if kernel_args is not AMD else [word for word in read if word[:5] == "iommu"]
    )
    assert {"quiet", "console=ttyS0", "nomodeset"} & {*sourced(tmp_path / "b", before)} <= {*given}
    assert configured_command_line(after) in (None, " ".join(read))
    assert change_part(after, kernel_args) == ()


def test_other_arguments() -> None:
    """The part is made anew from what the others set: what is no longer asked for goes."""
    before = FORMS["plain"]
    after = changed(before, change_part(before, PAGES))
    (again,) = change_part(after, INTEL)
    assert again == change_part(before, INTEL)[0]


def test_nothing_lacks() -> None:
    """Where the others set the arguments there is no part; one that exists becomes empty."""
    before = state(f'{D}="quiet intel_iommu=on,sm_on iommu=pt"\n')
    assert change_part(before, INTEL) == ()
    (part,) = change_part(changed(before, (FileText(GRUB_PART, "x=y\n"),)), INTEL)
    assert part.text is not None
    assert [line for line in part.text.splitlines() if not line.startswith("#")] == []


def test_group_in_its_place() -> None:
    """Words of a group that is asked for differently are taken out, and come behind the others."""
    before = state(f'{D}="quiet hugepages=4 hugepagesz=1G"\n')
    after = changed(before, change_part(before, PAGES))
    line = configured_command_line(after)
    assert line == f"quiet {PAGES}"


def test_removed(tmp_path: Path) -> None:
    """amd_iommu=off is taken out as a whole word, wherever it is."""
    before = state(f'{D}="amd_iommu=off xamd_iommu=off amd_iommu=off amd_iommu=off"\n')
    after = changed(before, change_part(before, AMD))
    assert sourced(tmp_path, after) == ["xamd_iommu=off", "iommu=pt"]


def test_read_after_it() -> None:
    """A file that is read after ours could undo it: it is named."""
    with pytest.raises(WholecardError, match=r"/zzzz.cfg is read after") as caught:
        change_part(state(QUIET, zzzz=f'{D}="${D} x"\n'), INTEL)
    assert change_part(state(QUIET, zzzz="GRUB_TIMEOUT=1\n"), INTEL)
    assert "sort before" in caught.value.resolution


EL_7 = f'{L}="crashkernel=auto $([ -x /x ] && /x || :) rhgb quiet"\nGRUB_TIMEOUT=5\n'


@pytest.mark.parametrize("text", [EL_7, EL_7.rstrip("\n"), f'{L}="a -- b"\n'])
@pytest.mark.parametrize("kernel_args", [INTEL, PAGES], ids=["intel", "pages"])
def test_block(tmp_path: Path, text: str, kernel_args: KernelArgs) -> None:
    """Where no drop-in is read and a value is more than plain, a block goes behind it, once."""
    before = state(text)
    (file,) = change_in_place(before, kernel_args)
    assert file.text is not None
    assert file.text.startswith(text)
    after = changed(before, (file,))
    assert change_in_place(after, kernel_args) == ()
    given = sourced(tmp_path, after)
    assert {*str(kernel_args).split()} <= {*given[: [*given, "--"].index("--")]}
    (other,) = change_in_place(after, INTEL if kernel_args is PAGES else PAGES)
    assert (other.text or "").count("# The end") == 1


def test_plain_in_place() -> None:
    """Where no drop-in is read, a plain value is changed in its place."""
    (file,) = change_in_place(state(QUIET), INTEL)
    assert file.text == f'{D}="quiet intel_iommu=on iommu=pt"\n{L}=""\n'


def test_parts_that_nobody_reads() -> None:
    """Where no drop-in is read, files beside /etc/default/grub are neither read nor changed."""
    settings = state(QUIET, x=f'{D}="intel_iommu=on iommu=pt"\n').settings
    before = BootState(settings, distribution="rocky 9.5 rhel centos fedora")
    assert not before.reads_parts
    assert configured_command_line(before) == "quiet"
    assert [file.path for file in change_in_place(before, INTEL)] == [GRUB]
