"""OpenStack-Ansible: variables below `/etc/openstack_deploy`.

`user_*.yml` are extra variables, which override those of a host; so what only one host has is in
`host_vars/<host>/`. `nova_nova_conf_overrides` is one mapping: the last `user_*.yml` that has it
replaces it. All nova services of a host read one nova.conf. Source: openstack-ansible-os_nova,
defaults/main.yml and templates/nova.conf.j2, Queens to 2026.1; os_placement; config_template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wholecard.core import UsageError
from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.nova.desired.required_options import RequiredOption, joined
from wholecard.nova.desired.scheduler_filters import PCI_FILTER
from wholecard.nova.options import Role
from wholecard.nova.render.drop_in_file import comment
from wholecard.nova.render.layouts.cloud import Cloud
from wholecard.nova.render.layouts.yaml_text import document

# Options with a variable of their own.
_OWN = frozenset({"device_spec", "alias", "enabled_filters"})
_NOTES = (
    "# The last user_*.yml that has a variable ending in _conf_overrides replaces it as a whole:\n"
    "# if another file has it too, write all of its keys into both.\n"
)


def files(cloud: Cloud) -> dict[str, str]:
    """`user_wholecard.yml` for the cloud, and a file of variables for each host.

    Raises UsageError where the scheduler's filters are not known and the tool cannot append.
    """
    variables: dict[str, Any] = {}
    alias = cloud.required("api", "alias")
    if alias:
        variables["nova_pci_alias"] = list(alias.values)
    variables.update(_filters(cloud))
    shared, apart = _shared_and_apart(cloud)
    overrides = _overrides(cloud, shared)
    placement = _overrides(cloud, list(cloud.roles["placement"]))
    if not has(cloud.release, Capability.PLACEMENT_ALONE):
        overrides, placement = {**overrides, **placement}, {}
    if overrides:
        variables["nova_nova_conf_overrides"] = overrides
    if placement:
        variables["placement_placement_conf_overrides"] = placement
    if classes := _mdev_classes(cloud):
        nova = variables.setdefault("nova_nova_conf_overrides", {})
        nova |= {f"mdev_{name}": {"mdev_class": own} for name, own in classes.items()}
    texts: dict[str, str] = {}
    for host, own in cloud.hosts.items():
        specs = {**_specs(own, cloud.release), **_mdev_types(cloud, host)}
        if host and own:
            what = f"for OpenStack-Ansible, the host {host}"
            texts[f"host_vars/{host}/wholecard.yml"] = document(specs, what, cloud.release)
        else:
            variables.update(specs)
    notes = _NOTES + "".join(f"{line}\n" for line in _unwritten(cloud, apart))
    texts["user_wholecard.yml"] = document(variables, "for OpenStack-Ansible", cloud.release, notes)
    return texts


def _shared_and_apart(cloud: Cloud) -> tuple[list[RequiredOption], list[RequiredOption]]:
    """nova's options that the one nova.conf may have, and those that it must not have.

    An option that another service reads too, without needing it, would change that service.
    """
    shared: list[RequiredOption] = []
    apart: list[RequiredOption] = []
    nova: dict[Role, tuple[RequiredOption, ...]] = {
        role: options for role, options in cloud.roles.items() if role != "placement"
    }
    for options in nova.values():
        for option in options:
            readers = {role for role in nova if option.option.is_read_by(role, cloud.release.nova)}
            (shared if readers == _roles_that_need(option, nova) else apart).append(option)
    return shared, apart


def _roles_that_need(
    option: RequiredOption, nova: Mapping[Role, Sequence[RequiredOption]]
) -> set[Role]:
    """The roles that need the option with these values, whatever reason each of them has."""
    same = (option.option, option.values)
    return {
        role
        for role, options in nova.items()
        if same in [(other.option, other.values) for other in options]
    }


def _unwritten(cloud: Cloud, apart: list[RequiredOption]) -> list[str]:
    nova = cloud.release.nova
    names = dict.fromkeys(f"{each.option.spelling(nova)} = {joined(each.values)}" for each in apart)
    why = "because all nova services of a host read this nova.conf"
    return comment(f"Not set, {why}: {', '.join(names)}.") if names else []


def _specs(own: tuple[RequiredOption, ...], release: Release) -> dict[str, Any]:
    """The host's device_specs, in the form that the role's template of that release prints."""
    values = [value for option in own if option.option.name == "device_spec"
              for value in option.values]  # fmt: skip
    if not values:
        return {}
    if has(release, Capability.OSA_DEVICE_SPEC_LIST):
        return {"nova_device_spec": values}
    # The template prints the variable on one line, where nova takes a JSON list.
    renamed = has(release, Capability.OSA_DEVICE_SPEC)
    name = "nova_device_spec" if renamed else "nova_pci_passthrough_whitelist"
    return {name: values[0] if len(values) == 1 else f"[{', '.join(values)}]"}


def _mdev_types(cloud: Cloud, host: str) -> dict[str, Any]:
    """The host's types with their parents: templates/nova.conf.j2, from Ussuri on."""
    types = cloud.mdev_types(host)
    if not types:
        return {}
    if not has(cloud.release, Capability.MDEV_SECTIONS):
        raise UsageError(
            f"OpenStack-Ansible of {cloud.release} has no variable for mediated devices",
            f"It has one since {Capability.MDEV_SECTIONS.series}.",
            "Remove the cards that are given as mediated devices, or render without --layout.",
        )
    renamed = has(cloud.release, Capability.MDEV_CLASSES)
    name = "nova_enabled_mdev_types" if renamed else "nova_enabled_vgpu_types"
    return {name: [
        {"type": kind, **({"address": list(options["device_addresses"])}
                          if "device_addresses" in options else {})}
        for kind, options in types.items()
    ]}  # fmt: skip


