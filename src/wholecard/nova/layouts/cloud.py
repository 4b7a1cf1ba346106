"""What a layout is given: the needs of every role, and of every host what is its own."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wholecard.core import UsageError
from wholecard.core.releases import Release
from wholecard.nova.desired.required_options import PciConfig, RequiredOption, required_options
from wholecard.nova.options import ROLES, Role

# The options of which each host has its own values.
_OF_HOSTS = frozenset({"device_spec"})


@dataclass(frozen=True)
class Cloud:
    """A whole cloud's needs.

    `roles` are each role's, for compute what all hosts share; `hosts` are each host's own, under
    the name "" where the site has no hosts. `filters_known` says that `enabled_filters` is made
    from a list that somebody named, and not from a default.
    """

    of: Release
    roles: Mapping[Role, tuple[RequiredOption, ...]]
    hosts: Mapping[str, tuple[RequiredOption, ...]]
    filters_known: bool = True

    @property
    def hosts_agree(self) -> bool:
        """Whether every host has the same."""
        return len(set(self.hosts.values())) == 1

    def same_hosts(self) -> tuple[tuple[tuple[str, ...], tuple[RequiredOption, ...]], ...]:
        """The hosts by what they have: groups of names, in the site's order."""
        groups: dict[tuple[RequiredOption, ...], list[str]] = {}
        for name, own in self.hosts.items():
            groups.setdefault(own, []).append(name)
        return tuple((tuple(names), own) for own, names in groups.items())

    def compute(self, host: str) -> tuple[RequiredOption, ...]:
        """All that nova-compute of a host needs. Raises UsageError for a host that is not there."""
        return (*self.own(host), *self.roles["compute"])

    def own(self, host: str) -> tuple[RequiredOption, ...]:
        """What is a host's own. A cloud without hosts has one for all."""
        if "" in self.hosts:
            return self.hosts[""]
        if host in self.hosts:
            return self.hosts[host]
        if host:
            raise UsageError(
                f"the site has no host {host!r}", resolution=f"Take one of {_some(self.hosts)}."
            )
        if self.hosts_agree:
            return next(iter(self.hosts.values()))
        raise UsageError(
            "the hosts have different device_specs",
            resolution=f"Name one with --host: {_some(self.hosts)}.",
        )

    def need(self, role: Role, name: str) -> RequiredOption | None:
        """The role's need of that option's newest name, None where it has none."""
        return next((each for each in self.roles[role] if each.option.name == name), None)


def made_cloud(
    configs: Mapping[str, PciConfig],
    of: Release,
    filters: Sequence[str],
    filter_class: Sequence[str] = (),
    filters_known: bool = True,
) -> Cloud:
    """The cloud of these hosts' configs. Raises UsageError for what nova would not have."""
    first = next(iter(configs.values()))
    hosts = {
        host: tuple(
            each
            for each in required_options("compute", config, filters, of)
            if each.option.name in _OF_HOSTS
        )
        for host, config in configs.items()
    }
    roles = {
        role: tuple(
            each
            for each in required_options(role, first, filters, of, filter_class)
            if each.option.name not in _OF_HOSTS
        )
        for role in ROLES
    }
    return Cloud(of, roles, hosts, filters_known)


def _some(names: Mapping[str, object]) -> str:
    few = ", ".join(itertools.islice(names, 8))
    return f"{few}, …" if len(names) > 8 else few
