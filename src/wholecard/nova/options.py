"""The one table of nova's options for cards: under which name, since which release, read by whom.

Numbers are nova's major versions (`wholecard.core.releases`); Placement's options have the
number of the nova of the same release. Source: nova/conf/*.py, placement/conf/*.py at the tags of
each release; what a later fix added to a series counts only where a published version has it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from wholecard.core import UsageError
from wholecard.core.capabilities import Capability
from wholecard.core.near_names import did_you_mean
from wholecard.pci import device_types

Role = Literal["api", "scheduler", "conductor", "compute", "placement"]
ROLES: tuple[Role, ...] = get_args(Role)
Kind = Literal["multi", "list", "boolean", "integer", "real", "text"]
State = Literal["right", "deprecated", "not-yet", "gone"]


@dataclass(frozen=True)
class Spelling:
    """A name of an option, and since when nova has it, deprecates it, and does not read it."""

    section: str
    name: str
    since: int = 13
    deprecated: int | None = None
    gone: int | None = None

    def state(self, major: int) -> State:
        """How nova of that major version treats this name."""
        if major < self.since:
            return "not-yet"
        if self.gone is not None and major >= self.gone:
            return "gone"
        if self.deprecated is not None and major >= self.deprecated:
            return "deprecated"
        return "right"

    def __str__(self) -> str:
        return f"[{self.section}] {self.name}"


@dataclass(frozen=True)
class Option:
    """An option: the roles that read it and its names, the newest first.

    `roles` are all that ever read it; `later` are those that began to read it in a later release.
    """

    kind: Kind
    roles: frozenset[Role]
    spellings: tuple[Spelling, ...]
    summary: str
    later: tuple[tuple[Role, int], ...] = ()

    @property
    def name(self) -> str:
        """Its newest name, by which Wholecard's code knows it."""
        return self.spellings[0].name

    def spelling(self, major: int) -> Spelling | None:
        """The right name in that release, None where nova does not have the option."""
        return next((each for each in self.spellings if each.state(major) == "right"), None)

    def deprecated_spellings(self, major: int) -> tuple[Spelling, ...]:
        """The other names that nova of that release still reads."""
        return tuple(each for each in self.spellings if each.state(major) == "deprecated")

    def is_read_by(self, role: Role, major: int) -> bool:
        """Whether that role of that release reads it, under any name."""
        since = dict(self.later).get(role, 13)
        return role in self.roles and major >= since and self.spelling(major) is not None


def role_named(name: str) -> Role:
    """The role of that name. Raises UsageError where nova has none."""
    for role in ROLES:
        if name == role:
            return role
    resolution = f"Choose one of {', '.join(ROLES)}."
    raise UsageError(f"nova has no role {name!r}", did_you_mean(name, ROLES), resolution)


def _option(kind: Kind, roles: str, summary: str, *spellings: Spelling, **later: int) -> Option:
    readers = frozenset(role for role in ROLES if role in roles.split())
    since = tuple((role, later[role]) for role in ROLES if role in later)
    return Option(kind, readers, spellings, summary, since)