def _mdev_classes(cloud: Cloud) -> dict[str, str]:
    """The class of each type, for all hosts: the role has no variable for it.

    Raises UsageError where hosts have one type in two classes.
    """
    classes: dict[str, str] = {}
    for host in cloud.hosts:
        for name, options in cloud.mdev_types(host).items():
            own = "".join(options.get("mdev_class", ()))
            if classes.setdefault(name, own) != own:
                raise UsageError(
                    f"OpenStack-Ansible cannot give the type {name} two resource classes",
                    "It writes mdev_class for all hosts, from nova_nova_conf_overrides.",
                    "Give the kinds of that type the same resource_class.",
                )
    return {name: own for name, own in classes.items() if own}


def _filters(cloud: Cloud) -> dict[str, Any]:
    enabled = cloud.required("scheduler", "enabled_filters")
    filters = list(enabled.values) if enabled else []
    if not has(cloud.release, Capability.OSA_EXTRA_FILTERS):
        if not cloud.filters_known:
            since = Capability.OSA_EXTRA_FILTERS.series
            raise UsageError(
                f"OpenStack-Ansible of {cloud.release} cannot add a filter to its list",
                f"nova_scheduler_extra_filters is new in {since}; before, it sets the whole list.",
                "Write its present list as nova.enabled_filters into the site file.",
            )
        return {"nova_scheduler_default_filters": joined(filters)}
    extra = {"nova_scheduler_extra_filters": [PCI_FILTER]}
    own = [name for name in filters if name != PCI_FILTER]
    return {"nova_scheduler_default_filters": own, **extra} if cloud.filters_known else extra


def _overrides(cloud: Cloud, options: list[RequiredOption]) -> dict[str, dict[str, Any]]:
    """The other options by section; config_template writes a mapping's keys as repeated options."""
    sections: dict[str, dict[str, Any]] = {}
    for option in options:
        spelling = option.option.spelling(cloud.release.nova)
        if option.option.name in _OWN or spelling is None:
            continue
        is_multi = option.option.kind == "multi"
        value = dict.fromkeys(option.values) if is_multi else joined(option.values)
        sections.setdefault(spelling.section, {})[spelling.name] = value
    return sections
