"""Kernel arguments in GRUB's settings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wholecard.core import WholecardError
from wholecard.host.bootloaders.grub_defaults import edit
from wholecard.host.bootloaders.grub_own_part import configured_command_line
from wholecard.host.bootloaders.registry import BootState
from wholecard.host.config_files import FileText, Settings
from wholecard.host.kernel_args.command_line import ARGUMENTS

GRUB = "/etc/default/grub"
PART = "/etc/default/grub.d/50-cloud.cfg"
D = "GRUB_CMDLINE_LINUX_DEFAULT"
L = "GRUB_CMDLINE_LINUX"


def edited(text: str, kind: str = "vt-d", part: str | None = None) -> tuple[str, str | None]:
    files = [FileText(GRUB, text)] + ([FileText(PART, part)] if part is not None else [])
    changed = {each.path: each.text or "" for each in edit(files, ARGUMENTS[kind])}
    return changed.get(GRUB, text), changed.get(PART, part)


CASES = [
    ("", f'{D}="intel_iommu=on iommu=pt"\n'),
    (f'{D}="quiet"\n', f'{D}="quiet intel_iommu=on iommu=pt"\n'),
    (f"{D}='quiet splash' # kept\n", f"{D}='quiet splash intel_iommu=on iommu=pt' # kept\n"),
    (f"{D}=quiet\n", f'{D}="quiet intel_iommu=on iommu=pt"\n'),
    (f"{D}=\n", f'{D}="intel_iommu=on iommu=pt"\n'),
    (f'{D}=""', f'{D}="intel_iommu=on iommu=pt"'),
    (f'{D}="a"\r\nX=1\r\n', f'{D}="a intel_iommu=on iommu=pt"\r\nX=1\r\n'),
    (
        f'{D}="quiet"\n{L}="console=ttyS0,115200 intel_iommu=off"\n',
        f'{D}="quiet iommu=pt"\n{L}="console=ttyS0,115200 intel_iommu=on"\n',
    ),
    (f'{L}="intel_iommu=off,sm_on iommu=off"', f'{L}="intel_iommu=on,sm_on iommu=pt"'),
    (f'{L}="intel_iommu=sm_on  iommu=nopt"', f'{L}="intel_iommu=on,sm_on  iommu=pt"'),
    (f'{L}="intel_iommu=on,sm_on iommu=pt"', f'{L}="intel_iommu=on,sm_on iommu=pt"'),
    (f'{D}="a"\n{D}="b"\n', f'{D}="a"\n{D}="b intel_iommu=on iommu=pt"\n'),
    (f'{D}="iommu=pt"\n{D}="b"\n', f'{D}="iommu=pt"\n{D}="b intel_iommu=on iommu=pt"\n'),
    (f'{D}="iommu=pt"\n{D}="${D} b"\n', f'{D}="iommu=pt"\n{D}="${D} b intel_iommu=on"\n'),
    (f'#{D}="x"\nexport {D}="y"\n', f'#{D}="x"\nexport {D}="y intel_iommu=on iommu=pt"\n'),
    (
        "GRUB_DISTRIBUTOR=`( . /etc/os-release && echo ${NAME} )`\n" + f'{D}="a"\n',
        "GRUB_DISTRIBUTOR=`( . /etc/os-release && echo ${NAME} )`\n"
        f'{D}="a intel_iommu=on iommu=pt"\n',
    ),
]


@pytest.mark.parametrize(("before", "after"), CASES)
def test_edit(before: str, after: str) -> None:
    """An argument is changed where it stands, else appended; the rest stays."""
    assert edited(before)[0] == after
    assert edited(after)[0] == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f'{D}="quiet amd_iommu=off"\n', f'{D}="quiet iommu=pt"\n'),
        (f'{L}="amd_iommu=off a"\n{D}="iommu=pt"\n', f'{L}="a"\n{D}="iommu=pt"\n'),
        (f'{L}="amd_iommu=off"\n{D}="iommu=pt"\n', f'{L}=""\n{D}="iommu=pt"\n'),
    ],
)
def test_amd(before: str, after: str) -> None:
    """On AMD-Vi only iommu=pt is asked for, and amd_iommu=off goes."""
    assert edited(before, "amd-vi")[0] == after


@pytest.mark.parametrize(
    ("part", "after"),
    [
        (f'{D}="console=ttyS0"\n', f'{D}="console=ttyS0 intel_iommu=on iommu=pt"\n'),
        (f'{D}="${D} crash"\n', f'{D}="${D} crash intel_iommu=on iommu=pt"\n'),
        ("X=1\n", "X=1\n"),
    ],
)
def test_parts(part: str, after: str) -> None:
    """The last file that sets the arguments is the one in effect, so it is the one edited."""
    grub, edited_part = edited(f'{D}="quiet"\n', part=part)
    assert edited_part == after
    assert (grub == f'{D}="quiet"\n') == (part != "X=1\n")


@pytest.mark.parametrize(
    "line",
    [
        f'{D}="$(cat /x)"',
        f'{D}="${{OTHER}} a"',
        f'{D}="`date`"',
        f'{D}="a \\\n b"',
        f'{D}="a\nb"',
        f"{D}='a'\"b\"",
        f'{D}="a" {L}="b"',
        f'{D}+=" a"',
        f'  {D}="a"',
        f'if x; then {D}="a"; fi',
        f"{D}=a\\ b",
        f'{D}="a',
    ],
)
def test_refuses(line: str) -> None:
    """What is not one plain value on one line is refused by file and line, not garbled."""
    with pytest.raises(WholecardError, match=r"cannot edit GRUB_CMDLINE_LINUX.* line 2"):
        edited(f"X=1\n{line}\n")


WORDS = st.lists(
    st.sampled_from(
        [
            "quiet",
            "iommu=off",
            "iommu=pt",
            "intel_iommu=off",
            "intel_iommu=on",
            "console=ttyS0,1",
            "é",
        ]
    ),
    max_size=5,
)
LINES = st.one_of(
    st.builds(
        lambda name, quote, words: f"{name}={quote}{' '.join(words)}{quote}",
        st.sampled_from([D, L]),
        st.sampled_from(["'", '"']),
        WORDS,
    ),
    st.sampled_from(["", "# comment", "GRUB_TIMEOUT=5", f"#{D}=x", 'GRUB_TERMINAL="console"']),
)


@given(st.lists(LINES, max_size=6), st.booleans())
def test_other_bytes(lines: list[str], end: bool) -> None:
    """Lines that set no arguments keep every byte, and editing again changes nothing."""
    text = "\n".join(lines) + "\n" * end
    after, _ = edited(text)
    assert edited(after)[0] == after

    def others(whole: str) -> list[str]:
        return [line for line in whole.split("\n") if line and not line.startswith((D, L))]

    assert others(after) == others(text)
    assert "iommu=off" not in after


def test_order() -> None:
    """The kernel gets GRUB_CMDLINE_LINUX first, whatever the file's order."""
    text = f'{D}="quiet"\n{L}="console=ttyS0"\n'
    state = BootState(Settings((FileText(GRUB, text),)), "")
    assert configured_command_line(state) == "console=ttyS0 quiet"


@pytest.mark.parametrize("value", ['"a\\ b"', '"a\\"b"', "a\\ b", '"$(id)"', '"`id`"', '"${X}"'])
def test_not_literal(value: str) -> None:
    """A value in which the shell changes something is not taken as it is written."""
    with pytest.raises(WholecardError):
        edited(f"{D}={value}\n")
