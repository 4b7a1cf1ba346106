"""What nova asks Placement for besides cards, of a flavor and an image.

Source: nova, nova/scheduler/utils.py, `ResourceRequest.from_request_spec`, with the traits that
nova/scheduler/request_filter.py adds; nova/virt/hardware.py has the meaning of a key. Not here,
because the scheduler's files decide on them: the traits of `image_metadata_prefilter` and
`query_placement_for_image_type_support`; nor OWNER_NOVA, on which nova's database decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.nova.flavor.cpus import cpu_policy, emulator_policy, mixed_cpus
from wholecard.nova.flavor.extra_specs import ExtraSpecs, LayoutError
from wholecard.nova.flavor.numa_topology import pci_policy, pmem
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.nova.match.placement import is_resource_class

_TPM_VERSIONS = ("1.2", "2.0")
_SOUND = ("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio")
_HYPERTHREADING = "HW_CPU_HYPERTHREADING"
_KEY = re.compile(r"(resources|trait)([a-zA-Z0-9_-]{1,64})?:(.*)")
_OLD_KEY = re.compile(r"(resources|trait)([1-9][0-9]*)?:(.*)")


@dataclass(frozen=True)
class ResourceDemand:
    """What providers must have: amounts by class, required traits, and forbidden ones."""

    resources: Mapping[str, int] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ResourceRequest:
    """nova's query to Placement, without the groups of the cards.

    The host's provider and those below it together must have `machine`, one provider each of
    `groups` (by suffix), the host's own the traits of `root_required` and none of `root_forbidden`.
    Where it is `pinned`, nova asks a second time, for VCPU instead of PCPU.
    """

    machine: ResourceDemand
    groups: Mapping[str, ResourceDemand] = field(default_factory=dict)
    root_required: frozenset[str] = frozenset()
    root_forbidden: frozenset[str] = frozenset()
    group_policy: str = ""
    pinned: bool = False

    @property
    def required(self) -> frozenset[str]:
        """Every trait that any provider must have, without those that request filters add.

        By these nova decides which isolated aggregates are open (`all_required_traits`).
        """
        return self.machine.required.union(*(group.required for group in self.groups.values()))


class _Groups:
    """The groups while they are filled; "" is the one without suffix."""

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, int]] = {"": {}}
        self.required: dict[str, set[str]] = {}
        self.forbidden: dict[str, set[str]] = {}

    def add(self, resource: str, amount: str | int, suffix: str = "") -> None:
        """Set an amount, of which the last counts; what is no class or no amount is ignored."""
        with suppress(ValueError):
            if is_resource_class(resource) and int(amount) >= 0:
                self.resources.setdefault(suffix, {})[resource] = int(amount)

    def trait(self, name: str, value: str = "required", suffix: str = "") -> None:
        """Add a trait; a value that is neither required nor forbidden is ignored."""
        kinds = {"required": self.required, "forbidden": self.forbidden}
        if value in kinds:
            kinds[value].setdefault(suffix, set()).add(name)

    def asks(self, *resources: str) -> bool:
        """Whether any group names one of these classes, even with an amount of 0."""
        return any(name in amounts for amounts in self.resources.values() for name in resources)

    def demand(self, suffix: str) -> ResourceDemand:
        """The group as it is sent: without amounts of 0."""
        amounts = self.resources.get(suffix, {})
        return ResourceDemand(
            {name: amount for name, amount in amounts.items() if amount},
            frozenset(self.required.get(suffix, ())),
            frozenset(self.forbidden.get(suffix, ())),
        )

    def suffixes(self) -> tuple[str, ...]:
        """The groups that have a suffix and ask for anything."""
        names = dict.fromkeys((*self.resources, *self.required, *self.forbidden))
        return tuple(name for name in names if name and self.demand(name) != ResourceDemand())


def resource_request(
    request: ServerRequest, release: Release, second: bool = False
) -> ResourceRequest:
    """What nova of this release asks; sizes that are not known are left out.

    `second` is the query that nova sends again for a pinned guest: as if it were not pinned.
    Raises LayoutError where nova refuses flavor or image.
    """
    specs = ExtraSpecs(request)
    groups = _Groups()
    policy = _from_extra_specs(groups, request, release)
    # An image can require traits and cannot forbid any.
    for key, value in request.properties.items() if has(release, Capability.IMAGE_TRAITS) else ():
        if key.startswith("trait:") and value == "required":
            groups.trait(key.removeprefix("trait:"))
    asks_pcpu = has(release, Capability.PINNED_CPU_CLASS) and not second
    pinned = asks_pcpu and _pinning(groups, specs, release)
    _sizes(groups, request)
    # In nova's order: of several values that it refuses the first is named.
    for add in (_memory, _tpm, _firmware, _numa_policy, _address_width):
        add(groups, specs, release)
    disabled = {"COMPUTE_STATUS_DISABLED"} if has(release, Capability.DISABLED_TRAIT) else ()
    return ResourceRequest(
        groups.demand(""),
        {suffix: groups.demand(suffix) for suffix in groups.suffixes()},
        frozenset(_filters(specs, release)),
        frozenset(disabled),
        policy,
        pinned,
    )


def _from_extra_specs(groups: _Groups, request: ServerRequest, release: Release) -> str:
    """Fill in the amounts and traits that the flavor names; return the policy of the groups."""
    policy = ""
    pattern = _KEY if has(release, Capability.NAMED_GROUPS) else _OLD_KEY
    for key, value in request.extra_specs.items():
        if key == "group_policy" and value in ("none", "isolate"):
            policy = value
        match = pattern.fullmatch(key)
        if match and match[1] == "resources":
            groups.add(match[3], value, match[2] or "")
        elif match:
            groups.trait(match[3], value, match[2] or "")
    return policy


def _sizes(groups: _Groups, request: ServerRequest) -> None:
    """The flavor's sizes, each where the extra specs name no amount of its class."""
    if not groups.asks("VCPU", "PCPU"):
        groups.add("VCPU", request.vcpus or 0)
    if not groups.asks("MEMORY_MB"):
        groups.add("MEMORY_MB", request.ram_mb or 0)
    if not groups.asks("DISK_GB"):
        groups.add("DISK_GB", request.disk_gb or 0)


