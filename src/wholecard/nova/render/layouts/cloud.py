"""What a layout writes: the options of every role, and those of each host alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wholecard.core import UsageError
from wholecard.core.releases import Release
from wholecard.nova.desired.required_options import PciConfig, RequiredOption, required_options
from wholecard.nova.options import OPTIONS_OF_A_TYPE, ROLES, Option, Role, of_type

# The options that have other values on each host.
_OF_HOSTS = frozenset(
    {"device_spec", "enabled_mdev_types", *(option.name for option in OPTIONS_OF_A_TYPE)}
)


@dataclass(frozen=True)
class Cloud:
    """The required options of a whole cloud.

    `roles` are those of each role, for compute what all hosts share; `hosts` are those of each
    host alone, under the name "" where the site has no hosts. `filters_known` says that
    `enabled_filters` comes from a list of the site or its files, not from a default.
    """

    release: Release
    roles: Mapping[Role, tuple[RequiredOption, ...]]
    hosts: Mapping[str, tuple[RequiredOption, ...]]
    filters_known: bool = True

    @property
    def hosts_agree(self) -> bool:
        """Whether every host has the same options."""
        return len(set(self.hosts.values())) == 1

    def same_hosts(self) -> tuple[tuple[tuple[str, ...], tuple[RequiredOption, ...]], ...]:
        """The hosts by their options: groups of names, in the site's order."""
        groups: dict[tuple[RequiredOption, ...], list[str]] = {}
        for name, own in self.hosts.items():
            groups.setdefault(own, []).append(name)
        return tuple((tuple(names), own) for own, names in groups.items())

    def compute(self, host: str) -> tuple[RequiredOption, ...]:
        """All options of nova-compute on a host. Raises UsageError for an unknown host."""
        return (*self.own(host), *self.roles["compute"])

    def own(self, host: str) -> tuple[RequiredOption, ...]:
        """The options of that host alone; of every host where the site has no hosts."""
        if "" in self.hosts:
            return self.hosts[""]
        if host in self.hosts:
            return self.hosts[host]
        if host:
            resolution = f"Choose one of {_some(self.hosts)}."
            raise UsageError(f"the site has no host {host!r}", resolution=resolution)
        if self.hosts_agree:
            return next(iter(self.hosts.values()))
        resolution = f"Name one with --host: {_some(self.hosts)}."
        raise UsageError("the hosts have different devices", resolution=resolution)

    def mdev_types(self, host: str) -> dict[str, dict[str, tuple[str, ...]]]:
        """The types of mediated devices of a host, each with its section's options by name."""
        types: dict[str, dict[str, tuple[str, ...]]] = {}
        for required in self.own(host):
            if required.option.name == "enabled_mdev_types":
                types |= {name: {} for name in required.values}
            for name, options in types.items():
                if required.option in _options_of(name):
                    options[required.option.name] = required.values
        return types

    def required(self, role: Role, name: str) -> RequiredOption | None:
        """The role's option of that newest name, None where the role does not need it."""
        return next((each for each in self.roles[role] if each.option.name == name), None)


def cloud_of(
    configs: Mapping[str, PciConfig],
    release: Release,
    filters: Sequence[str],
    filter_class: Sequence[str] = (),
    filters_known: bool = True,
) -> Cloud:
    """The cloud of these hosts' configs. Raises UsageError for what nova would refuse."""
    # All but the options of one host are the same in every config.
    first = next(iter(configs.values()))
    hosts, roles = {}, {}
    for host, config in configs.items():
        options = required_options("compute", config, filters, release)
        hosts[host] = tuple(each for each in options if each.option.name in _OF_HOSTS)
    for role in ROLES:
        options = required_options(role, first, filters, release, filter_class)
        roles[role] = tuple(each for each in options if each.option.name not in _OF_HOSTS)
    return Cloud(release, roles, hosts, filters_known)


def _options_of(type_id: str) -> tuple[Option, ...]:
    return tuple(of_type(option, type_id) for option in OPTIONS_OF_A_TYPE)


def _some(names: Mapping[str, object]) -> str:
    few = ", ".join(itertools.islice(names, 8))
    return f"{few}, …" if len(names) > 8 else few
