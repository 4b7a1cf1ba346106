"""A fix removes the cause: for each form that people write, and never makes a file worse."""

from __future__ import annotations

import pytest

from support.lint_fixes import fixes_that_make_it_worse
from support.lint_hosts import FILTERS, H100, service
from wholecard.nova.lint import Service, lint
from wholecard.nova.lint.fixes import fixed
from wholecard.nova.options import Role

# T4s, which have no SR-IOV.
A = '{"name": "a", "vendor_id": "10de", "product_id": "1eb8"}'
B = '{"name": "b", "vendor_id": "10de", "product_id": "1e30"}'
MIXED = """{"name': "a", "vendor_id": "10de", "product_id": "1eb8"}"""
NAMES = FILTERS.partition(" = ")[2]
LIST = NAMES.split(",")

# Role, text, rule, words of the message, words of the fix, and the text after --fix (None: as is).
CAUSES: dict[str, tuple[Role | None, str, str, str, str, str | None]] = {
    "aliases on one line": (
        None, f"[pci]\nalias = {A},{B}\n", "WC217", "one value on a line", "alias = {…}",
        f"[pci]\nalias = {A}\nalias = {B}\n"),
    "aliases on one line with blanks": (
        None, f"[pci]\nalias = {A} {B}\n", "WC217", "one value on a line", "line of its own",
        f"[pci]\nalias = {A}\nalias = {B}\n"),
    "device_specs on one line": (
        None, f"[pci]\ndevice_spec = {H100}, {H100}\n", "WC217", "several objects", "of its own",
        f"[pci]\ndevice_spec = {H100}\ndevice_spec = {H100}\n"),
    "an alias in a list": (
        None, f"[pci]\nalias = [{A}]\n", "WC218", "a list of them is refused",
        "Take it out of the brackets", f"[pci]\nalias = {A}\n"),
    "aliases in a list": (
        None, f"[pci]\nalias = [{A}, {B}]\n", "WC218", "list", "line of its own",
        f"[pci]\nalias = {A}\nalias = {B}\n"),
    "an alias by class alone on a compute": (
        "compute", '[pci]\nalias = {"name": "a", "resource_class": "CUSTOM_A"}\n', "WC233",
        "", "or set [filter_scheduler] pci_in_placement = true for this service too", None),
    "an alias by class alone, before a compute reads the option": (
        "compute", '[pci]\nalias = {"name": "a", "vendor_id": "10de"}\n', "WC233", "",
        "Write vendor_id and product_id.", None),
    "a comment inside a value": (
        None, '[pci]\nalias = {"name": "a",\n   # the card\n   "vendor_id": "10de",\n'
        '   "product_id": "1eb8"}\n', "WC217", "a comment inside the value",
        "(line 3) above the option",
        '[pci]\nalias = {"name": "a",\n   "vendor_id": "10de",\n   "product_id": "1eb8"}\n'),
    "two kinds of quotes": (
        None, f"[pci]\nalias = {MIXED}\n", "WC217",
        "two kinds of quotes", "double quotes", f"[pci]\nalias = {A}\n"),
    "brackets for braces": (
        None, '[pci]\ndevice_spec = ["address": "0000:84:00.0"]\n', "WC217",
        "brackets around keys", "Write braces",
        '[pci]\ndevice_spec = {"address": "0000:84:00.0"}\n'),
    "a list as Python writes it": (
        "scheduler", f"[filter_scheduler]\nenabled_filters = {LIST}\n", "WC237",
        "brackets and quotes", "commas between", f"[filter_scheduler]\n{FILTERS}\n"),
    "a list in double quotes": (
        "scheduler", f'[filter_scheduler]\nenabled_filters = ["{LIST[0]}", "{LIST[1]}"]\n',
        "WC237", "brackets and quotes", "commas between", ""),
    "a list with blanks": (
        "scheduler", f"[filter_scheduler]\nenabled_filters = {' '.join(LIST)}\n", "WC237",
        "blanks between", "commas between", f"[filter_scheduler]\n{FILTERS}\n"),
    "the name of a list again": (
        "scheduler", f"[filter_scheduler]\nenabled_filters = {FILTERS}\n", "WC237",
        "begins with enabled_filters again", "commas between", f"[filter_scheduler]\n{FILTERS}\n"),
    "the name of an alias again": (
        None, f"[pci]\nalias = alias = {A}\n", "WC217", "begins with alias again", "Remove",
        f"[pci]\nalias = {A}\n"),
    "a wrapped list": (
        "scheduler", f"[filter_scheduler]\nenabled_filters = {','.join(LIST[:3])},\n"
        f"{','.join(LIST[3:])}\n", "WC201", "the rest of enabled_filters", "Indent the line",
        f"[filter_scheduler]\nenabled_filters = {','.join(LIST[:3])},\n    {','.join(LIST[3:])}\n"),
    "a variable that was not filled in": (
        None, '[pci]\ndevice_spec = {"devname": $dev_name}\n', "WC217",
        "$dev_name was not filled in", "Write the value", None),
    "two options on one line": (
        "scheduler", f"[scheduler]\nmax_placement_results = 50 max_attempts = 5\n"
        f"[filter_scheduler]\n{FILTERS}\n", "WC205", "max_attempts is on the line of",
        "on a line of its own", f"[scheduler]\nmax_placement_results = 50\nmax_attempts = 5\n"
        f"[filter_scheduler]\n{FILTERS}\n"),
    "traits in a list": (
        "compute", '[pci]\nreport_in_placement = true\ndevice_spec = {"vendor_id": "10de", '
        '"product_id": "2330", "traits": ["CUSTOM_X", "CUSTOM_Y"]}\n', "WC255", "list",
        '"traits": "CUSTOM_X,CUSTOM_Y"',
        '[pci]\nreport_in_placement = true\ndevice_spec = {"vendor_id": "10de", '
        '"product_id": "2330", "traits": "CUSTOM_X,CUSTOM_Y"}\n'),
}  # fmt: skip


def linted(role: Role | None, text: str) -> Service:
    """The service, a compute on a host that has cards."""
    on = ("gpu-01",) if role == "compute" else ()
    return service(text, role, "2025.2", *on)


@pytest.mark.parametrize("name", sorted(CAUSES))
def test_the_cause_is_named(name: str) -> None:
    """The message and the fix are about what was written, not about the rule."""
    role, text, rule, message, fix, _ = CAUSES[name]
    found = [one for one in lint([linted(role, text)]) if one.finding.rule == rule]
    assert any(message in one.finding.message and fix in one.finding.fix for one in found), found


@pytest.mark.parametrize("name", sorted(name for name in CAUSES if CAUSES[name][5]))
def test_the_fix_removes_it(name: str) -> None:
    """--fix writes what was meant, and every other byte stays."""
    role, text, *_, after = CAUSES[name]
    assert fixed([linted(role, text)], lint).texts == {"nova.conf": after}


@pytest.mark.parametrize("name", sorted(CAUSES))
def test_a_fix_never_makes_it_worse(name: str) -> None:
    """Each fix alone: fewer findings than before, and no new error."""
    role, text, *_ = CAUSES[name]
    assert list(fixes_that_make_it_worse([linted(role, text)])) == []
