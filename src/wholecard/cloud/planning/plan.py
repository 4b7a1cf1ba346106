"""From what is wanted and what is found to a plan, and to what is left alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wholecard.cloud.client.images import Image
from wholecard.cloud.operations.aggregates import (
    ZONE,
    AddHosts,
    CreateAggregate,
    SetAggregateMetadata,
)
from wholecard.cloud.operations.flavors import Flavor, FlavorWish, quoted
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


@dataclass(frozen=True)
class CloudPlan:
    """What to do, and what a person has to know of what is left as it is."""

    plan: Plan
    findings: tuple[Finding, ...]


def plan(wanted: DesiredCloud, found: CurrentCloud) -> CloudPlan:
    """What brings the cloud to what is wanted; touches nothing.

    Nothing is ever deleted, and what others made is never changed: where it differs that is a
    finding. The order is that in which one thing needs another.
    """
    actions: list[Action] = []
    findings = list(wanted.findings)
    _plan_traits(wanted, found, actions, findings)
    for aggregate in wanted.aggregates:
        _plan_aggregate(aggregate, found, actions, findings)
    for image in wanted.images:
        _plan_image(image, found, actions, findings)
    for flavor in wanted.flavors:
        _plan_flavor(flavor, found, actions, findings)
    _plan_quotas(wanted, found, actions, findings)
    return CloudPlan(Plan(tuple(actions)), tuple(findings))


def _plan_traits(
    wanted: DesiredCloud, found: CurrentCloud, actions: list[Action], findings: list[Finding]
) -> None:
    by_host = wanted.traits or {}
    reason = "an aggregate takes only servers that ask for it, and its hosts have to have it"
    known = [host for host in by_host if host in found.providers]
    needed = sorted({trait for host in known for trait in by_host[host]} - found.traits)
    actions += [
        Action("create trait", trait, reason, CreateTrait(trait), f"openstack trait delete {trait}")
        for trait in needed
    ]
    for host, traits in by_host.items():
        provider = found.providers.get(host)
        if provider is None:
            findings.append(_unknown(f"host {host}", "Placement has no provider of it"))
            continue
        having = {trait: "set" for trait in traits if trait in provider.traits}
        changes = values(having, dict.fromkeys(traits, "set"))
        if changes:
            undo = SetHostTraits(host, provider.uuid, backwards(changes))
            do = SetHostTraits(host, provider.uuid, changes)
            actions.append(_action("set traits of host", host, reason, do, undo))


def _plan_aggregate(
    wished: DesiredAggregate, found: CurrentCloud, actions: list[Action], findings: list[Finding]
) -> None:
    there = next((each for each in found.aggregates if each.name == wished.name), None)
    hosts = {host: "member" for host in wished.hosts if host in found.hosts}
    having = {} if there is None else dict.fromkeys(there.hosts, "member")
    if there is not None and not there.ours:
        lines = differing(there.metadata, wished.metadata) + differing(having, hosts)
        if lines:
            findings.append(_others("aggregate", wished.name, lines))
        return
    for host in sorted(set(wished.hosts) - set(hosts)):
        findings.append(_unknown(f"host {host}", "nova has no compute service of it"))
    zone = wished.metadata.get(ZONE)
    if there is None:
        actions.append(
            Action(
                "create aggregate",
                wished.name,
                "the cloud has no aggregate of that name",
                CreateAggregate(wished.name, zone),
                f"openstack aggregate delete {wished.name!r}",
            )
        )
    # A new aggregate has its zone already.
    now = ({} if zone is None else {ZONE: zone}) if there is None else there.metadata
    metadata = values(now, wished.metadata)
    if metadata:
        actions.append(
            _action(
                "set metadata of aggregate",
                wished.name,
                "the scheduler goes by it",
                SetAggregateMetadata(wished.name, metadata),
                SetAggregateMetadata(wished.name, backwards(metadata)),
            )
        )
    members = values(having, hosts)
    if members:
        actions.append(
            _action(
                "add hosts to aggregate",
                wished.name,
                "they are to belong to it",
                AddHosts(wished.name, members),
                AddHosts(wished.name, backwards(members)),
            )
        )


def _plan_image(
    wished: DesiredImage, found: CurrentCloud, actions: list[Action], findings: list[Finding]
) -> None:
    # A server's snapshot that has our properties by inheritance is neither ours nor in the way.
    there = [each for each in found.images.get(wished.name, ()) if not each.copied]
    file = found.files.get(wished.name)
    ours = [each for each in there if each.sha256 is not None]
    others = [each for each in there if each.sha256 is None]
    for image in others:
        lines = differing(image.properties, wished.properties)
        if lines:
            findings.append(_others("image", wished.name, [f"image {image.id}", *lines]))
    if others:
        return
    whole = [each for each in ours if each.status not in {"queued", "killed"}]
    if not whole:
        _plan_upload(wished, file, ours, actions, findings)
        return
    for image in whole:
        if file is not None and (image.sha256, image.disk_format) != (
            file.sha256,
            file.disk_format,
        ):
            findings.append(
                Finding(
                    "WC331",
                    f"image {wished.name}",
                    Severity.WARNING,
                    f"Glance has it with other content than {file.path}, and an image's content "
                    "cannot be changed.",
                    "Give the new one another name, or delete the old one: servers that were made "
                    f"from it may need it to be rebuilt.\n  openstack image delete {image.id}",
                )
            )
            continue
        changes = values(image.properties, wished.properties)
        if changes:
            actions.append(
                _action(
                    "set properties of image",
                    wished.name,
                    "the guest's machine is made by them",
                    SetImageProperties(wished.name, image.id, changes),
                    SetImageProperties(wished.name, image.id, backwards(changes)),
                )
            )


def _plan_upload(
    wished: DesiredImage,
    file: ImageFile | None,
    begun: Sequence[Image],
    actions: list[Action],
    findings: list[Finding],
) -> None:
    if file is None:
        findings.append(
            Finding(
                "WC334",
                f"image {wished.name}",
                Severity.WARNING,
                "Glance has no image of that name, and the site file names no file for it.",
                "Name its file, or upload it yourself with the properties of the site file.",
            )
        )
        return
    half = any(each.sha256 == file.sha256 for each in begun)
    properties = tuple(sorted(wished.properties.items()))
    do = UploadImage(wished.name, file.path, file.sha256, properties, file.disk_format, half=half)
    reason = "its upload was cut off" if half else "Glance has no image of that name"
    undo = f"openstack image delete {wished.name!r}"
    actions.append(Action("upload image", wished.name, reason, do, undo))


def _plan_flavor(
    wished: DesiredFlavor, found: CurrentCloud, actions: list[Action], findings: list[Finding]
) -> None:
    for project in wished.projects:
        if project not in found.projects:
            findings.append(_unknown(f"project {project}", "Keystone has none of that name"))
    projects = tuple(
        sorted(found.projects[each] for each in wished.projects if each in found.projects)
    )
    if wished.projects and not projects:
        # Public it would be everybody's, and private nobody's.
        return
    wish = FlavorWish(
        wished.name, wished.ram_mb, wished.vcpus, wished.disk_gb, wished.extra_specs, projects
    )
    there = next((each for each in found.flavors if each.name == wished.name), None)
    lines = flavors.differences(there, wish)
    if there is None or not lines:
        actions += flavors.plan_flavor(there, wish)
        findings += _surplus(there, wish)
    elif there.ours and flavors.size_differences(there, wish):
        findings.append(
            Finding(
                "WC331",
                f"flavor {wished.name}",
                Severity.WARNING,
                f"{'; '.join(lines)}. nova cannot change that of a flavor.",
                "Give the new one another name, or delete the old one: its servers keep a copy.\n"
                f"  openstack flavor delete {there.id}",
            )
        )
    else:
        findings.append(_others("flavor", wished.name, lines))


def _surplus(there: Flavor | None, wish: FlavorWish) -> Iterable[Finding]:
    """WC339: what stays of a flavor of ours that the site file does not have."""
    lines = flavors.surplus(there, wish)
    if there is None or not lines:
        return
    more, projects = flavors.beyond(there, wish)
    mends = [
        *(f"openstack flavor unset --property {quoted(key)} {there.id}" for key in more),
        *(f"openstack flavor unset --project {project} {there.id}" for project in projects),
    ]
    yield Finding(
        "WC339",
        f"flavor {wish.name}",
        Severity.WARNING,
        f"{'; '.join(lines)}. It stays, for somebody else may have set it.",
        "Write it into the site file, or take it away yourself:\n  " + "\n  ".join(mends),
    )


def _plan_quotas(
    wanted: DesiredCloud, found: CurrentCloud, actions: list[Action], findings: list[Finding]
) -> None:
    for quota in wanted.quotas:
        if quota.project not in found.projects:
            findings.append(_unknown(f"project {quota.project}", "Keystone has none of that name"))
    if found.limit_place is not None:
        plan_limits(wanted, found, actions, findings)
        return
    for quota in wanted.quotas:
        now = found.quotas.get(quota.project)
        if now is None:
            continue
        wished = {key: str(value) for key, value in quota.values.items()}
        changes = values({key: str(value) for key, value in now.values.items()}, wished)
        if changes:
            project = found.projects[quota.project]
            default = now.values == now.defaults
            undo = SetQuota(quota.project, project, default, backwards(changes))
            do = SetQuota(quota.project, project, default, changes)
            actions.append(_action("set quota", quota.project, "the site limits it", do, undo))


def _action(
    kind: str, subject: str, reason: str, do: CloudOperation, undo: CloudOperation
) -> Action:
    return Action(kind, subject, reason, do, undo.describe().replace("\n", "; "))


def _others(kind: str, name: str, lines: Iterable[str]) -> Finding:
    return Finding(
        "WC330",
        f"{kind} {name}",
        Severity.WARNING,
        f"It is there, differs, and is not wholecard's: {'; '.join(lines)}.",
        "It is left alone. Wish for another name, or make it so yourself.",
    )


def _unknown(subject: str, what: str) -> Finding:
    return Finding(
        "WC333",
        subject,
        Severity.WARNING,
        f"{what}; what the site wants of it is left out.",
        "Mend the name in the site file, or plan again when it is there.",
    )
