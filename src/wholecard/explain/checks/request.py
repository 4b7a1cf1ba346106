"""The checks of the request itself, before any host: flavor, aliases on nova-api, quota."""

from __future__ import annotations

from wholecard.core.capabilities import Capability, has
from wholecard.core.near_names import NearNames, meant
from wholecard.explain.check_result import CheckResult, failed, not_looked, ok, unknown
from wholecard.explain.evidence import requested_devices
from wholecard.explain.evidence.conf_values import files, misnamed, spelled
from wholecard.explain.evidence.evidence import Evidence
from wholecard.explain.evidence.requested_devices import EXTRA_SPEC, Aliases, aliases_of, names_in
from wholecard.explain.refusals import kind_of
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.flavor.api_validation import refused_specs
from wholecard.nova.flavor.extra_specs import LayoutError
from wholecard.nova.flavor.numa_topology import layout
from wholecard.nova.flavor.resource_request import resource_request
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.nova.match import RequestError, groups_of, parse_request

_EVERYWHERE = "on every nova-api and nova-compute, and restart them."


def extra_spec(evidence: Evidence) -> CheckResult:
    """Whether the flavor asks for cards in a form that nova takes, alone and with the image.

    nova, nova/pci/request.py, `_translate_alias_to_requests`: no `name:count` is an error that
    nova-api does not catch (HTTP 500); nova/virt/hardware.py, `numa_get_constraints`: HTTP 400.
    """
    request = evidence.request
    text = request.extra_specs.get(EXTRA_SPEC)
    if not text:
        similar = ", ".join(key for key in request.extra_specs if "passthrough" in key.lower())
        has_it = f"; it has {similar}, which nova does not read" if similar else ""
        without = f"The flavor {request.flavor_text} has no {EXTRA_SPEC}{has_it}"
        return _wrong_spec(request, "WC301", f"{without}: {_without_alias(request)}")
    wrong = _wrong_text(request, text) or _refused_layout(evidence)
    if wrong:
        return wrong
    refused = next(refused_specs(request.extra_specs, evidence.release), None)
    if refused is None:
        return ok(f"{EXTRA_SPEC}={text}", request.source)
    says = f"nova's API refuses the extra spec since compute API 2.86: {refused.problem}"
    # A flavor that the cloud has got there by an older API: nova ignores the key.
    if request.source.startswith("openstack "):
        return ok(f"{EXTRA_SPEC}={text}", request.source, warning=says)
    return failed("WC302", f"{says}.", refused.resolution, request.source)


def _without_alias(request: ServerRequest) -> str:
    """What a server gets by a flavor that has no alias and asks for no mediated device."""
    profile = request.extra_specs.get("accel:device_profile")
    if profile:
        return (
            f"its servers get no whole card; accel:device_profile={profile} requests a device of "
            "Cyborg's, which is not checked here."
        )
    return "its servers start without a card."


def _wrong_text(request: ServerRequest, text: str) -> CheckResult | None:
    """The failure of a text that is not name:count, or that asks for no card; None without."""
    pairs = [part.split(":") for part in text.split(",")]
    if any(len(pair) != 2 or not _is_count(pair[1]) for pair in pairs):
        says = f"{EXTRA_SPEC}={text!r} is not name:count[,name:count]: nova-api answers 500."
        return _wrong_spec(request, "WC302", says)
    if any(not alias.strip() for alias, _ in pairs):
        says = f"{EXTRA_SPEC}={text!r} has a count without an alias: nova-api answers 400."
        return _wrong_spec(request, "WC302", says)
    if not any(int(count) for _, count in pairs):
        return _wrong_spec(
            request,
            "WC301",
            f"The flavor {request.flavor_text} requests no card, because of {EXTRA_SPEC}={text}: "
            "its servers start without a card.",
        )
    return None


def _wrong_spec(request: ServerRequest, rule: str, says: str) -> CheckResult:
    fix = f"openstack flavor set {request.flavor_argument} --property {EXTRA_SPEC}=ALIAS:1"
    return failed(rule, says, fix, request.source)


def _is_count(text: str) -> bool:
    try:
        return int(text) >= 0
    except ValueError:
        return False


def _refused_layout(evidence: Evidence) -> CheckResult | None:
    """What nova refuses of flavor and image together; None where it takes them.

    nova-api checks what concerns the guest's layout. The other extra specs become part of the
    request to Placement, and only the scheduler reads them.
    """
    request = evidence.request
    image = f" with the image {request.image}" if request.image else ""
    for read, service in ((layout, "nova-api"), (resource_request, "nova")):
        try:
            read(request, evidence.release)
        except LayoutError as error:
            status = f" (HTTP {error.http})" if read is layout else ""
            refused = f"the flavor {request.flavor_text}{image}{status}"
            says = f"{service} refuses {refused}: {error.brief}."
            return failed("WC302", says, error.resolution, request.source)
    return None


