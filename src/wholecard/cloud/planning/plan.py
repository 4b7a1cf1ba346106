"""From desired and current state to a plan, and to what is not changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from wholecard.cloud.client.images import RECIPE_PROPERTY, Image
from wholecard.cloud.operations import aggregates
from wholecard.cloud.operations.flavors import Flavor, FlavorSpec
from wholecard.cloud.operations.images import SetImageProperties, UploadImage
from wholecard.cloud.operations.operation import CloudOperation, backwards, differing, values
from wholecard.cloud.operations.quotas import SetQuota
from wholecard.cloud.operations.traits import CreateTrait, SetHostTraits
from wholecard.cloud.planning import flavors
from wholecard.cloud.planning.current import CurrentCloud, ImageFile
from wholecard.cloud.planning.desired import (
    DesiredAggregate,
    DesiredCloud,
    DesiredFlavor,
    DesiredImage,
)
from wholecard.cloud.planning.unified_limits import plan_limits
from wholecard.core import Action, Finding, Plan, Severity
from wholecard.core.units import GIB
from wholecard.guest.image.built_image import BUILD_IT


@dataclass(frozen=True)
class CloudPlan:
    """What to do, and what a person must know of what is not changed."""

    plan: Plan
    findings: tuple[Finding, ...]


def plan(desired: DesiredCloud, current: CurrentCloud) -> CloudPlan:
    """What brings the cloud to its desired state; changes nothing.

    Nothing is ever deleted, and what others made is never changed: where it differs that is a
    finding. The order is that in which one thing needs another.
    """
    actions: list[Action] = []
    findings = list(desired.findings)
    _plan_traits(desired, current, actions, findings)
    for aggregate in desired.aggregates:
        _plan_aggregate(aggregate, current, actions, findings)
    for image in desired.images:
        _plan_image(image, current, actions, findings)
    for flavor in desired.flavors:
        _plan_flavor(flavor, current, actions, findings)
    _plan_quotas(desired, current, actions, findings)
    return CloudPlan(Plan(tuple(actions)), tuple(findings))


def _plan_traits(
    desired: DesiredCloud, current: CurrentCloud, actions: list[Action], findings: list[Finding]
) -> None:
    by_host = desired.traits or {}
    reason = "an aggregate accepts only servers that request this trait, so its hosts must have it"
    known = [host for host in by_host if host in current.providers]
    missing = {trait for host in known for trait in by_host[host]} - current.traits
    for trait in sorted(missing):
        command = f"openstack trait delete {trait}"
        actions.append(Action("create trait", trait, reason, CreateTrait(trait), command))
    for host, traits in by_host.items():
        provider = current.providers.get(host)
        if provider is None:
            findings.append(_unknown(f"host {host}", "Placement has no provider of it"))
            continue
        present = dict.fromkeys(provider.traits & set(traits), "set")
        changes = values(present, dict.fromkeys(traits, "set"))
        if changes:
            operation = SetHostTraits(host, provider.uuid, changes)
            undo = SetHostTraits(host, provider.uuid, backwards(changes))
            actions.append(_action("set traits of host", host, reason, operation, undo))


def _plan_aggregate(
    desired: DesiredAggregate, current: CurrentCloud, actions: list[Action], findings: list[Finding]
) -> None:
    name = desired.name
    aggregate = next((row for row in current.aggregates if row.name == name), None)
    hosts = {host: "member" for host in desired.hosts if host in current.hosts}
    members = {} if aggregate is None else dict.fromkeys(aggregate.hosts, "member")
    if aggregate is not None and not aggregate.ours:
        lines = differing(aggregate.metadata, desired.metadata) + differing(members, hosts)
        if lines:
            findings.append(_others("aggregate", name, lines))
        return
    for host in sorted(set(desired.hosts) - set(hosts)):
        findings.append(_unknown(f"host {host}", "nova has no compute service of it"))
    metadata = _create_aggregate(desired, actions) if aggregate is None else aggregate.metadata
    changes = values(metadata, desired.metadata)
    if changes:
        reason = "the scheduler uses it"
        operation = aggregates.SetAggregateMetadata(name, changes)
        undo = aggregates.SetAggregateMetadata(name, backwards(changes))
        actions.append(_action("set metadata of aggregate", name, reason, operation, undo))
    joining = values(members, hosts)
    if joining:
        reason = "the site file lists them in it"
        add = aggregates.AddHosts(name, joining)
        remove = aggregates.AddHosts(name, backwards(joining))
        actions.append(_action("add hosts to aggregate", name, reason, add, remove))


def _create_aggregate(desired: DesiredAggregate, actions: list[Action]) -> Mapping[str, str]:
    """The action that creates it; the metadata that it has then: its zone alone."""
    name, zone = desired.name, desired.metadata.get(aggregates.ZONE)
    operation = aggregates.CreateAggregate(name, zone)
    reason = "the cloud has no aggregate of that name"
    undo = f"openstack aggregate delete {name!r}"
    actions.append(Action("create aggregate", name, reason, operation, undo))
    return {} if zone is None else {aggregates.ZONE: zone}


def _plan_image(
    desired: DesiredImage, current: CurrentCloud, actions: list[Action], findings: list[Finding]
) -> None:
    # A server's snapshot that inherited our properties is neither ours nor another's.
    images = [row for row in current.images.get(desired.name, ()) if not row.copied]
    others = [image for image in images if image.sha256 is None]
    if others:
        findings += _others_images(desired, others)
        return
    file = current.files.get(desired.name)
    complete = [image for image in images if image.status not in {"queued", "killed"}]
    if not complete:
        _plan_upload(desired, file, images, actions, findings)
    for image in complete:
        if file is not None and not _has_content(image, file):
            findings.append(_unchangeable_image(image, file))
        else:
            actions += _set_properties(image, desired)


def _others_images(desired: DesiredImage, images: Iterable[Image]) -> Iterator[Finding]:
    """The images of that name that somebody else made with other properties."""
    for image in images:
        lines = differing(image.properties, desired.properties)
        if lines:
            yield _others("image", desired.name, [f"image {image.id}", *lines])


def _has_content(image: Image, file: ImageFile) -> bool:
    return (image.sha256, image.disk_format) == (file.sha256, file.disk_format)


def _set_properties(image: Image, desired: DesiredImage) -> Iterable[Action]:
    changes = values(image.properties, desired.properties)
    if changes:
        operation = SetImageProperties(desired.name, image.id, changes)
        undo = SetImageProperties(desired.name, image.id, backwards(changes))
        reason = "they define the guest's machine"
        yield _action("set properties of image", desired.name, reason, operation, undo)


def _unchangeable_image(image: Image, file: ImageFile) -> Finding:
    return _warning(
        "WC331",
        f"image {image.name}",
        f"Glance has it with other content than {file.path}, and an image's content cannot be "
        "changed.",
        "Give the new image another name, or delete the old one. Servers that were created from "
        f"the old image may need it for a rebuild.\n  openstack image delete {image.id}",
    )


def _plan_upload(
    desired: DesiredImage,
    file: ImageFile | None,
    begun: Sequence[Image],
    actions: list[Action],
    findings: list[Finding],
) -> None:
    if file is None and desired.is_built:
        message = f"Glance has no image of that name, and {desired.file} is not built."
        fix = f"{BUILD_IT} {quote(desired.name)}"
        findings.append(_warning("WC413", f"image {desired.name}", message, fix))
        return
    if file is None:
        message = "Glance has no image of that name, and the site file names no file for it."
        fix = "Name its file, or upload it yourself with the properties of the site file."
        findings.append(_warning("WC334", f"image {desired.name}", message, fix))
        return
    half = any(image.sha256 == file.sha256 for image in begun)
    recipe = {RECIPE_PROPERTY: file.recipe_sha256} if file.recipe_sha256 else {}
    properties = tuple(sorted({**desired.properties, **recipe}.items()))
    operation = UploadImage(
        desired.name, file.path, file.sha256, properties, file.disk_format, half=half,
        min_disk=-(-(file.virtual_size or 0) // GIB),
    )  # fmt: skip
    reason = "its upload was cut off" if half else "Glance has no image of that name"
    undo = f"openstack image delete {desired.name!r}"
    actions.append(Action("upload image", desired.name, reason, operation, undo))


def _plan_flavor(
    desired: DesiredFlavor, current: CurrentCloud, actions: list[Action], findings: list[Finding]
) -> None:
    findings += _unknown_projects(desired.projects, current)
    projects = _project_ids(desired.projects, current)
    if desired.projects and not projects:
        # A public one would be everybody's, a private one nobody's.
        return
    full = FlavorSpec(
        desired.name, desired.ram_mb, desired.vcpus, desired.disk_gb, desired.extra_specs, projects
    )
    flavor = next((row for row in current.flavors if row.name == desired.name), None)
    lines = flavors.differences(flavor, full)
    if flavor is None or not lines:
        actions += flavors.plan_flavor(flavor, full)
        findings += _surplus(flavor, full)
    elif flavor.ours and flavors.size_differences(flavor, full):
        findings.append(_unchangeable_flavor(flavor, lines))
    else:
        findings.append(_others("flavor", desired.name, lines))


def _project_ids(names: Iterable[str], current: CurrentCloud) -> tuple[str, ...]:
    """The ids of the projects that Keystone has."""
    return tuple(sorted(current.projects[name] for name in names if name in current.projects))


def _unknown_projects(names: Iterable[str], current: CurrentCloud) -> Iterator[Finding]:
    for name in names:
        if name not in current.projects:
            yield _unknown(f"project {name}", "Keystone has none of that name")


def _unchangeable_flavor(flavor: Flavor, lines: Iterable[str]) -> Finding:
    return _warning(
        "WC331",
        f"flavor {flavor.name}",
        f"{'; '.join(lines)}. nova cannot change these values of a flavor.",
        "Give the new flavor another name, or delete the old one; its servers keep a copy of it.\n"
        f"  openstack flavor delete {flavor.id}",
    )


def _surplus(flavor: Flavor | None, desired: FlavorSpec) -> Iterable[Finding]:
    """WC339: what a flavor of ours has that the site file does not have."""
    lines = flavors.surplus(flavor, desired)
    if flavor is None or not lines:
        return
    keys, projects = flavors.beyond(flavor, desired)
    commands = [
        *(f"openstack flavor unset --property {quote(key)} {flavor.id}" for key in keys),
        *(f"openstack flavor unset --project {project} {flavor.id}" for project in projects),
    ]
    message = (
        f"{'; '.join(lines)}. Wholecard does not change it, because somebody else may have set it."
    )
    fix = "Write it into the site file, or remove it yourself:\n  " + "\n  ".join(commands)
    yield _warning("WC339", f"flavor {desired.name}", message, fix)


def _plan_quotas(
    desired: DesiredCloud, current: CurrentCloud, actions: list[Action], findings: list[Finding]
) -> None:
    findings += _unknown_projects((quota.project for quota in desired.quotas), current)
    if current.limit_place is not None:
        plan_limits(desired, current, actions, findings)
        return
    for quota in desired.quotas:
        own = current.quotas.get(quota.project)
        if own is None:
            continue
        texts = {key: str(value) for key, value in own.values.items()}
        changes = values(texts, {key: str(value) for key, value in quota.values.items()})
        if changes:
            project = current.projects[quota.project]
            default = own.values == own.defaults
            operation = SetQuota(quota.project, project, default, changes)
            undo = SetQuota(quota.project, project, default, backwards(changes))
            reason = "the site limits it"
            actions.append(_action("set quota", quota.project, reason, operation, undo))


def _action(
    kind: str, subject: str, reason: str, operation: CloudOperation, undo: CloudOperation
) -> Action:
    return Action(kind, subject, reason, operation, undo.describe().replace("\n", "; "))


def _others(kind: str, name: str, lines: Iterable[str]) -> Finding:
    message = f"It exists, differs, and was not made by Wholecard: {'; '.join(lines)}."
    fix = "Wholecard does not change it. Use another name in the site file, or change it yourself."
    return _warning("WC330", f"{kind} {name}", message, fix)


def _unknown(subject: str, what: str) -> Finding:
    message = f"{what}; what the site file requests for it is skipped."
    fix = "Correct the name in the site file, or plan again when it exists."
    return _warning("WC333", subject, message, fix)


def _warning(rule: str, subject: str, message: str, fix: str) -> Finding:
    return Finding(rule, subject, Severity.WARNING, message, fix)
