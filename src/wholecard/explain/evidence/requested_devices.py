"""The devices that a flavor asks for, by the aliases that are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import LATEST, Release
from wholecard.explain.evidence.conf_values import Setting, boolean, settings
from wholecard.explain.evidence.evidence import Evidence, HostEvidence
from wholecard.explain.link import CheckResult, unknown
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.match import (
    Alias,
    AliasError,
    PciRequest,
    RequestError,
    RequestGroup,
    Rules,
    groups_of,
    parse_aliases,
    rules_for,
)
from wholecard.nova.match.words import read_json

EXTRA_SPEC = "pci_passthrough:alias"


@dataclass(frozen=True)
class RequestedDevices:
    """What is asked for: requests by alias, and where each alias stands. No requests: not known."""

    requests: tuple[PciRequest, ...] = ()
    places: Mapping[str, str] | None = None

    def place(self, alias: str) -> str:
        """Where the alias stands, as `file:line`."""
        return (self.places or {}).get(alias, "")

    @property
    def names(self) -> str:
        """The aliases, for a sentence."""
        return ", ".join(dict.fromkeys(request.alias for request in self.requests))

    @property
    def count(self) -> int:
        """How many devices in all."""
        return sum(request.count for request in self.requests)


@dataclass(frozen=True)
class Aliases:
    """The aliases of one service: by name, where each stands, or why nova refuses them."""

    by_name: Mapping[str, Alias]
    places: Mapping[str, str]
    error: AliasError | None = None
    error_place: str = ""


def in_placement(evidence: Evidence) -> tuple[bool | None, str]:
    """Whether nova asks Placement for the cards, and where that stands; None where unknown.

    nova-api writes the request when a server is made, so its file counts first (2023.1; nova,
    nova/objects/request_spec.py, `generate_request_groups_from_pci_requests`).
    """
    if not has(evidence.release, Capability.PCI_IN_PLACEMENT):
        return False, f"nova {evidence.release} has no pci_in_placement"
    for conf in (evidence.api, evidence.scheduler):
        if conf is not None:
            return boolean(conf, "pci_in_placement", evidence.release)
    return None, ""


def api_rules(evidence: Evidence) -> Rules:
    """nova-api's rules of reading aliases."""
    return rules_for(evidence.release.nova, pci_in_placement=bool(in_placement(evidence)[0]))


def host_rules(evidence: Evidence, host: HostEvidence) -> Rules:
    """nova-compute's rules of reading device_spec, on this host."""
    report = (
        host.conf is not None and boolean(host.conf, "report_in_placement", evidence.release)[0]
    )
    return rules_for(
        evidence.release.nova,
        report_in_placement=report,
        pci_in_placement=bool(in_placement(evidence)[0]),
    )


def aliases_of(conf: NovaConf, rules: Rules, release: Release) -> Aliases:
    """The aliases that a service's files define; an error where nova would refuse them."""
    found = settings(conf, "alias", release)
    places = {name: each.where for each in found for name in _names(each.text)}
    try:
        return Aliases(parse_aliases([each.text for each in found], rules), places)
    except AliasError as error:
        return Aliases({}, places, error, _culprit(found, rules))


def _names(text: str) -> Iterable[str]:
    """The name in one alias' value, nothing where it cannot be read."""
    try:
        value = read_json(text)
    except ValueError:
        return ()
    name = value.get("name") if isinstance(value, dict) else None
    return (name.strip(),) if isinstance(name, str) else ()


def _culprit(found: tuple[Setting, ...], rules: Rules) -> str:
    """Where the first value stands at which nova stops: the shortest beginning that it refuses."""
    for number in range(1, len(found) + 1):
        try:
            parse_aliases([each.text for each in found[:number]], rules)
        except AliasError:
            return found[number - 1].where
    return ""


def alias_unknown(name: str) -> CheckResult:
    """The link of this name, where nobody told what the alias means."""
    return unknown(name, "what the alias means is not known", "--api-conf FILE")


def class_of(request: PciRequest) -> str:
    """The resource class that the request asks Placement for; empty where nova cannot ask."""
    group = _group(request)
    return group.resource_class if group else ""


def traits_of(request: PciRequest) -> frozenset[str]:
    """The traits that the request asks of each card."""
    group = _group(request)
    return group.traits if group else frozenset()


def _group(request: PciRequest) -> RequestGroup | None:
    rules = rules_for(LATEST.nova, pci_in_placement=True)
    try:
        return groups_of([replace(request, count=1)], rules)[0]
    except RequestError:
        return None