OPTIONS: tuple[Option, ...] = (
    _option("multi", "compute", "which PCI functions of the host guests may get",
            Spelling("pci", "device_spec", 26),
            Spelling("pci", "passthrough_whitelist", 15, deprecated=26),
            Spelling("DEFAULT", "pci_passthrough_whitelist", 13, deprecated=15)),
    # nova-compute: nova/compute/resource_tracker.py, for a resize.
    _option("multi", "api compute", "what a flavor may request",
            Spelling("pci", "alias", 15),
            Spelling("DEFAULT", "pci_alias", 13, deprecated=15),
            compute=14),
    _option("list", "compute", "which types of mediated devices (vGPUs) guests may get",
            Spelling("devices", "enabled_mdev_types", 24),
            Spelling("devices", "enabled_vgpu_types", Capability.MDEV_TYPES.since, deprecated=24)),
    _option("boolean", "compute", "each function becomes a resource provider in Placement",
            Spelling("pci", "report_in_placement", Capability.REPORT_IN_PLACEMENT.since)),
    # nova-compute reads it when it checks its aliases: nova/pci/request.py, since 31.3.1.
    _option("boolean", "api scheduler conductor compute",
            "cards are chosen and claimed in Placement",
            Spelling("filter_scheduler", "pci_in_placement", Capability.PCI_IN_PLACEMENT.since),
            compute=Capability.ALIASES_CHECKED.since),
    _option("list", "scheduler", "the filters that a host must pass",
            Spelling("filter_scheduler", "enabled_filters", 15),
            Spelling("DEFAULT", "scheduler_default_filters", 13, deprecated=15, gone=24)),
    _option("multi", "scheduler", "where the scheduler finds filters",
            Spelling("filter_scheduler", "available_filters", 15),
            Spelling("DEFAULT", "scheduler_available_filters", 13, deprecated=15, gone=24)),
    _option("integer", "scheduler", "from how many of the best hosts one is chosen at random",
            Spelling("filter_scheduler", "host_subset_size", 15),
            Spelling("DEFAULT", "scheduler_host_subset_size", 13, deprecated=15, gone=24)),
    _option("boolean", "scheduler", "hosts of equal weight are shuffled",
            Spelling("filter_scheduler", "shuffle_best_same_weighed_hosts", 17)),
    _option("real", "scheduler", "how much servers without cards avoid hosts with cards",
            Spelling("filter_scheduler", "pci_weight_multiplier", 16)),
    # nova-conductor counts the tries: nova/scheduler/utils.py, populate_retry.
    _option("integer", "scheduler conductor", "how many hosts are tried for a server",
            Spelling("scheduler", "max_attempts", 15),
            Spelling("DEFAULT", "scheduler_max_attempts", 13, deprecated=15, gone=24)),
    _option("integer", "scheduler", "how many processes nova-scheduler has",
            Spelling("scheduler", "workers", 18)),
    # nova/rpc.py, init: every service with RPC makes its notifiers by it.
    _option("text", "api scheduler conductor compute", "which notifications nova sends",
            Spelling("notifications", "notification_format", 15),
            Spelling("DEFAULT", "notification_format", 13, deprecated=15)),
    # oslo.messaging's, so every service with RPC reads them.
    _option("integer", "api scheduler conductor compute",
            "how many requests a process handles at once",
            Spelling("DEFAULT", "executor_thread_pool_size")),
    _option("integer", "api scheduler conductor compute",
            "how many seconds to wait for an answer",
            Spelling("DEFAULT", "rpc_response_timeout")),
    _option("integer", "scheduler", "how many allocation candidates the scheduler requests from "
        "Placement",
            Spelling("scheduler", "max_placement_results", 17)),
    _option("text", "api conductor", "the driver that counts quotas",
            Spelling("quota", "driver", 15),
            Spelling("DEFAULT", "quota_driver", 13, deprecated=15, gone=18)),
    _option("list", "api conductor", "resources that have the limit 0 if no limit is registered",
            Spelling("quota", "unified_limits_resource_list", Capability.LENIENT_LIMITS.since)),
    # What migrates a server live: nova/conf/libvirt.py. An address in live_migration_uri is the
    # older way of the two options before it.
    _option("boolean", "compute", "a live migration may go on at its destination, unfinished",
            Spelling("libvirt", "live_migration_permit_post_copy", 14)),
    _option("text", "compute", "over what a live migration goes: tcp, ssh, tls",
            Spelling("libvirt", "live_migration_scheme", 15)),
    _option("text", "compute", "the address at which this host takes live migrations",
            Spelling("libvirt", "live_migration_inbound_addr", 14)),
    _option("text", "compute", "the URI of a live migration's destination, %s for its name",
            Spelling("libvirt", "live_migration_uri")),
    _option("integer", "compute", "how many ms a server may pause at the end of a live migration",
            Spelling("libvirt", "live_migration_downtime", 13)),
    _option("integer", "compute", "in how many steps that pause is allowed",
            Spelling("libvirt", "live_migration_downtime_steps", 13)),
    _option("integer", "compute", "how many seconds are between these steps",
            Spelling("libvirt", "live_migration_downtime_delay", 13)),
    _option("boolean", "compute", "nova compares no CPUs before a live migration; libvirt does",
            Spelling("workarounds", "skip_cpu_compare_on_dest", 26)),
    # placement.conf; in Queens and Rocky it is nova's own placement that reads it from nova.conf.
    _option("boolean", "placement", "allocation candidates are in random order",
            Spelling("placement", "randomize_allocation_candidates", 17)),
    _option("integer", "placement", "how often a claim is tried again after a conflict",
            Spelling("placement", "allocation_conflict_retry_count", 21)),
    _option("integer", "placement", "the maximum number of allocation candidates",
            Spelling("placement", "max_allocation_candidates",
                     Capability.LIMITED_CANDIDATES.since)),
    _option("text", "placement", "in which order allocation candidates are generated",
            Spelling("placement", "allocation_candidates_generation_strategy", 28)),
    _option("boolean", "placement",
            "impossible combinations of many providers are discarded early",
            Spelling("workarounds", "optimize_for_wide_provider_trees",
                     Capability.WIDE_PROVIDER_TREES.since)),
)  # fmt: skip

# Each type of mediated devices has a section of its own: nova/conf/devices.py, register_dynamic_
# opts. The names of these sections end with the type's, written TYPE here.
OPTIONS_OF_A_TYPE: tuple[Option, ...] = (
    _option("list", "compute", "the parents that give mediated devices of this type",
            Spelling("mdev_TYPE", "device_addresses", 24),
            Spelling("vgpu_TYPE", "device_addresses", Capability.MDEV_SECTIONS.since,
                     deprecated=24)),
    _option("text", "compute", "the resource class of this type in Placement",
            Spelling("mdev_TYPE", "mdev_class", Capability.MDEV_CLASSES.since)),
    _option("integer", "compute", "the most mediated devices of this type on the host",
            Spelling("mdev_TYPE", "max_instances", Capability.MDEV_LIMITS.since)),
)  # fmt: skip
_TYPE = "TYPE"
_TYPE_SECTIONS = ("mdev_", "vgpu_")
# nova/conf/devices.py, the regex of mdev_class.
MDEV_CLASS = r"(VGPU|CUSTOM_[A-Z0-9_]+)"


