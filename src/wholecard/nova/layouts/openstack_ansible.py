"""OpenStack-Ansible: variables below `/etc/openstack_deploy`.

`user_*.yml` are extra variables, which win over every host's; so what is a host's own stands in
`host_vars/<host>/`. `nova_nova_conf_overrides` is a mapping that the last `user_*.yml` sets whole.
Its one nova.conf serves every role of a host. Source: openstack-ansible-os_nova, defaults/main.yml
and templates/nova.conf.j2, Queens to 2026.1; os_placement; config_template.
"""

from __future__ import annotations

from typing import Any

from wholecard.core import UsageError
from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.nova.desired.required_options import RequiredOption, joined
from wholecard.nova.desired.scheduler_filters import PCI_FILTER
from wholecard.nova.layouts.cloud import Cloud
from wholecard.nova.layouts.yaml_text import document
from wholecard.nova.render.drop_in_file import comment

# Options that have a variable of their own.
_OWN = frozenset({"device_spec", "alias", "enabled_filters"})
_NOTES = (
    "# A variable that ends in _conf_overrides is set whole by the last user_*.yml that has it:\n"
    "# put the keys that another file gives it in there and here alike.\n"
)


def files(cloud: Cloud) -> dict[str, str]:
    """`user_wholecard.yml` for the cloud, and a file of variables for each host.

    Raises UsageError where the scheduler's filters are not known and the tool cannot append.
    """
    variables: dict[str, Any] = {}
    alias = cloud.need("api", "alias")
    if alias:
        variables["nova_pci_alias"] = list(alias.values)
    variables.update(_filters(cloud))
    shared, apart = _by_sharing(cloud)
    overrides = _overrides(cloud, shared)
    placement = _overrides(cloud, list(cloud.roles["placement"]))
    if not has(cloud.of, Capability.PLACEMENT_ALONE):
        overrides, placement = {**overrides, **placement}, {}
    if overrides:
        variables["nova_nova_conf_overrides"] = overrides
    if placement:
        variables["placement_placement_conf_overrides"] = placement
    made: dict[str, str] = {}
    for host, own in cloud.hosts.items():
        if host and own:
            what = f"for OpenStack-Ansible, the host {host}"
            made[f"host_vars/{host}/wholecard.yml"] = document(
                _specs(own, cloud.of), what, cloud.of
            )
        else:
            variables.update(_specs(own, cloud.of))
    notes = _NOTES + "".join(f"{line}\n" for line in _unwritten(cloud, apart))
    made["user_wholecard.yml"] = document(variables, "for OpenStack-Ansible", cloud.of, notes)
    return made


def _by_sharing(cloud: Cloud) -> tuple[list[RequiredOption], list[RequiredOption]]:
    """nova's needs that the one nova.conf may have, and those that are one service's alone.

    An option that another service reads too, without needing it, would be changed there as well.
    """
    shared: list[RequiredOption] = []
    apart: list[RequiredOption] = []
    nova = {role: found for role, found in cloud.roles.items() if role != "placement"}
    for found in nova.values():
        for need in found:
            readers = {role for role in nova if need.option.is_read_by(role, cloud.of.nova)}
            alike = {role for role in nova if _same(nova[role], need)}
            (shared if readers == alike else apart).append(need)
    return shared, apart


def _same(found: tuple[RequiredOption, ...], need: RequiredOption) -> bool:
    return any((each.option, each.values) == (need.option, need.values) for each in found)


def _unwritten(cloud: Cloud, apart: list[RequiredOption]) -> list[str]:
    names = dict.fromkeys(
        f"{need.option.spelling(cloud.of.nova)} = {joined(need.values)}" for need in apart
    )
    if not names:
        return []
    return comment(
        f"Not here, for every nova service of a host reads the one nova.conf: {', '.join(names)}."
    )


def _specs(own: tuple[RequiredOption, ...], of: Release) -> dict[str, Any]:
    """The host's device_specs, as the role's template of that release prints them."""
    values = [value for need in own for value in need.values]
    if not values:
        return {}
    if has(of, Capability.OSA_DEVICE_SPEC_LIST):
        return {"nova_device_spec": values}
    # It prints the variable into one line; nova takes a JSON list there.
    renamed = has(of, Capability.OSA_DEVICE_SPEC)
    name = "nova_device_spec" if renamed else "nova_pci_passthrough_whitelist"
    return {name: values[0] if len(values) == 1 else f"[{', '.join(values)}]"}


def _filters(cloud: Cloud) -> dict[str, Any]:
    need = cloud.need("scheduler", "enabled_filters")
    filters = list(need.values) if need else []
    if not has(cloud.of, Capability.OSA_EXTRA_FILTERS):
        if not cloud.filters_known:
            since = Capability.OSA_EXTRA_FILTERS.series
            raise UsageError(
                f"OpenStack-Ansible of {cloud.of} has no list that filters can be added to",
                f"nova_scheduler_extra_filters came with {since}; before, the list is set whole.",
                "Write the list that stands there as nova.enabled_filters into the site file.",
            )
        return {"nova_scheduler_default_filters": joined(filters)}
    own = [name for name in filters if name != PCI_FILTER]
    variables: dict[str, Any] = (
        {"nova_scheduler_default_filters": own} if cloud.filters_known else {}
    )
    variables["nova_scheduler_extra_filters"] = [PCI_FILTER]
    return variables


def _overrides(cloud: Cloud, found: list[RequiredOption]) -> dict[str, dict[str, Any]]:
    """The other options by section; a repeated one is a mapping of its values to nothing."""
    sections: dict[str, dict[str, Any]] = {}
    for need in found:
        spelling = need.option.spelling(cloud.of.nova)
        if need.option.name in _OWN or spelling is None:
            continue
        value: Any = joined(need.values)
        if need.option.kind == "multi":
            value = dict.fromkeys(need.values)
        sections.setdefault(spelling.section, {})[spelling.name] = value
    return sections
