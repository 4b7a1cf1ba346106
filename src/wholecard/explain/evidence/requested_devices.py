"""The devices that a flavor asks for, by the aliases that are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import LATEST, Release
from wholecard.explain.evidence.conf_values import ConfValue, boolean, other, settings
from wholecard.explain.evidence.evidence import Evidence, HostEvidence
from wholecard.nova import match
from wholecard.nova.conf.service_conf import NovaConf, as_boolean
from wholecard.nova.flavor.extra_specs import LayoutError
from wholecard.nova.flavor.numa_topology import pci_policy
from wholecard.nova.match import (
    AliasError,
    PciRequest,
    RequestError,
    RequestGroup,
    Rules,
    rules_for,
)
from wholecard.nova.match.words import read_json

EXTRA_SPEC = "pci_passthrough:alias"
# nova/conf/workarounds.py
NO_FALLBACK = "disable_fallback_pcpu_query"


@dataclass(frozen=True)
class RequestedDevices:
    """The requests by alias, none where they are not known.

    `positions` are where each alias is defined, as `file:line`.
    """

    requests: tuple[PciRequest, ...] = ()
    positions: Mapping[str, str] = field(default_factory=dict)

    def position(self, alias: str) -> str:
        """Where the alias is defined, empty where that is not known."""
        return self.positions.get(alias, "")

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
    """The aliases of one service by name, with their positions; or why nova refuses them."""

    by_name: Mapping[str, match.Alias]
    positions: Mapping[str, str]
    error: AliasError | None = None
    error_position: str = ""


def names_in(text: str) -> tuple[str, ...]:
    """The aliases that an extra spec names, as far as it can be read."""
    return tuple(part.partition(":")[0].strip() for part in text.split(","))


def requested_devices(evidence: Evidence) -> RequestedDevices:
    """What the flavor requests, by nova-api's aliases; without its files, by a nova-compute's."""
    text = evidence.request.extra_specs.get(EXTRA_SPEC, "")
    try:
        policy = pci_policy(evidence.request, evidence.release)
    except LayoutError:
        return RequestedDevices()
    for conf in (evidence.api, *(host.conf for host in evidence.hosts)):
        if conf is None:
            continue
        aliases = aliases_of(conf, api_rules(evidence), evidence.release)
        try:
            requests = match.parse_request(text, aliases.by_name, policy)
            return RequestedDevices(requests, aliases.positions)
        except RequestError:
            continue
    return RequestedDevices()


def in_placement(evidence: Evidence) -> tuple[bool | None, str]:
    """Whether nova asks Placement for the cards, and the setting's position; None if not known.

    nova-api writes the request when a server is created, so its file counts first (2023.1; nova,
    nova/objects/request_spec.py, `generate_request_groups_from_pci_requests`).
    """
    if not has(evidence.release, Capability.PCI_IN_PLACEMENT):
        return False, f"nova {evidence.release} has no pci_in_placement"
    for conf in (evidence.api, evidence.scheduler):
        if conf is not None:
            return boolean(conf, "pci_in_placement", evidence.release)
    return None, ""


def no_second_query(evidence: Evidence) -> str:
    """Where nova's second query, for VCPU instead of PCPU, is turned off; empty where it is not."""
    conf = evidence.scheduler
    setting = other(conf, "workarounds", NO_FALLBACK) if conf else None
    return setting.position if setting and as_boolean(setting.text) else ""


def api_rules(evidence: Evidence) -> Rules:
    """How nova-api reads aliases."""
    return rules_for(evidence.release.nova, pci_in_placement=bool(in_placement(evidence)[0]))


def host_rules(evidence: Evidence, host: HostEvidence) -> Rules:
    """How nova-compute reads device_spec on this host."""
    release, conf = evidence.release, host.conf
    report = conf is not None and boolean(conf, "report_in_placement", release)[0]
    asks = bool(in_placement(evidence)[0])
    return rules_for(release.nova, report_in_placement=report, pci_in_placement=asks)


def aliases_of(conf: NovaConf, rules: Rules, release: Release) -> Aliases:
    """The aliases that a service's files define; an error where nova refuses them."""
    values = settings(conf, "alias", release)
    positions = {name: value.position for value in values for name in _names(value.text)}
    try:
        return Aliases(match.parse_aliases([value.text for value in values], rules), positions)
    except AliasError as error:
        return Aliases({}, positions, error, _first_refused(values, rules))


def _names(text: str) -> Iterable[str]:
    """The name in one alias' value, nothing where it cannot be read."""
    try:
        value = read_json(text)
    except ValueError:
        return ()
    name = value.get("name") if isinstance(value, dict) else None
    return (name.strip(),) if isinstance(name, str) else ()


def _first_refused(values: tuple[ConfValue, ...], rules: Rules) -> str:
    """The position of the first value at which nova stops: the shortest beginning it refuses."""
    for number in range(1, len(values) + 1):
        try:
            match.parse_aliases([value.text for value in values[:number]], rules)
        except AliasError:
            return values[number - 1].position
    return ""


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
        return match.groups_of([replace(request, count=1)], rules)[0]
    except RequestError:
        return None
