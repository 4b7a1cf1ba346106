"""Device types that the ids alone tell."""

from __future__ import annotations

import pytest

from support.lint_hosts import ALIAS, H100, service
from wholecard.core import Severity
from wholecard.nova.lint import lint
from wholecard.nova.options import Role

PLAIN = ALIAS.replace(', "device_type": "type-PF"', "")


def notes(text: str, role: Role, *on: str) -> list[tuple[str, Severity, str]]:
    found = (one.finding for one in lint([service(f"[pci]\n{text}\n", role, "2025.2", *on)]))
    return [(one.rule, one.severity, one.message) for one in found]


@pytest.mark.parametrize("role", ["api", "compute"])
@pytest.mark.parametrize(
    "alias",
    [
        PLAIN,
        ALIAS.replace("type-PF", "type-PCI"),
        PLAIN.replace("2330", "20B5"),
        PLAIN.replace("2330", "27b8"),
    ],
)
def test_known(role: Role, alias: str) -> None:
    """An alias for an H100, A100 or L4 that requests no PFs is noted, and said to be unchecked."""
    ((rule, severity, message),) = notes(f"alias = {alias}", role)
    assert (rule, severity) == ("WC254", Severity.NOTE)
    assert "not checked on a host" in message


@pytest.mark.parametrize(
    ("text", "role"),
    [
        (f"alias = {ALIAS}", "api"),
        (f"alias = {ALIAS.replace('type-PF', 'type-VF')}", "api"),
        (f"alias = {PLAIN.replace('2330', '1eb8')}", "api"),
        ('alias = {"name": "x", "resource_class": "CUSTOM_X"}', "api"),
        (f"device_spec = {H100}", "compute"),
    ],
)
def test_quiet(text: str, role: Role) -> None:
    """Nothing is said of PFs and VFs, of models that are not known, and of no ids."""
    assert "WC254" not in {rule for rule, *_ in notes(text, role)}


def test_facts_decide() -> None:
    """With facts of a host that has such cards the finding is the checked one, an error."""
    text = f"device_spec = {H100}\nalias = {PLAIN}"
    ((rule, severity, message),) = notes(text, "compute", "gpu-01")
    assert (rule, severity) == ("WC254", Severity.ERROR)
    assert "ids alone" not in message