def alias_on_api(evidence: Evidence) -> CheckResult:
    """Whether nova-api accepts its aliases and knows the requested ones.

    It turns the alias into a request when a server is created (nova, nova/compute/api.py,
    `_validate_and_build_base_options`, and nova/pci/request.py). An alias that is not defined is
    PciRequestAliasNotDefined, one that is refused PciInvalidAlias, both HTTP 400; from 2025.2 (and
    31.3.1) a refused one prevents nova-api from starting.
    """
    if evidence.api is None:
        return _alias_by_refusal(evidence)
    text, rules = evidence.request.extra_specs[EXTRA_SPEC], requested_devices.api_rules(evidence)
    aliases = aliases_of(evidence.api, rules, evidence.release)
    if aliases.error is not None:
        at_start = has(evidence.release, Capability.ALIASES_CHECKED)
        start = ", and nova-api will not start again" if at_start else ""
        return failed(
            "WC304",
            f"nova-api refuses its aliases{start}: {aliases.error.reason}. One wrong alias makes "
            "all of them unusable.",
            f"Correct that line {_EVERYWHERE}",
            aliases.error_position or files(evidence.api),
        )
    names = tuple(dict.fromkeys(names_in(text)))
    try:
        groups_of(parse_request(text, aliases.by_name), rules)
    except RequestError as error:
        if error.kind == "alias-not-defined":
            return _not_defined(evidence, evidence.api, aliases, error.key)
        if error.kind == "several-specs":
            return failed(
                "WC304",
                f"nova cannot request the cards from Placement: {error.reason}.",
                "Give the cards one resource_class in device_spec, and use one alias that names "
                "it.",
                *(aliases.positions[name] for name in names_in(text)),
            )
        return _wrong_spec(evidence.request, "WC302", f"{EXTRA_SPEC}={text!r}: {error.reason}.")
    return ok(f"defines {', '.join(names)}", *(aliases.positions[name] for name in names))


def _not_defined(evidence: Evidence, api: NovaConf, aliases: Aliases, alias: str) -> CheckResult:
    """nova-api does not know the alias: only computes have it, a similar name exists, or none."""
    release, rules = evidence.release, requested_devices.api_rules(evidence)
    known = ", ".join(aliases.by_name) or "none"
    having = [
        host.name
        for host in evidence.hosts
        if host.conf and alias in aliases_of(host.conf, rules, release).positions
    ]
    near = None if having else NearNames(aliases.by_name).near(alias)
    hint = f" nova-compute on {', '.join(having[:3])} has it." if having else ""
    fix = (
        f"Add {spelled('alias', release)} for {alias!r} to nova-api's configuration, the same "
        "line as for nova-compute, and restart nova-api."
    )
    if near is not None:
        hint = f" {meant(repr(near))}"
        fix = _set_alias(evidence.request, alias, near)
    return failed(
        "WC303",
        f"nova-api does not have the alias {alias!r}: it answers 400, PCI alias {alias} is "
        f"not defined. It has {known}.{hint}{misnamed(api, 'alias', release)}",
        fix,
        files(api),
    )


def _set_alias(request: ServerRequest, wrong: str, right: str) -> str:
    """The command that sets the flavor's aliases with this one corrected."""
    pairs = (part.partition(":") for part in request.extra_specs[EXTRA_SPEC].split(","))
    corrected = ",".join(
        f"{right if name.strip() == wrong else name.strip()}:{count}" for name, _, count in pairs
    )
    return f"openstack flavor set {request.flavor_argument} --property {EXTRA_SPEC}={corrected}"


def _alias_by_refusal(evidence: Evidence) -> CheckResult:
    """Without nova-api's files its own message may tell."""
    refusal = evidence.refusal
    if refusal is None:
        return unknown("nova-api's aliases are not known", "--conf api=FILE (nova-api's nova.conf)")
    kind, says = kind_of(refusal.message), f"nova-api answered: {refusal.message.strip()}"
    if kind == "alias-not-defined":
        return failed(
            "WC303",
            says,
            "Add [pci] alias to nova-api's configuration, the same line as for nova-compute, and "
            "restart nova-api.",
            refusal.source,
        )
    if kind == "alias-refused":
        return failed("WC304", says, f"Correct that alias {_EVERYWHERE}", refusal.source)
    return ok("nova-api accepted the request: the server was created", refusal.source)


def quota(evidence: Evidence) -> CheckResult:
    """Whether the project's quota allowed it, by nova's message alone.

    nova checks quota before it looks for a host: nova/compute/api.py,
    `_check_num_instances_quota` (HTTP 403), and with unified limits nova/limit/placement.py, where
    cards count from 2026.2 on.
    """
    refusal = evidence.refusal
    if refusal and kind_of(refusal.message) == "quota":
        fix = "Raise the limit, or delete unused servers:\n    openstack quota show PROJECT --usage"
        return failed("WC305", f"nova answered: {refusal.message.strip()}", fix, refusal.source)
    if refusal:
        return ok("nova's message is not about quota", refusal.source)
    return not_looked("quotas were not checked")
