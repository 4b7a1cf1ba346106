"""The links that are the whole request's: before any host is looked at."""

from __future__ import annotations

from wholecard.core.capabilities import Capability, has
from wholecard.core.near_names import NearNames, meant
from wholecard.explain.evidence.asked import Asked, names_in
from wholecard.explain.evidence.conf_values import files, misnamed, spelled
from wholecard.explain.evidence.evidence import Evidence
from wholecard.explain.evidence.requested_devices import (
    EXTRA_SPEC,
    Aliases,
    RequestedDevices,
    aliases_of,
    api_rules,
)
from wholecard.explain.link import (
    REQUEST_LINKS,
    CheckResult,
    broken,
    ok,
    unknown,
    walked,
)
from wholecard.explain.refusals import kind_of
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.flavor.extra_specs import LayoutError
from wholecard.nova.flavor.numa_topology import layout
from wholecard.nova.flavor.resource_request import resource_request
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.nova.match import RequestError, groups_of, parse_request


def asked(evidence: Evidence) -> Asked:
    """Judge the request. Where nova-api's aliases are not known, a compute's are taken."""
    links = walked(
        REQUEST_LINKS,
        {
            "extra spec": lambda: _extra_spec(evidence),
            "alias on the api": lambda: _alias(evidence),
            "quota": lambda: _quota(evidence),
        },
    )
    if any(link.state == "broken" for link in links):
        return Asked(links)
    return Asked(links, _wanted(evidence), layout(evidence.request, evidence.release))


def _extra_spec(evidence: Evidence) -> CheckResult:
    """The flavor's words, alone and with the image's.

    nova, nova/pci/request.py, `_translate_alias_to_requests`: no `name:count` is an error that
    nova-api does not catch (HTTP 500); nova/virt/hardware.py, `numa_get_constraints`: HTTP 400.
    """
    request = evidence.request
    name, text = "extra spec", request.extra_specs.get(EXTRA_SPEC)
    if not text:
        near = [key for key in request.extra_specs if "passthrough" in key.lower()]
        return broken(
            name,
            "WC301",
            f"The flavor {request.flavor_said} has no {EXTRA_SPEC}"
            + (f"; it has {', '.join(near)}, which nova does not read" if near else "")
            + ": its servers start without a card.",
            f"openstack flavor set {request.flavor_typed} --property {EXTRA_SPEC}=ALIAS:1",
            request.source,
        )
    words = [part.split(":") for part in text.split(",")]
    if any(len(pair) != 2 or not _counts(pair[1]) for pair in words):
        return broken(
            name,
            "WC302",
            f"{EXTRA_SPEC}={text!r} is not name:count[,name:count]: nova-api answers 500.",
            f"openstack flavor set {request.flavor_typed} --property {EXTRA_SPEC}=ALIAS:1",
            request.source,
        )
    empty = _empty(request, text, words)
    if empty is not None:
        return empty
    image = f" with the image {request.image}" if request.image else ""
    # What is asked of Placement the scheduler reads, and of its words nova-api knows only some.
    for reads, who in ((layout, "nova-api"), (resource_request, "nova")):
        try:
            reads(request, evidence.release)
        except LayoutError as error:
            answer = f" (HTTP {error.http})" if reads is layout else ""
            return broken(
                name,
                "WC302",
                f"{who} refuses the flavor {request.flavor_said}{image}{answer}: {error.brief}.",
                error.resolution,
                request.source,
            )
    return ok(name, f"{EXTRA_SPEC}={text}", request.source)


def _empty(request: ServerRequest, text: str, words: list[list[str]]) -> CheckResult | None:
    """Words that nova can read, and that name no alias, or ask for no card at all."""
    fix = f"openstack flavor set {request.flavor_typed} --property {EXTRA_SPEC}=ALIAS:1"
    if any(not alias.strip() for alias, _ in words):
        return broken(
            "extra spec",
            "WC302",
            f"{EXTRA_SPEC}={text!r} has a count without an alias: nova-api answers 400.",
            fix,
            request.source,
        )
    if not any(int(count) for _, count in words):
        return broken(
            "extra spec",
            "WC301",
            f"The flavor {request.flavor_said} asks for no card at all, by {EXTRA_SPEC}={text}: "
            "its servers start without one.",
            fix,
            request.source,
        )
    return None


def _counts(text: str) -> bool:
    try:
        return int(text) >= 0
    except ValueError:
        return False


