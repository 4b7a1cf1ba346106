"""The desired state of a site's cloud: flavors, images, aggregates, traits, quotas. Pure.

It has only what the release has; what the release lacks is a finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from wholecard.cloud.planning.address_width import width
from wholecard.core import Finding, Severity
from wholecard.core.capabilities import Capability
from wholecard.core.releases import RELEASES, Release
from wholecard.host.facts.host import Host
from wholecard.nova.desired import card_quotas
from wholecard.nova.desired.flavor_specs import derived_specs, since
from wholecard.nova.desired.image_properties import derived_properties
from wholecard.nova.desired.slice_flavors import slice_specs
from wholecard.nova.desired.tuned_flavors import tuned_site
from wholecard.nova.desired.unsupported import UnsupportedError
from wholecard.nova.options import IMAGE_KEYS, UNIFIED_DRIVER
from wholecard.site.build_checks import guest_os
from wholecard.site.build_requests import built_name
from wholecard.site.card_matching import functions_of
from wholecard.site.model import Site, SiteAggregate, SiteFlavor, SiteImage

_NVIDIA = "10de"
_CONSUMER = ("geforce", "titan")
_TRAIT = "trait:"
_UNTIL_COUNTED = (
    f"Cards are counted under unified limits since {Capability.CARDS_COUNTED.series}, with "
    "pci_in_placement. Until then limit instances, or make the flavors private to projects."
)


@dataclass(frozen=True)
class DesiredFlavor:
    """A flavor; `projects` are names, empty for a public one."""

    name: str
    ram_mb: int
    vcpus: int
    disk_gb: int
    extra_specs: Mapping[str, str]
    projects: tuple[str, ...] = ()


@dataclass(frozen=True)
class DesiredImage:
    """An image's properties, and the file that is uploaded where the cloud has no such image.

    `is_built` is whether `image build` makes the file.
    """

    name: str
    properties: Mapping[str, str]
    file: str | None = None
    is_built: bool = False


@dataclass(frozen=True)
class DesiredAggregate:
    """An aggregate; its availability zone is among its metadata."""

    name: str
    metadata: Mapping[str, str]
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class DesiredQuota:
    """A project's limits: `values` by nova's names, `cards` by resource class, where counted."""

    project: str
    values: Mapping[str, int]
    cards: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DesiredCloud:
    """All that the cloud should have. `traits` are by host.

    `driver` is nova's quota driver, `auto` where the site leaves the release's own. `findings` are
    about what the release does not have, and what the cards need and cannot get.
    """

    release: Release
    flavors: tuple[DesiredFlavor, ...] = ()
    images: tuple[DesiredImage, ...] = ()
    aggregates: tuple[DesiredAggregate, ...] = ()
    traits: Mapping[str, tuple[str, ...]] | None = None
    quotas: tuple[DesiredQuota, ...] = ()
    driver: Literal["auto", "db", "unified"] = "auto"
    findings: tuple[Finding, ...] = ()


def desired_cloud(site: Site, facts: Mapping[str, Host], release: Release) -> DesiredCloud:
    """The desired state for a cloud of that release; `facts` are its hosts', as far as known."""
    given, site = site, site.for_servers
    findings: list[Finding] = []
    site = tuned_site(site, facts, release)
    about = (facts, release, findings)
    flavors = [
        _with_parts(_flavor(site, name, flavor, *about), given, release)
        for name, flavor in site.flavors.items()
    ]
    images = [_image(site, name, image, *about) for name, image in site.images.items()]
    findings += _narrow_images(flavors, images)
    if card_quotas.lacks_unified_limits(site, release):
        since = Capability.UNIFIED_LIMITS.since
        findings.append(_lacking("quotas", "unified limits", since, release))
    return DesiredCloud(
        release=release,
        flavors=tuple(flavors),
        images=tuple(images),
        aggregates=tuple(_aggregate(*pair) for pair in site.aggregates.items()),
        traits=_host_traits(site),
        quotas=_quotas(given, facts, release, findings),
        driver=_driver(given, release),
        findings=tuple(findings),
    )


def _flavor(
    site: Site,
    name: str,
    flavor: SiteFlavor,
    facts: Mapping[str, Host],
    release: Release,
    findings: list[Finding],
) -> DesiredFlavor:
    specs = derived_specs(flavor)
    addresses = width(site, name, flavor, facts, release)
    findings += addresses.findings
    specs.update(addresses.specs)
    for key, text in tuple(specs.items()):
        first = since(key, text)
        if release.nova < first:
            del specs[key]
            findings.append(_lacking(f"flavor {name}", f"{key}={text}", first, release))
    # The site file's own extra specs win over what is derived from it.
    specs = dict(sorted({**specs, **flavor.extra_specs}.items()))
    return DesiredFlavor(name, flavor.ram, flavor.vcpus, flavor.disk, specs, flavor.projects)


def _with_parts(flavor: DesiredFlavor, site: Site, release: Release) -> DesiredFlavor:
    """The flavor with what it asks for of parts of cards; its own extra specs win."""
    asked = site.flavors[flavor.name]
    specs = slice_specs(site, asked.cards, flavor.extra_specs, release)
    specs = {key: text for key, text in specs.items() if key not in asked.extra_specs}
    return replace(flavor, extra_specs=dict(sorted({**flavor.extra_specs, **specs}.items())))


