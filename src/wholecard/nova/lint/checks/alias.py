"""`alias` by itself: keys, values, and aliases of one name beside each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wholecard.core.capabilities import Capability
from wholecard.core.near_names import NearNames
from wholecard.nova.lint.checks.device_spec import wrong_keys
from wholecard.nova.lint.diagnostic import Diagnostic, TextEdit, entry_diagnostic
from wholecard.nova.lint.option_spelling import series
from wholecard.nova.lint.service import ReadAlias, Service
from wholecard.nova.match import AliasError, parse_aliases
from wholecard.nova.options import ALIAS_KEYS, NUMA_POLICIES, numa_policies
from wholecard.pci.device_types import DEVICE_TYPES

_TYPES = NearNames(DEVICE_TYPES)
_SHORT_TYPES = {name.removeprefix("type-").lower(): name for name in DEVICE_TYPES}
_POLICIES = NearNames(NUMA_POLICIES)
_PREFIXED = re.compile(r"\s*(?:0[xX])?([0-9a-fA-F]{4})\s*")

_RULES = {"bad-id": "WC222", "ids-missing": "WC233", "several-specs": "WC232"}
# Aliases of one name may differ in their ids alone (nova/pci/request.py).
_AGREEING = {"policy-mismatch": "numa_policy", "device-type-mismatch": "device_type",
             "device-type-missing": "device_type"}  # fmt: skip
_REFUSED = "nova refuses every alias because of it"


def check_aliases(service: Service) -> Iterator[Diagnostic]:
    """What nova refuses of an alias by itself."""
    for alias in service.aliases:
        yield from wrong_keys(service, "alias", alias.value, (), alias.conf)
        error = alias.error
        if error is None:
            if any(separator in alias.name for separator in ":,"):
                yield entry_diagnostic(
                    "WC261", alias.value.at_value(("name",)),
                    "a flavor requests NAME:COUNT[,NAME:COUNT], and nova splits this at colon and "
                    "comma: no flavor can request this alias",
                    "Use another character, and the same name in the flavors.",
                )  # fmt: skip
        elif error.key == "numa_policy":
            # A release without the key refuses the key, not the policy.
            if ALIAS_KEYS["numa_policy"] <= service.major:
                yield _policy(service, alias, error)
        elif error.kind != "unknown-key":
            yield _refused(service, alias, error)


def _refused(service: Service, alias: ReadAlias, error: AliasError) -> Diagnostic:
    value, key = alias.value, error.key
    rule = _RULES.get(error.kind, "WC230")
    spot = value.at_value((key,)) if key in alias.conf else value.at_value(())
    fixes = {
        "WC222": "Write four hexadecimal digits in double quotes, as lspci -nn prints them.",
        "WC233": "Write vendor_id and product_id"
        + (", or a resource_class." if service.rules.pci_in_placement else "."),
    }
    refused = _REFUSED
    # nova 31.3.1 got the check by a backport (nova/pci/request.py, `_validate_aliases`).
    is_late = error.kind in ("ids-missing", "several-specs")
    if is_late and service.major == Capability.ALIASES_CHECKED.since:
        refused = f"{_REFUSED}, from 31.3.1 on"
    return entry_diagnostic(
        rule, spot, f"{' '.join(error.reason.split())[:200]}: {refused}",
        fixes.get(rule, _advice(error)), _edits(alias, error),
    )  # fmt: skip


def _advice(error: AliasError) -> str:
    if error.key == "device_type":
        return "Write type-PCI, type-PF or type-VF; type-PF for a card that can have VFs."
    if error.kind == "bad-boolean":
        return 'Write "true" or "false", in quotes.'
    if error.kind == "not-text":
        return "Put the value in double quotes."
    return "Give the alias a name of 1 to 256 characters." if error.key == "name" else ""


def _edits(alias: ReadAlias, error: AliasError) -> tuple[TextEdit, ...]:
    value = alias.conf.get(error.key)
    path = (error.key,)
    if error.kind == "bad-id" and isinstance(value, str):
        match = _PREFIXED.fullmatch(value)
        return alias.value.replaced(path, match[1].lower()) if match else ()
    if error.key == "device_type" and isinstance(value, str):
        right = _TYPES.same(value) or _SHORT_TYPES.get(value.lower())
        return alias.value.replaced(path, right) if right else ()
    if error.kind == "not-text" and isinstance(value, bool):
        return alias.value.replaced(path, str(value).lower())
    return ()


def _policy(service: Service, alias: ReadAlias, error: AliasError) -> Diagnostic:
    policy, path = alias.conf.get("numa_policy"), ("numa_policy",)
    since = NUMA_POLICIES.get(policy, 0) if isinstance(policy, str) else 0
    allowed, spot = numa_policies(service.major), alias.value.at_value(path)
    fix = f"Write one of {', '.join(allowed)}."
    if since > service.major:
        message = f"nova has the policy {policy} since {series(since)}: {_REFUSED}"
        return entry_diagnostic("WC234", spot, message, fix)
    right = _POLICIES.same(policy) if isinstance(policy, str) else None
    edits = alias.value.replaced(path, right) if right in allowed else ()
    message = f"{' '.join(error.reason.split())[:200]}: {_REFUSED}"
    return entry_diagnostic("WC230", spot, message, fix, edits)


def check_agreement(service: Service) -> Iterator[Diagnostic]:
    """Aliases of one name: what has to be the same in them, and whether several are allowed."""
    by_name: dict[str, list[ReadAlias]] = {}
    for alias in service.aliases:
        if alias.error is None:
            by_name.setdefault(alias.name, []).append(alias)
    for name, aliases in by_name.items():
        if len(aliases) < 2:
            continue
        if service.rules.pci_in_placement:
            is_early = service.rules.has(Capability.ALIASES_CHECKED)
            when = "refuses to start" if is_early else "refuses a server that asks"
            yield entry_diagnostic(
                "WC232", aliases[1].value.at_value(("name",)),
                f"{name!r} is defined {len(aliases)} times, but with pci_in_placement an alias "
                f"can have only one definition: nova {when}",
                "Give the device_specs one resource_class, and name it in one alias.",
            )  # fmt: skip
        yield from _disagreements(service, aliases)


def _disagreements(service: Service, aliases: list[ReadAlias]) -> Iterator[Diagnostic]:
    first = aliases[0]
    for alias in aliases[1:]:
        try:
            parse_aliases([first.value.text.text, alias.value.text.text], service.rules)
        except AliasError as error:
            key = _AGREEING.get(error.kind)
            if key is None:
                continue
            value = alias.value
            yield entry_diagnostic(
                "WC231", value.at_value((key,) if key in alias.conf else ()),
                f"{error.reason}: {_REFUSED}",
                f"Write the same {key} in every alias of that name.",
            )  # fmt: skip