def _alias(evidence: Evidence) -> CheckResult:
    """nova-api turns the alias into a request when a server is made.

    nova, nova/compute/api.py, `_validate_and_build_base_options` and nova/pci/request.py: an alias
    that is not there is PciRequestAliasNotDefined, one that is refused PciInvalidAlias, both HTTP
    400; from 2025.2 (and 31.3.1) a refused one keeps nova-api from starting.
    """
    name, release = "alias on the api", evidence.release
    text = evidence.request.extra_specs[EXTRA_SPEC]
    if evidence.api is None:
        return _alias_by_refusal(evidence)
    aliases = aliases_of(evidence.api, api_rules(evidence), release)
    if aliases.error is not None:
        at_start = has(release, Capability.ALIASES_CHECKED)
        late = " and nova-api does not start again" if at_start else ""
        return broken(
            name,
            "WC304",
            f"nova-api refuses its aliases{late}: {aliases.error.reason}. One that is wrong takes "
            "all of them along.",
            "Mend that line on every nova-api and nova-compute and restart them.",
            aliases.error_place or files(evidence.api),
        )
    try:
        groups_of(parse_request(text, aliases.by_name), api_rules(evidence))
    except RequestError as error:
        if error.kind == "several-specs":
            return broken(
                name,
                "WC304",
                f"nova asks Placement for the cards, and cannot: {error.reason}.",
                "Give the cards one resource_class in device_spec, and let a single alias name it.",
                *(aliases.places[each] for each in names_in(text)),
            )
        if error.kind != "alias-not-defined":
            return broken(name, "WC302", f"{EXTRA_SPEC}={text!r}: {error.reason}.",
                          f"openstack flavor set {evidence.request.flavor_typed} "
                          f"--property {EXTRA_SPEC}=ALIAS:1", evidence.request.source)  # fmt: skip
        return _not_defined(evidence, evidence.api, aliases, error.key)
    named = dict.fromkeys(names_in(text))
    return ok(name, f"defines {', '.join(named)}", *(aliases.places[each] for each in named))


def _not_defined(evidence: Evidence, api: NovaConf, aliases: Aliases, alias: str) -> CheckResult:
    known = ", ".join(aliases.by_name) or "none"
    elsewhere = [
        host.name
        for host in evidence.hosts
        if host.conf is not None
        and alias in aliases_of(host.conf, api_rules(evidence), evidence.release).places
    ]
    there = f" nova-compute on {', '.join(elsewhere[:3])} has it." if elsewhere else ""
    near = None if elsewhere else NearNames(aliases.by_name).near(alias)
    if near is not None:
        there = f" {meant(repr(near))}"
        asked_for = evidence.request.extra_specs[EXTRA_SPEC].split(",")
        pairs = (each.partition(":") for each in asked_for)
        right = ",".join(
            f"{near if name.strip() == alias else name.strip()}:{count}" for name, _, count in pairs
        )
        fix = (
            f"openstack flavor set {evidence.request.flavor_typed} --property {EXTRA_SPEC}={right}"
        )
    else:
        fix = (
            f"Write {spelled('alias', evidence.release)} for {alias!r} into nova-api's "
            "configuration too, the same line as on the computes, and restart nova-api."
        )
    return broken(
        "alias on the api",
        "WC303",
        f"nova-api knows no alias {alias!r}: it answers 400, PCI alias {alias} is not defined. "
        f"It knows {known}.{there}{misnamed(api, 'alias', evidence.release)}",
        fix,
        files(api),
    )


def _alias_by_refusal(evidence: Evidence) -> CheckResult:
    """Without nova-api's file, its own words may tell."""
    name, refusal = "alias on the api", evidence.refusal
    kind = kind_of(refusal.message) if refusal else None
    if refusal and kind == "alias-not-defined":
        return broken(
            name,
            "WC303",
            f"nova-api said: {refusal.message.strip()}",
            "Write [pci] alias into nova-api's configuration too, the same line as on the "
            "computes, and restart nova-api.",
            refusal.source,
        )
    if refusal and kind == "alias-refused":
        return broken(
            name,
            "WC304",
            f"nova-api said: {refusal.message.strip()}",
            "Mend that alias on every nova-api and nova-compute and restart them.",
            refusal.source,
        )
    if refusal:
        return ok(name, "nova-api took the request: the server was made", refusal.source)
    return unknown(
        name,
        "nova's API does not show aliases",
        "--api-conf FILE (nova-api's nova.conf)",
    )


def _quota(evidence: Evidence) -> CheckResult:
    """Quota is asked before any host; what is left of it is the project's to look up.

    nova, nova/compute/api.py, `_check_num_instances_quota` (HTTP 403), and with unified limits
    nova/limit/placement.py; with those, aliases count from 2026.2 on.
    """
    refusal = evidence.refusal
    if refusal and kind_of(refusal.message) == "quota":
        return broken(
            "quota",
            "WC305",
            f"nova said: {refusal.message.strip()}",
            "Raise the limit, or delete what is not used:\n"
            "    openstack quota show PROJECT --usage",
            refusal.source,
        )
    if refusal:
        return ok("quota", "the refusal is not about quota", refusal.source)
    return ok("quota", "nothing says that it was in the way")


def _wanted(evidence: Evidence) -> RequestedDevices:
    text = evidence.request.extra_specs[EXTRA_SPEC]
    policy = layout(evidence.request, evidence.release).policy
    sources = [evidence.api, *(host.conf for host in evidence.hosts)]
    for conf in sources:
        if conf is None:
            continue
        aliases = aliases_of(conf, api_rules(evidence), evidence.release)
        try:
            return RequestedDevices(parse_request(text, aliases.by_name, policy), aliases.places)
        except RequestError:
            continue
    return RequestedDevices()
