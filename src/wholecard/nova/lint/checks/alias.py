"""`alias` by itself: keys, values, and aliases of one name beside each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wholecard.core.capabilities import Capability
from wholecard.core.near_names import NearNames
from wholecard.nova.lint.checks.device_spec import early_key, unknown_key
from wholecard.nova.lint.diagnostic import ERROR, Diagnostic, TextEdit, remark
from wholecard.nova.lint.option_spelling import series
from wholecard.nova.lint.service import ReadAlias, Service
from wholecard.nova.match import AliasError, parse_aliases
from wholecard.nova.options import ALIAS_KEYS, NUMA_POLICIES, numa_policies
from wholecard.pci.device_types import DEVICE_TYPES

_TYPES = NearNames(DEVICE_TYPES)
_SHORT_TYPES = {each.removeprefix("type-").lower(): each for each in DEVICE_TYPES}
_POLICIES = NearNames(NUMA_POLICIES)
_PREFIXED = re.compile(r"\s*(?:0[xX])?([0-9a-fA-F]{4})\s*")

_RULES = {"bad-id": "WC222", "ids-missing": "WC233", "several-specs": "WC232"}
_AGREEING = {"policy-mismatch": "numa_policy", "device-type-mismatch": "device_type",
             "device-type-missing": "device_type"}  # fmt: skip
_REFUSED = "nova refuses every alias for it"


def check_aliases(service: Service) -> Iterator[Diagnostic]:
    """What nova refuses of an alias by itself."""
    for alias in service.aliases:
        early = False
        for key in alias.conf:
            since = ALIAS_KEYS.get(key)
            if since is None:
                yield unknown_key("alias", alias.value, (key,), alias.conf)
            elif since > service.major:
                early = True
                yield early_key(service, alias.value, (key,), since, ERROR)
        if alias.error is None and any(sign in alias.name for sign in ":,"):
            yield remark(
                "WC261", ERROR, alias.value.at_value(("name",)),
                "a flavor asks for NAME:COUNT[,NAME:COUNT], and nova splits at these signs: none "
                "can ask for this alias",
                "Write another sign, and the same name into the flavors.",
            )  # fmt: skip
        if alias.error is None or alias.error.kind == "unknown-key":
            continue
        if alias.error.key == "numa_policy":
            # Before it knows the key nova has refused it already.
            if not early:
                yield _policy(service, alias, alias.error)
        else:
            yield _refused(service, alias, alias.error)


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
    # In that release aliases have been checked so since a later version.
    if service.major == Capability.ALIASES_CHECKED.since and error.kind in (
        "ids-missing",
        "several-specs",
    ):
        refused = f"{_REFUSED}, from 31.3.1 on"
    return remark(
        rule, ERROR, spot, f"{' '.join(error.reason.split())[:200]}: {refused}",
        fixes.get(rule, _advice(error)), _mend(alias, error),
    )  # fmt: skip


def _advice(error: AliasError) -> str:
    if error.key == "device_type":
        return "Write type-PCI, type-PF or type-VF; type-PF for a card that can have VFs."
    if error.kind == "bad-boolean":
        return 'Write "true" or "false", in quotes.'
    if error.kind == "not-text":
        return "Put the value in double quotes."
    return "Give the alias a name of 1 to 256 characters." if error.key == "name" else ""


def _mend(alias: ReadAlias, error: AliasError) -> tuple[TextEdit, ...]:
    given = alias.conf.get(error.key)
    path = (error.key,)
    if error.kind == "bad-id" and isinstance(given, str):
        match = _PREFIXED.fullmatch(given)
        return alias.value.replaced(path, match[1].lower()) if match else ()
    if error.key == "device_type" and isinstance(given, str):
        right = _TYPES.same(given) or _SHORT_TYPES.get(given.lower())
        return alias.value.replaced(path, right) if right else ()
    if error.kind == "not-text" and isinstance(given, bool):
        return alias.value.replaced(path, str(given).lower())
    return ()


def _policy(service: Service, alias: ReadAlias, error: AliasError) -> Diagnostic:
    given = alias.conf.get("numa_policy")
    since = NUMA_POLICIES.get(given, 0) if isinstance(given, str) else 0
    allowed = numa_policies(service.major)
    spot = alias.value.at_value(("numa_policy",))
    if since > service.major:
        return remark(
            "WC234", ERROR, spot,
            f"the policy {given} is there from {series(since)} on: {_REFUSED}",
            f"Write one of {', '.join(allowed)}.",
        )  # fmt: skip
    right = _POLICIES.same(given) if isinstance(given, str) else None
    return remark(
        "WC230", ERROR, spot, f"{' '.join(error.reason.split())[:200]}: {_REFUSED}",
        f"Write one of {', '.join(allowed)}.",
        alias.value.replaced(("numa_policy",), right) if right in allowed else (),
    )  # fmt: skip


def check_agreement(service: Service) -> Iterator[Diagnostic]:
    """Aliases of one name: what has to be the same in all of them, and whether there may be two."""
    by_name: dict[str, list[ReadAlias]] = {}
    for alias in service.aliases:
        if alias.error is None:
            by_name.setdefault(alias.name, []).append(alias)
    for name, aliases in by_name.items():
        if len(aliases) < 2:
            continue
        if service.rules.pci_in_placement:
            yield _several(service, name, aliases)
        yield from _disagreements(service, aliases)


def _several(service: Service, name: str, aliases: list[ReadAlias]) -> Diagnostic:
    when = (
        "refuses to start"
        if service.rules.has(Capability.ALIASES_CHECKED)
        else "refuses a server that asks"
    )
    return remark(
        "WC232", ERROR, aliases[1].value.at_value(("name",)),
        f"{name!r} is there {len(aliases)} times, and with pci_in_placement an alias has one spec: "
        f"nova {when}",
        "Give the device_specs one resource_class, and let one alias name it.",
    )  # fmt: skip


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
            yield remark(
                "WC231", ERROR, value.at_value((key,) if key in alias.conf else ()),
                f"{error.reason}: {_REFUSED}",
                f"Write the same {key} in every alias of that name.",
            )  # fmt: skip