def _pinning(groups: _Groups, specs: ExtraSpecs, release: Release) -> bool:
    """PCPU for pinned CPUs and one for isolated emulator threads; whether nova asks twice."""
    request, vcpus = specs.request, specs.request.vcpus
    policy = cpu_policy(request.extra_specs, request.properties)
    emulator = emulator_policy(specs)
    pinned = None
    if policy == "dedicated":
        pinned = vcpus
    elif policy == "mixed" and has(release, Capability.MIXED_CPUS) and vcpus is not None:
        pinned = len(mixed_cpus(specs))
        groups.add("VCPU", vcpus - pinned)
    if pinned is not None:
        groups.add("PCPU", pinned + (emulator == "isolate"))
    threads = specs.threads()
    if threads in ("isolate", "require"):
        groups.trait(_HYPERTHREADING, "required" if threads == "require" else "forbidden")
    return policy == "dedicated"


def _numa_policy(groups: _Groups, specs: ExtraSpecs, release: Release) -> None:
    if pci_policy(specs.request, release) == "socket":
        groups.trait("COMPUTE_SOCKET_PCI_NUMA_AFFINITY")


def _address_width(groups: _Groups, specs: ExtraSpecs, release: Release) -> None:
    """The trait of how the guest's address width is set."""
    if has(release, Capability.GUEST_ADDRESS_WIDTH):
        mode = specs.one("maxphysaddr_mode", ("passthrough", "emulate"))
        if mode:
            word = "PASSTHROUGH" if mode == "passthrough" else "EMULATED"
            groups.trait(f"COMPUTE_ADDRESS_SPACE_{word}")


def _memory(groups: _Groups, specs: ExtraSpecs, release: Release) -> None:
    """Encrypted memory, and persistent memory."""
    if has(release, Capability.MEMORY_ENCRYPTION) and specs.flag("mem_encryption"):
        groups.add("MEM_ENCRYPTION_CONTEXT", 1)
        if has(release, Capability.ENCRYPTION_MODELS):
            models: tuple[str, ...] = ("amd-sev", "amd-sev-es")
            if has(release, Capability.CONFIDENTIAL_VMS):
                models += ("amd-sev-snp", "intel-tdx")
            model = specs.one("mem_encryption_model", models) or "amd-sev"
            groups.trait(f"HW_CPU_X86_{model.upper().replace('-', '_')}")
    if has(release, Capability.PERSISTENT_MEMORY):
        # os_resource_classes.normalize_name.
        names = [re.sub(r"[^A-Z0-9_]", "_", name.upper())
                 for name in pmem(specs.request.extra_specs)]  # fmt: skip
        for name, amount in Counter(names).items():
            groups.add(f"CUSTOM_PMEM_NAMESPACE_{name}", amount)


