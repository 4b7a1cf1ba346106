"""The one table of what nova can do since which release, where it is more than an option's name.

Code that depends on the release asks `has`, so that all rooms use the same table. Options, keys and
filters have their own tables (`nova/options.py`, `nova/desired/scheduler_filters.py`), which use
the number from here if it is the same fact. The module is in core, below nova, because a site file
is checked against it too.

Sources name the file at nova's tags, or the project's where it is not nova; what was fixed in
older series later counts from the series whose last release has it.
"""

from __future__ import annotations

from enum import Enum

from wholecard.core.releases import Release, release


class Capability(Enum):
    """What a release can do: nova's first major version, what it is, the source, when it went.

    Placement and the deployment tools are counted by the nova of the same release. `gone` is the
    first major version that no longer does it, None where all later ones do.
    """

    since: int
    what: str
    source: str
    gone: int | None

    def __new__(cls, since: int, what: str, source: str, gone: int | None = None) -> Capability:
        """A member of its own, whatever another row has."""
        member = object.__new__(cls)
        member._value_ = len(cls.__members__)
        member.since, member.what, member.source, member.gone = since, what, source, gone
        return member

    @property
    def series(self) -> str:
        """The release that it came with, as a sentence has it: Zed, 2023.1."""
        return release(str(self.since)).series.capitalize()

    # fmt: off
    # Which devices nova passes through, and which alias gets them.
    ADDRESS_REGEX = (15, "the address of a device_spec may be an object of regular expressions",
        "nova/pci/devspec.py")
    PF_BY_ADDRESS = (15, "the address of a PF gives the PF and its VFs; before, its VFs alone",
        "nova/pci/devspec.py")
    ALIAS_NUMA_POLICY = (17, "an alias has a NUMA policy; before, all do as legacy",
        "nova/pci/request.py")
    CASELESS_MATCH = 18, "an alias with 10DE matches a device with 10de", "nova/pci/utils.py"
    WIDE_DOMAIN_SKIPPED = (21,
        "a device in a domain above ffff is skipped; before, nova-compute failed",
        "nova 8c9d6fc8f0 (bug 1897528), in Wallaby and backported to Ussuri")
    SOCKET_POLICY = 23, "the NUMA policy socket", "nova/objects/fields.py, PCINUMAAffinityPolicy"
    VDPA = (23, "the device type vdpa, which aliases never get",
        "nova/objects/fields.py, PciDeviceType")
    SHARED_BETWEEN_REQUESTS = (23, "each request of a server is checked as if it were alone",
        "nova 2b447b7236", 26)
    REMOTE_MANAGED = 25, "remote_managed is more than a tag", "nova/pci/devspec.py"
    LIVE_MIGRATABLE = (31, "managed and live_migratable are truth values, not bare tags",
        "nova/pci/devspec.py, nova/pci/request.py")
    ALIASES_CHECKED = (31,
        "aliases need ids, one spec each under pci_in_placement; checked at start",
        "nova/pci/request.py, from 31.3.1; nova/compute/manager.py, init_host")
    ONE_TIME_USE = 32, "one_time_use is a truth value, not a bare tag", "nova/pci/devspec.py"

    # Mediated devices.
    MDEV_TYPES = 17, "mediated devices (vGPUs) by their type", "nova/conf/devices.py"
    MDEV_SECTIONS = (21, "types of mediated devices have sections; before, the first type counts",
        "nova/conf/devices.py; nova/virt/libvirt/driver.py, _get_supported_vgpu_types")
    MDEV_CLASSES = (24, "a type of mediated devices has a resource class, mdev_class",
        "nova/conf/devices.py")
    MDEV_LIMITS = (29,
        "max_instances; a type without addresses is for all other parents, one type has a section",
        "nova/virt/libvirt/driver.py, _get_supported_vgpu_types, _get_gpu_inventories")
    MDEV_LIVE_MIGRATION = (29, "a server with a mediated device is migrated live",
        "nova/virt/libvirt/driver.py, MIN_MDEV_LIVEMIG_LIBVIRT_VERSION")
    MDEVS_KEPT = (30, "libvirt keeps mediated devices over a reboot of the host",
        "nova/virt/libvirt/driver.py, _create_mdev")
    SEVERAL_MDEV_GROUPS = (33, "all groups of a flavor that ask for mediated devices count",
        "nova's release notes, bug-1758086; nova/virt/libvirt/driver.py, _allocate_mdevs")
    VIRTUAL_MDEV_PARENTS = (34, "a parent of mediated devices may have no PCI address (mtty)",
        "nova/virt/libvirt/driver.py, _validate_device_address")

    # Cards in Placement.
    PLACEMENT_ALONE = (19, "Placement is a project of its own; before, a part of nova",
        "openstack/placement, 1.0.0")
    REPORT_IN_PLACEMENT = (26, "nova-compute can report devices, with resource_class and traits",
        "nova/conf/pci.py, nova/compute/pci_placement_translator.py")
    PCI_IN_PLACEMENT = (27, "what an alias asks for can be chosen and claimed in Placement",
        "nova/conf/scheduler.py, nova/objects/request_spec.py")
    POOLS_BY_PROVIDER = (27, "pools are kept apart by the address of the device, or of the VFs' PF",
        "nova/pci/stats.py")
    LIMITED_CANDIDATES = (28, "Placement's number of candidates can be limited",
        "placement/conf/placement.py, max_allocation_candidates")
    ONE_POOL_PER_PROVIDER = (29, "a provider whose devices are in two pools is refused",
        "nova/pci/stats.py, from 29.4.0, 30.2.0, 31.1.0")
    WIDE_PROVIDER_TREES = (30, "Placement can give up a choice that takes a card twice",
        "placement/conf/workarounds.py, optimize_for_wide_provider_trees (bug 2126751)")
    MARKED_PROVIDERS = (34,
        "providers have OWNER_NOVA, live-migratable ones HW_PCI_LIVE_MIGRATABLE",
        "nova/compute/pci_placement_translator.py")

    # Quotas.
    UNIFIED_LIMITS = (28,
        "limits in Keystone; Yoga to 2023.1 have the driver, whose help says not to use it",
        "nova/conf/quota.py")
    LENIENT_LIMITS = (31,
        "unlimited is what has no registered limit and is in no list that asks for one",
        "nova/limit/utils.py")
    CARDS_COUNTED = (34, "unified limits count the cards that a flavor's aliases ask for",
        "nova/limit/placement.py (bug 2140631)")

    # What a flavor and an image may ask for.
    EMULATOR_THREADS = (16, "hw:emulator_threads_policy; isolate takes one CPU more",
        "nova's release notes of Pike; nova/virt/hardware.py, numa_fit_instance_to_host")
    IMAGE_TRAITS = 18, "traits of an image are asked for", "nova/scheduler/utils.py"
    DISABLED_TRAIT = (20, "a disabled nova-compute has the trait COMPUTE_STATUS_DISABLED",
        "nova/scheduler/request_filter.py, compute_status_filter")
    ISOLATED_AGGREGATES = (20, "aggregates can be kept for requests with a trait",
        "nova/scheduler/request_filter.py, isolate_aggregates")
    PINNED_CPU_CLASS = (20, "pinned CPUs are PCPU in Placement, and what excludes them is refused",
        "nova/scheduler/utils.py, nova/virt/hardware.py")
    PERSISTENT_MEMORY = 20, "hw:pmem", "nova/virt/hardware.py, nova/scheduler/utils.py"
    MEMORY_ENCRYPTION = 20, "hw:mem_encryption (AMD SEV)", "nova/scheduler/utils.py"
    FLAVOR_NUMA_POLICY = (21, "hw:pci_numa_affinity_policy, ahead of the alias's",
        "nova/virt/hardware.py, get_pci_numa_policy_constraint")
    NAMED_GROUPS = (21, "groups of a flavor may have names; before, numbers",
        "nova/scheduler/utils.py")
    ACCELERATORS = (21, "accel:device_profile asks for COMPUTE_ACCELERATORS",
        "nova/scheduler/request_filter.py, accelerators_filter")
    MIXED_CPUS = (22,
        "the CPU policy mixed, hw:cpu_dedicated_mask; before, masks were read otherwise",
        "nova/virt/hardware.py, get_dedicated_cpu_constraint")
    TPM = 22, "hw:tpm_version", "nova/virt/hardware.py, nova/scheduler/utils.py"
    SECURE_BOOT = 23, "os:secure_boot", "nova/virt/hardware.py, nova/scheduler/utils.py"
    LOCKED_MEMORY = 26, "hw:locked_memory", "nova/virt/hardware.py, get_locked_memory_constraint"
    EPHEMERAL_ENCRYPTION = (26, "hw:ephemeral_encryption",
        "nova/scheduler/request_filter.py, ephemeral_encryption_filter")
    GUEST_ADDRESS_WIDTH = (29, "hw:maxphysaddr_mode and hw:maxphysaddr_bits",
        "nova/virt/hardware.py, nova/scheduler/utils.py")
    PACKED_RING = 29, "hw:virtio_packed_ring", "nova/scheduler/request_filter.py"
    TPM_MODEL_TRAIT = 30, "the TPM's model is asked for as a trait", "nova/scheduler/utils.py"
    STATELESS_FIRMWARE = (30, "hw_firmware_stateless",
        "nova/virt/hardware.py, nova/scheduler/utils.py")
    ENCRYPTION_MODELS = (32, "hw:mem_encryption_model: amd-sev, amd-sev-es",
        "nova/scheduler/utils.py")
    SOUND_MODEL = (32, "hw:sound_model asks for a trait where it is virtio",
        "nova/scheduler/request_filter.py")
    TPM_SECRET_SECURITY = (33, "hw:tpm_secret_security, user where it is not given",
        "nova/scheduler/request_filter.py")
    CONFIDENTIAL_VMS = (34, "hw:mem_encryption_model: amd-sev-snp, intel-tdx",
        "nova/scheduler/utils.py")
    STATELESS_FOR_UEFI_ALONE = (34,
        "hw_firmware_stateless without UEFI is not looked at; before, refused",
        "nova/virt/hardware.py")
    LOCKED_MEMORY_CAUGHT = (34, "locked memory without a page size is HTTP 400; before, 403",
        "nova/api/openstack/compute/servers.py")

    # Deployment tools.
    CHARM_ALIAS_LIST = (17, "the charm of nova-compute takes a list of aliases",
        "charm-nova-compute, hooks/nova_compute_context.py")
    OSA_EXTRA_FILTERS = (20, "OpenStack-Ansible's nova_scheduler_extra_filters",
        "openstack-ansible-os_nova, defaults/main.yml")
    OSA_DEVICE_SPEC = (26, "OpenStack-Ansible's variable is nova_device_spec",
        "openstack-ansible-os_nova, defaults/main.yml")
    OSA_DEVICE_SPEC_LIST = (27,
        "OpenStack-Ansible prints that variable item by item; before, as one line",
        "openstack-ansible-os_nova, templates/nova.conf.j2")
    # fmt: on


def has(release: Release | int, capability: Capability) -> bool:
    """Whether a release, or nova's major version, has it."""
    major = release if isinstance(release, int) else release.nova
    return capability.since <= major and (capability.gone is None or major < capability.gone)
