"""Types of mediated devices in a compute's files: beyond the examples of the pages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.lint_hosts import service, slices
from wholecard.core import Severity
from wholecard.host.facts.offered_slices import MdevType, OfferedSlices
from wholecard.nova.lint import Facts, lint
from wholecard.nova.lint.coverage import not_checked
from wholecard.nova.lint.service import Service
from wholecard.nova.options import Role

ONE = "[devices]\nenabled_mdev_types = nvidia-35\n"
TWO = "[devices]\nenabled_mdev_types = nvidia-35, nvidia-36\n"
A, B = "0000:84:00.0", "0000:85:00.0"


def section(name: str, *lines: str) -> str:
    return "\n".join([f"[mdev_{name}]", *lines, ""])


def found(
    text: str, series: str = "2025.2", *on: str, role: Role = "compute"
) -> list[tuple[str, str]]:
    diagnostics = lint([service(text, role, series, *on)])
    return [(one.finding.rule, one.finding.message) for one in diagnostics]


def rules(text: str, series: str = "2025.2", *on: str) -> list[str]:
    return [rule for rule, _ in found(text, series, *on)]


@pytest.mark.parametrize(
    ("text", "series", "expected"),
    [
        (ONE, "queens", ["WC212"]),
        (TWO.replace("mdev", "vgpu"), "train", ["WC266"]),
        (ONE + section("nvidia-35", "mdev_class = CUSTOM_A"), "2023.2", ["WC266"]),
        (ONE + section("nvidia-35", "mdev_class = CUSTOM_A"), "2024.1", ["WC268"]),
        (ONE + section("nvidia-35", "max_instances = 4"), "2023.2", ["WC212"]),
        (ONE + section("nvidia-35", f"device_addresses = {A}, {A}"), "2025.2", ["WC264"]),
        (ONE + section("nvidia-35", "device_addresses = 84:00.0"), "2025.2", ["WC265"]),
        (ONE + section("nvidia-35", "device_addresses = mtty_mtty"), "2026.1", ["WC265"]),
        (ONE + section("nvidia-35", "device_addresses = mtty_mtty"), "2026.2", []),
        (ONE + section("nvidia-35", "mdev_class = vgpu"), "2025.2", ["WC207"]),
        (ONE + section("nvidia-35", "max_instances = 0"), "2025.2", ["WC207"]),
        (ONE + section("nvidia-35", "max_instances = many"), "2025.2", ["WC207"]),
        (ONE + "[vgpu_nvidia-35]\ndevice_addresses = 0000:84:00.0\n", "2025.2", ["WC211"]),
        (ONE + section("nvidia-35", "device_adresses = 0000:84:00.0"), "2025.2", ["WC214"]),
        (ONE + section("nvidia-53", "max_instances = 4"), "2025.2", ["WC204"]),
        (section("nvidia-35", "max_instances = 4"), "2025.2", ["WC204"]),
        (TWO + section("nvidia-36", f"device_addresses = {A}"), "2023.2", ["WC266"]),
        (TWO + section("nvidia-36", f"device_addresses = {A}", "mdev_class = CUSTOM_B"), "2025.2",
         []),
        ("[devices]\nenabled_mdev_types = $types\n", "2025.2", ["WC208"]),
    ],
)  # fmt: skip
def test_the_file_alone(text: str, series: str, expected: list[str]) -> None:
    """Each release reads types and sections in its own way."""
    assert rules(text, series) == expected


def test_other_roles_have_no_types() -> None:
    """nova-api reads no types: its file is told so, and nothing else."""
    assert [rule for rule, _ in found(TWO, role="api")] == ["WC215"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ONE + section("nvidia-35", "max_instances = 24"), []),
        (ONE + section("nvidia-35", "max_instances = 8"), []),
        (ONE + section("nvidia-35", "max_instances = 9"), [("WC267", Severity.WARNING)]),
        (ONE + section("nvidia-35", "max_instances = 1"), [("WC267", Severity.ERROR)]),
        ("[devices]\nenabled_mdev_types = nvidia-36\n" + section("nvidia-36", "max_instances = 3"),
         [("WC267", Severity.ERROR)]),
        ("[devices]\nenabled_mdev_types = nvidia-53\n", [("WC269", Severity.ERROR)]),
    ],
)  # fmt: skip
def test_against_a_host(text: str, expected: list[tuple[str, Severity]]) -> None:
    """A limit is a finding where it leaves less than it allows; a type where nobody offers it."""
    diagnostics = lint([service(text, "compute", "2025.2", "vgpu-01")])
    seen = [(one.finding.rule, one.finding.severity) for one in diagnostics]
    assert seen == expected


def with_slices(text: str, offered: OfferedSlices | None) -> Service:
    made = service(text, "compute", "2026.2", "vgpu-01")
    return replace(made, facts=(Facts("vgpu-01", replace(made.facts[0].host, slices=offered)),))


def test_a_type_is_named_as_in_sysfs() -> None:
    """For the vendor's name of a type the fix has the name that nova needs."""
    (one,) = lint([service("[devices]\nenabled_mdev_types = GRID M60-2Q\n", "compute", "2025.2",
                           "vgpu-01")])  # fmt: skip
    assert one.finding.fix == "Write nvidia-36."


def test_without_any_type_the_other_way_is_named() -> None:
    """On a host without mediated devices the fix says where vGPUs are then."""
    (one,) = lint([with_slices(ONE, OfferedSlices())])
    assert "no device there offers mediated devices" in one.finding.message
    assert "device_spec" in one.finding.fix


def test_mtty_needs_its_name() -> None:
    """mtty's parent gets a type that names it, and counts to the type's limit."""
    mtty = OfferedSlices((MdevType("mtty", "mtty-2", "", 12),))
    text = "[devices]\nenabled_mdev_types = mtty-2\n[mdev_mtty-2]\ndevice_addresses = mtty_mtty\n"
    assert lint([with_slices(text, mtty)]) == []
    (one,) = lint([with_slices(text + "max_instances = 2\n", mtty)])
    assert "it removes mtty_mtty and offers 0" in one.finding.message
    (one,) = lint([with_slices(text.replace("= mtty_mtty", "= mtty_other"), mtty)])
    assert one.finding.rule == "WC265"


def test_capital_letters_are_fixed() -> None:
    """An address with capital letters is written with small ones by --fix."""
    made = service(ONE + section("nvidia-35", "device_addresses = 0000:8A:00.0"), "compute")
    ((edit,),) = (one.edits for one in lint([made]))
    assert (edit.file.text[edit.start : edit.end], edit.text) == ("0000:8A:00.0", "0000:8a:00.0")


def test_facts_without_types_are_said() -> None:
    """Older facts have no types: the summary says what would add them."""
    made = with_slices(ONE, None)
    assert any("wholecard-host inspect --json" in line for line in not_checked([made], []))
    full = with_slices(ONE, slices())
    assert not any("inspect --json" in line for line in not_checked([full], []))