def _tpm(groups: _Groups, specs: ExtraSpecs, release: Release) -> None:
    version = specs.one("tpm_version", _TPM_VERSIONS) if has(release, Capability.TPM) else None
    if not version:
        return
    model = specs.one("tpm_model", ("tpm-tis", "tpm-crb")) or "tpm-tis"
    if model == "tpm-crb" and version != "2.0":
        raise LayoutError(
            "the TPM's model tpm-crb needs version 2.0", resolution="Set hw:tpm_version=2.0"
        )
    groups.trait(f"COMPUTE_SECURITY_TPM_{version.replace('.', '_')}")
    if has(release, Capability.TPM_MODEL_TRAIT):
        groups.trait(f"COMPUTE_SECURITY_{model.upper().replace('-', '_')}")


def _firmware(groups: _Groups, specs: ExtraSpecs, release: Release) -> None:
    """Secure boot, and firmware that keeps no state."""
    known, secure = has(release, Capability.SECURE_BOOT), ("required", "disabled", "optional")
    if known and specs.one("secure_boot", secure, "os") == "required":
        groups.trait("COMPUTE_SECURITY_UEFI_SECURE_BOOT")
    if has(release, Capability.STATELESS_FIRMWARE) and _stateless(specs, release):
        groups.trait("COMPUTE_SECURITY_STATELESS_FIRMWARE")


def _stateless(specs: ExtraSpecs, release: Release) -> bool:
    """Whether the firmware keeps no state; from 2026.2 on nova ignores it without UEFI."""
    if not specs.image_flag("firmware_stateless"):
        return False
    uefi = specs.request.properties.get("hw_firmware_type") == "uefi"
    if not uefi and not has(release, Capability.STATELESS_FOR_UEFI_ALONE):
        raise LayoutError(
            "the image's hw_firmware_stateless needs UEFI",
            resolution="Set hw_firmware_type=uefi on the image, or remove the other.",
        )
    return uefi


def _filters(specs: ExtraSpecs, release: Release) -> Iterator[str]:
    """The traits of the host's own provider by nova's request filters that no option turns on.

    Without `owner_nova_filter` (2026.2): it asks for OWNER_NOVA, of the cards' providers too, once
    each nova-compute's service version is 73, which nova's API does not show. From then on all
    of nova's providers have it, so that it tells them from other services' alone.
    """
    accelerator = specs.request.extra_specs.get("accel:device_profile")
    if accelerator and has(release, Capability.ACCELERATORS):
        yield "COMPUTE_ACCELERATORS"
    if has(release, Capability.EPHEMERAL_ENCRYPTION) and specs.flag("ephemeral_encryption"):
        yield "COMPUTE_EPHEMERAL_ENCRYPTION"
        form = specs.one("ephemeral_encryption_format", ("plain", "luks", "luksv2"))
        if form:
            yield f"COMPUTE_EPHEMERAL_ENCRYPTION_{form.upper()}"
    if has(release, Capability.PACKED_RING) and specs.flag("virtio_packed_ring"):
        yield "COMPUTE_NET_VIRTIO_PACKED"
    if has(release, Capability.SOUND_MODEL) and specs.one("sound_model", _SOUND) == "virtio":
        yield "COMPUTE_SOUND_MODEL_VIRTIO"
    yield from _tpm_secret(specs, release)


def _tpm_secret(specs: ExtraSpecs, release: Release) -> Iterator[str]:
    """Who may read the TPM's secret: the user where the flavor does not set it."""
    if has(release, Capability.TPM_SECRET_SECURITY) and specs.one("tpm_version", _TPM_VERSIONS):
        kinds = ("user", "host", "deployment")
        security = specs.flavor_one("tpm_secret_security", kinds) or "user"
        yield f"COMPUTE_SECURITY_TPM_SECRET_SECURITY_{security.upper()}"