def _image(
    site: Site,
    name: str,
    image: SiteImage,
    facts: Mapping[str, Host],
    release: Release,
    findings: list[Finding],
) -> DesiredImage:
    properties = derived_properties(image)
    hidden = image.hide_hypervisor
    if hidden == "auto":
        hidden = image.os == "windows" and _has_consumer_card(site, facts)
    if hidden:
        properties["img_hide_hypervisor_id"] = "true"
    for key in tuple(properties):
        if release.nova < IMAGE_KEYS[key]:
            del properties[key]
            findings.append(_lacking(f"image {name}", key, IMAGE_KEYS[key], release))
    if image.build is not None:
        # Glance, "Useful image properties"; the values are those of os-release.
        os = guest_os(image.build)
        properties |= {"os_distro": os.id, "os_version": os.version}
    properties.update(image.properties)
    is_built = image.build is not None
    file = built_name(name, image) if is_built else image.file
    return DesiredImage(name, dict(sorted(properties.items())), file, is_built)


def _has_consumer_card(site: Site, facts: Mapping[str, Host]) -> bool:
    """Whether a card is NVIDIA's GeForce or TITAN, by its name.

    Under Windows their driver before R465 (2021) ends with code 43 where it sees a hypervisor
    (NVIDIA, "GeForce GPU Passthrough for Windows Virtual Machine"); it never did on Linux, and
    data centre cards never had that check.
    """
    return any(
        function.vendor == _NVIDIA
        and any(word in function.device_name.lower() for word in _CONSUMER)
        for kind in site.cards.values()
        for host_name, host in facts.items()
        for function in functions_of(kind, host_name, host)
    )


def _narrow_images(flavors: list[DesiredFlavor], images: list[DesiredImage]) -> Iterator[Finding]:
    """WC338: images without q35 and UEFI beside flavors with wide addresses."""
    wide = [flavor.name for flavor in flavors if "hw:maxphysaddr_mode" in flavor.extra_specs]
    needed = {"hw_machine_type": "q35", "hw_firmware_type": "uefi"}
    for image in images if wide else ():
        lacks = [
            f"{key}={image.properties.get(key)}"
            for key, value in needed.items()
            if value not in image.properties.get(key, "")
        ]
        if lacks:
            yield Finding(
                "WC338",
                f"image {image.name}",
                Severity.WARNING,
                f"It has {' and '.join(lacks)}; with the cards of {', '.join(wide)} its guest "
                "cannot map all of their memory.",
                "Set machine: q35 and firmware: uefi for it, if its guest can boot with them.",
            )


def _aggregate(name: str, aggregate: SiteAggregate) -> DesiredAggregate:
    metadata = dict(aggregate.metadata)
    if aggregate.availability_zone is not None:
        metadata["availability_zone"] = aggregate.availability_zone
    return DesiredAggregate(name, dict(sorted(metadata.items())), tuple(sorted(aggregate.hosts)))


def _host_traits(site: Site) -> Mapping[str, tuple[str, ...]]:
    """Custom traits that an aggregate requires (`trait:CUSTOM_X: required`), for its hosts.

    A host in such an aggregate takes only servers that ask for the trait, and must have it (nova,
    "Isolate aggregates"). nova-compute reports the traits that are not custom.
    """
    by_host: dict[str, set[str]] = {}
    for aggregate in site.aggregates.values():
        for key, value in aggregate.metadata.items():
            trait = key.removeprefix(_TRAIT)
            if key != trait and trait.startswith("CUSTOM_") and value == "required":
                for host in aggregate.hosts:
                    by_host.setdefault(host, set()).add(trait)
    return {host: tuple(sorted(traits)) for host, traits in sorted(by_host.items())}


def _driver(site: Site, release: Release) -> Literal["auto", "db", "unified"]:
    """The quota driver that nova's configuration is rendered with."""
    driver = card_quotas.quota_driver(site, release)
    if driver is None and not card_quotas.lacks_unified_limits(site, release):
        return "auto"
    return "unified" if driver == UNIFIED_DRIVER else "db"


def _quotas(
    site: Site, facts: Mapping[str, Host], release: Release, findings: list[Finding]
) -> tuple[DesiredQuota, ...]:
    unknown, fix = "", _UNTIL_COUNTED
    classes: Mapping[str, str] = {}
    try:
        classes = card_quotas.limited_classes(site, facts, release)
    except UnsupportedError as error:
        first = error.requests[0]
        unknown, fix = f"their resource class is not known, for {first.what}.", first.resolution
    card_quotas.refuse_limits_of_one_class(site, classes)
    quotas = []
    for project, quota in site.quotas.items():
        reasons = card_quotas.uncounted_cards(site, quota.cards, release)
        if unknown and quota.cards:
            reasons = {unknown: tuple(quota.cards)}
        for reason, names in reasons.items():
            message = f"Its limit of {', '.join(names)} has no effect: {reason}"
            subject = f"quota of {project}"
            findings.append(Finding("WC336", subject, Severity.WARNING, message, fix))
        limits = {"instances": quota.instances, "cores": quota.cores, "ram": quota.ram}
        values = {key: value for key, value in limits.items() if value is not None}
        cards = {classes[kind]: count for kind, count in quota.cards.items() if kind in classes}
        quotas.append(DesiredQuota(project, values, cards))
    return tuple(quotas)


def _lacking(subject: str, what: str, since: int, release: Release) -> Finding:
    first = next(row for row in RELEASES if row.nova >= since)
    return Finding(
        "WC332",
        subject,
        Severity.WARNING,
        f"It requests {what}, which nova has since {str(first).capitalize()}; this cloud has "
        f"{str(release).capitalize()}. It is skipped.",
        f"Remove it from the site file, or upgrade to {str(first).capitalize()}.",
    )