def by_name(name: str) -> Option:
    """The option of that newest name. Raises KeyError for an unknown one."""
    for option in (*OPTIONS, *OPTIONS_OF_A_TYPE):
        if option.name == name:
            return option
    raise KeyError(name)


def of_type(option: Option, type_id: str) -> Option:
    """One of `OPTIONS_OF_A_TYPE` in the sections of that type."""
    spellings = (
        replace(spelling, section=spelling.section.replace(_TYPE, type_id))
        for spelling in option.spellings
    )
    return replace(option, spellings=tuple(spellings))


def type_of_section(section: str) -> str | None:
    """The type whose section it is; None for a section of nova's own."""
    prefix = section[:5].lower()
    return section[5:] or None if prefix in _TYPE_SECTIONS else None


def find(section: str, name: str) -> tuple[Option, Spelling] | None:
    """The option that has, or had, this name in this section; None for any other option."""
    type_id = type_of_section(section)
    known = (of_type(option, type_id) for option in OPTIONS_OF_A_TYPE) if type_id else OPTIONS
    for option in known:
        for spelling in option.spellings:
            if (spelling.section, spelling.name) == (section, name):
                return option, spelling
    return None


# The first release that knows the key; nova/pci/devspec.py and nova/pci/request.py.
DEVICE_SPEC_KEYS: dict[str, int] = {
    **dict.fromkeys(("vendor_id", "product_id", "address", "devname", "physical_network"), 13),
    "trusted": 18,
    "remote_managed": Capability.REMOTE_MANAGED.since,
    "resource_class": Capability.REPORT_IN_PLACEMENT.since,
    "traits": Capability.REPORT_IN_PLACEMENT.since,
    "managed": Capability.LIVE_MIGRATABLE.since,
    "live_migratable": Capability.LIVE_MIGRATABLE.since,
    "one_time_use": Capability.ONE_TIME_USE.since,
}
ALIAS_KEYS: dict[str, int] = {
    **dict.fromkeys(("name", "capability_type", "vendor_id", "product_id", "device_type"), 13),
    "numa_policy": Capability.ALIAS_NUMA_POLICY.since,
    "resource_class": Capability.PCI_IN_PLACEMENT.since,
    "traits": Capability.PCI_IN_PLACEMENT.since,
    "live_migratable": Capability.LIVE_MIGRATABLE.since,
}
DB_DRIVER = "nova.quota.DbQuotaDriver"
UNIFIED_DRIVER = "nova.quota.UnifiedLimitsDriver"
QUOTA_DRIVERS: dict[str, int] = {DB_DRIVER: 13, UNIFIED_DRIVER: Capability.UNIFIED_LIMITS.since}
NUMA_POLICIES: dict[str, int] = {
    **dict.fromkeys(device_types.NUMA_POLICIES, Capability.ALIAS_NUMA_POLICY.since),
    "socket": Capability.SOCKET_POLICY.since,
}
# Extra specs and image properties that we write; nova/api/validation/extra_specs, and
# nova/objects/image_meta.py.
FLAVOR_KEYS: dict[str, int] = {
    **dict.fromkeys(
        ("pci_passthrough:alias", "hw:numa_nodes", "hw:mem_page_size", "hw:cpu_policy"), 13
    ),
    "trait:": 17,
    "hw:pci_numa_affinity_policy": Capability.FLAVOR_NUMA_POLICY.since,
    "hw:cpu_dedicated_mask": Capability.MIXED_CPUS.since,
    "hw:cpu_thread_policy": 13,
    "hw:emulator_threads_policy": Capability.EMULATOR_THREADS.since,
    "hw:locked_memory": Capability.LOCKED_MEMORY.since,
    "hw:maxphysaddr_mode": Capability.GUEST_ADDRESS_WIDTH.since,
    "hw:maxphysaddr_bits": Capability.GUEST_ADDRESS_WIDTH.since,
}
IMAGE_KEYS: dict[str, int] = {
    **dict.fromkeys(
        (
            "hw_machine_type",
            "hw_firmware_type",
            "os_type",
            "hw_disk_bus",
            "hw_scsi_model",
            "hw_vif_model",
            "hw_qemu_guest_agent",
        ),
        13,
    ),
    "img_hide_hypervisor_id": 16,
    "hw_tpm_version": Capability.TPM.since,
    "hw_tpm_model": Capability.TPM.since,
    "os_secure_boot": Capability.SECURE_BOOT.since,
}


def numa_policies(major: int) -> tuple[str, ...]:
    """The NUMA policies that nova of that major version has; none before Queens."""
    return tuple(policy for policy, since in NUMA_POLICIES.items() if since <= major)


# Options that nova's own defaults name as `$my_ip`, each with a value of its own (Mitaka to 2026.2:
# nova/conf/netconf.py and paths.py). Operators write them so, too.
MEANT_TO_BE_REPLACED = frozenset(
    {"my_ip", "my_block_storage_ip", "host", "state_path", "pybasedir", "bindir"}
)
