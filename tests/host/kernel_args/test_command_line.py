"""Kernel arguments merged on a line, huge pages and isolated CPUs among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wholecard.core import UsageError
from wholecard.host.bootloaders.grub_defaults import edit
from wholecard.host.config_files import FileText
from wholecard.host.kernel_args.command_line import ARGUMENTS, KernelArgs, merge, words
from wholecard.host.kernel_args.cpu_isolation import isolation_groups, parse_cpus
from wholecard.host.kernel_args.hugepages import HugePages, hugepage_group

VTD = ARGUMENTS["vt-d"]
BOTH = "intel_iommu=on iommu=pt"
GROUP = KernelArgs(groups=(("hugepagesz=1G", "hugepages=8"),))


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        ("", VTD, BOTH),
        ("quiet", VTD, f"quiet {BOTH}"),
        ("quiet\n", VTD, f"quiet {BOTH}\n"),
        ("iommu=off  quiet", VTD, "iommu=pt  quiet intel_iommu=on"),
        ('dyndbg="file a.c +p" quiet', VTD, f'dyndbg="file a.c +p" quiet {BOTH}'),
        ('x="intel_iommu=off iommu=off"', VTD, f'x="intel_iommu=off iommu=off" {BOTH}'),
        ("quiet -- single", VTD, f"quiet {BOTH} -- single"),
        ("amd_iommu=off quiet", ARGUMENTS["amd-vi"], "quiet iommu=pt"),
        ("a hugepages=4 b", GROUP, "a hugepagesz=1G hugepages=8 b"),
        ("hugepagesz=2M hugepages=4 b hugepages=9", GROUP, "hugepagesz=1G hugepages=8 b"),
        ("hugepagesz=1G hugepages=8", GROUP, "hugepagesz=1G hugepages=8"),
        ("b", GROUP, "b hugepagesz=1G hugepages=8"),
    ],
)
def test_merge(before: str, wanted: KernelArgs, after: str) -> None:
    """A word is changed where it stands, else appended; quoting, white space and `--` stay."""
    assert merge([before], wanted) == [after]
    assert merge([after], wanted) == [after]


def test_merge_lines() -> None:
    """Of several lines each is changed where it has a word, and the last one gets the rest."""
    assert merge(["iommu=off", "quiet"], VTD) == ["iommu=pt", "quiet intel_iommu=on"]
    assert merge(["hugepages=1", "hugepages=2"], GROUP) == ["", "hugepagesz=1G hugepages=8"]


@given(
    st.lists(
        st.sampled_from(["quiet", "iommu=off", "hugepages=3", "hugepagesz=2M", 'a="b c"', "--"]),
        max_size=6,
    )
)
def test_others_stay(found: list[str]) -> None:
    """Words of other names keep their order, and merging again changes nothing."""
    wanted = KernelArgs(VTD.present, groups=GROUP.groups)
    (after,) = merge([" ".join(found)], wanted)
    assert merge([after], wanted) == [after]
    ours = ("iommu=", "intel_iommu=", "hugepages")
    assert [word for word in words(after) if not word.startswith(ours)] == [
        word for word in found if not word.startswith(ours)
    ]


@pytest.mark.parametrize(
    ("present", "requested", "group"),
    [
        ("", "1G:8", "default_hugepagesz=1G hugepagesz=1G hugepages=8"),
        (
            "hugepages=64",
            "1G:8",
            "default_hugepagesz=1G hugepagesz=1G hugepages=8 hugepagesz=2M hugepages=64",
        ),
        (
            "default_hugepagesz=1GB hugepagesz=1G hugepages=8",
            "1G:8",
            "default_hugepagesz=1GB hugepagesz=1G hugepages=8",
        ),
        (
            "default_hugepagesz=1G hugepages=4",
            "1G:8",
            "default_hugepagesz=1G hugepagesz=1G hugepages=8",
        ),
        (
            "hugepagesz=2M hugepages=0:64,1:64",
            "1G:8",
            "default_hugepagesz=1G hugepagesz=1G hugepages=8 hugepagesz=2M hugepages=0:64,1:64",
        ),
    ],
)
def test_hugepages(present: str, requested: str, group: str) -> None:
    """The requested size gets its count, pages of other sizes keep theirs, and what fits stays."""
    words = hugepage_group(present.split(), [HugePages.parse(requested)])
    assert words == tuple(group.split())
    assert hugepage_group(words, [HugePages.parse(requested)]) == words


def test_groups_in_grub() -> None:
    """A group in one assignment is changed there; one that two share is put together."""
    path, name = "/etc/default/grub", "GRUB_CMDLINE_LINUX"

    def edited(text: str) -> str:
        return "".join(each.text or "" for each in edit([FileText(path, text)], GROUP))

    assert edited(f'{name}="a hugepages=1 b"\n') == f'{name}="a hugepagesz=1G hugepages=8 b"\n'
    two = f'{name}="hugepages=1 a"\n{name}_DEFAULT="hugepages=2 b"\n'
    after = f'{name}="a"\n{name}_DEFAULT="b hugepagesz=1G hugepages=8"\n'
    assert edited(two) == after
    assert edited(after) == ""


def test_isolation() -> None:
    """Isolated CPUs are three arguments with one list; no list is none."""
    assert isolation_groups("2-3,6") == (
        ("isolcpus=managed_irq,domain,2-3,6",),
        ("nohz_full=2-3,6",),
        ("rcu_nocbs=2-3,6",),
    )
    assert isolation_groups("") == ()
    assert parse_cpus("2-3,6") == {2, 3, 6}


@pytest.mark.parametrize("text", ["", "a", "3-2", "1,,2", "1-", "1;reboot"])
def test_no_cpus(text: str) -> None:
    """What is not a list of CPUs is called wrong, not written."""
    with pytest.raises(UsageError, match="not a list of CPUs"):
        parse_cpus(text)


@pytest.mark.parametrize("text", ["", "1G", "4K:1", "1G:-1", "1G:1 quiet"])
def test_no_hugepages(text: str) -> None:
    """What is no size and count is called wrong, not written."""
    with pytest.raises(UsageError, match="is not a size and a count of huge pages"):
        HugePages.parse(text)
