"""The links that are the whole request's: before any host is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

from wholecard.audit.chain import REQUEST_LINKS, Link, broken, first_broken, ok, unknown, walked
from wholecard.audit.evidence import Evidence, Request
from wholecard.audit.guest import GuestLayout, layout
from wholecard.audit.host_words import LayoutError
from wholecard.audit.refusals import kind_of
from wholecard.audit.resource_request import resource_request
from wholecard.audit.settings import files, misnamed, spelled
from wholecard.audit.wanted import EXTRA_SPEC, Aliases, Wanted, aliases_of, api_rules
from wholecard.core.near_names import NearNames, meant
from wholecard.nova.conf import NovaConf
from wholecard.nova.match import RequestError, groups_of, parse_request
from wholecard.site.capabilities import Capability, has


@dataclass(frozen=True)
class Asked:
    """The request's own links, and what hosts are asked for where none of them broke."""

    links: tuple[Link, ...]
    wanted: Wanted = field(default_factory=Wanted)
    layout: GuestLayout = field(default_factory=GuestLayout)

    @property
    def broken(self) -> bool:
        """Whether no host is asked."""
        return first_broken(self.links) is not None


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


def names_in(text: str) -> tuple[str, ...]:
    """The aliases that an extra spec names, as far as it can be read."""
    return tuple(part.partition(":")[0].strip() for part in text.split(","))


def _extra_spec(evidence: Evidence) -> Link:
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


def _empty(request: Request, text: str, words: list[list[str]]) -> Link | None:
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


def _alias(evidence: Evidence) -> Link:
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


def _not_defined(evidence: Evidence, api: NovaConf, aliases: Aliases, alias: str) -> Link:
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


def _alias_by_refusal(evidence: Evidence) -> Link:
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


def _quota(evidence: Evidence) -> Link:
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


def _wanted(evidence: Evidence) -> Wanted:
    text = evidence.request.extra_specs[EXTRA_SPEC]
    policy = layout(evidence.request, evidence.release).policy
    sources = [evidence.api, *(host.conf for host in evidence.hosts)]
    for conf in sources:
        if conf is None:
            continue
        aliases = aliases_of(conf, api_rules(evidence), evidence.release)
        try:
            return Wanted(parse_request(text, aliases.by_name, policy), aliases.places)
        except RequestError:
            continue
    return Wanted()
