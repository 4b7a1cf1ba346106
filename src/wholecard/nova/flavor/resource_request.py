"""What nova asks Placement for besides cards, of a flavor and an image.

Source: nova, nova/scheduler/utils.py, `ResourceRequest.from_request_spec`, with the traits that
nova/scheduler/request_filter.py adds; what a key means stands in nova/virt/hardware.py. The
releases are those in which a key is asked about first. Not here, for the scheduler's file decides
on them: the traits of `image_metadata_prefilter` and `query_placement_for_image_type_support`; nor
OWNER_NOVA, on which nova's database decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.nova.flavor.cpus import cpu_policy, emulator_policy, mixed_cpus
from wholecard.nova.flavor.extra_specs import ExtraSpecs, LayoutError
from wholecard.nova.flavor.numa_topology import pci_policy, pmem
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.nova.match.placement import is_resource_class

_HYPERTHREADING = "HW_CPU_HYPERTHREADING"
_KEY = re.compile(r"(resources|trait)([a-zA-Z0-9_-]{1,64})?:(.*)")
_OLD_KEY = re.compile(r"(resources|trait)([1-9][0-9]*)?:(.*)")


@dataclass(frozen=True)
class Demand:
    """What is asked of providers: amounts by class, traits that must and that must not be there."""

    resources: Mapping[str, int] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ResourceRequest:
    """A question of nova's to Placement, without the groups of the cards.

    `machine` is asked of the host's provider and those below it together, each of `groups` (by
    suffix) of one provider; the traits of `root_required` and `root_forbidden` of the host's own.
    Where it is `pinned`, nova asks a second time, for VCPU instead of PCPU.
    """

    machine: Demand
    groups: Mapping[str, Demand] = field(default_factory=dict)
    root_required: frozenset[str] = frozenset()
    root_forbidden: frozenset[str] = frozenset()
    group_policy: str = ""
    pinned: bool = False

    @property
    def required(self) -> frozenset[str]:
        """Every trait that must be somewhere, those that request filters add left out.

        By these nova judges which isolated aggregates are open (`all_required_traits`).
        """
        return self.machine.required.union(*(each.required for each in self.groups.values()))


class _Groups:
    """The groups while they are filled; "" is the one without suffix."""

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, int]] = {"": {}}
        self.required: dict[str, set[str]] = {}
        self.forbidden: dict[str, set[str]] = {}

    def add(self, resource: str, amount: str | int, suffix: str = "") -> None:
        """An amount, the last one counts; what is no class or no amount is nothing."""
        if not is_resource_class(resource):
            return
        try:
            number = int(amount)
        except ValueError:
            return
        if number >= 0:
            self.resources.setdefault(suffix, {})[resource] = number

    def trait(self, name: str, word: str = "required", suffix: str = "") -> None:
        """A trait; a word that is neither required nor forbidden is nothing."""
        kinds = {"required": self.required, "forbidden": self.forbidden}
        if word in kinds:
            kinds[word].setdefault(suffix, set()).add(name)

    def asks(self, *resources: str) -> bool:
        """Whether any group has one of these classes, be it with none of it."""
        return any(each in found for found in self.resources.values() for each in resources)

    def demand(self, suffix: str) -> Demand:
        """The group as it is asked: without amounts of nothing."""
        return Demand(
            {name: each for name, each in self.resources.get(suffix, {}).items() if each},
            frozenset(self.required.get(suffix, ())),
            frozenset(self.forbidden.get(suffix, ())),
        )

    def suffixes(self) -> tuple[str, ...]:
        """The groups that have a suffix and ask for anything."""
        names = dict.fromkeys((*self.resources, *self.required, *self.forbidden))
        return tuple(name for name in names if name and self.demand(name) != Demand())


def resource_request(
    request: ServerRequest, release: Release, second: bool = False
) -> ResourceRequest:
    """What nova of this release asks; sizes that are not known are not asked for.

    `second` is the question that nova asks again for a pinned guest: as if it were not pinned.
    Raises LayoutError where nova refuses the words.
    """
    words = ExtraSpecs(request)
    found = _Groups()
    policy = _from_extra_specs(found, request, release)
    if has(release, Capability.IMAGE_TRAITS):
        for key, value in request.properties.items():
            if key.startswith("trait:") and value == "required":
                found.trait(key.removeprefix("trait:"))
    pinned = False
    if has(release, Capability.PINNED_CPU_CLASS) and not second:
        pinned = _pinning(found, words, release)
    _sizes(found, request)
    _security(found, words, release)
    if pci_policy(request, release) == "socket":
        found.trait("COMPUTE_SOCKET_PCI_NUMA_AFFINITY")
    if has(release, Capability.GUEST_ADDRESS_WIDTH):
        mode = words.one("maxphysaddr_mode", ("passthrough", "emulate"))
        if mode:
            word = "PASSTHROUGH" if mode == "passthrough" else "EMULATED"
            found.trait(f"COMPUTE_ADDRESS_SPACE_{word}")
    return ResourceRequest(
        found.demand(""),
        {suffix: found.demand(suffix) for suffix in found.suffixes()},
        frozenset(_filters(words, release)),
        frozenset({"COMPUTE_STATUS_DISABLED"} if has(release, Capability.DISABLED_TRAIT) else ()),
        policy,
        pinned,
    )


def _from_extra_specs(found: _Groups, request: ServerRequest, release: Release) -> str:
    """Fill in what the flavor names outright; the policy of the groups."""
    policy = ""
    pattern = _KEY if has(release, Capability.NAMED_GROUPS) else _OLD_KEY
    for key, value in request.extra_specs.items():
        if key == "group_policy" and value in ("none", "isolate"):
            policy = value
        match = pattern.fullmatch(key)
        if match and match[1] == "resources":
            found.add(match[3], value, match[2] or "")
        elif match:
            found.trait(match[3], value, match[2] or "")
    return policy


def _sizes(found: _Groups, request: ServerRequest) -> None:
    """The flavor's sizes, each where the extra specs name no amount of its class."""
    if not found.asks("VCPU", "PCPU"):
        found.add("VCPU", request.vcpus or 0)
    if not found.asks("MEMORY_MB"):
        found.add("MEMORY_MB", request.ram_mb or 0)
    if not found.asks("DISK_GB"):
        found.add("DISK_GB", request.disk_gb or 0)


def _pinning(found: _Groups, words: ExtraSpecs, release: Release) -> bool:
    """PCPU for pinned CPUs and one for isolated emulator threads; whether nova asks twice."""
    specs, vcpus = words.request.extra_specs, words.request.vcpus
    policy = cpu_policy(specs, words.request.properties)
    emulator = emulator_policy(words)
    pinned = None
    if policy == "dedicated":
        pinned = vcpus
    elif policy == "mixed" and has(release, Capability.MIXED_CPUS) and vcpus is not None:
        pinned = len(mixed_cpus(words))
        found.add("VCPU", vcpus - pinned)
    if pinned is not None:
        found.add("PCPU", pinned + (emulator == "isolate"))
    threads = words.threads()
    if threads in ("isolate", "require"):
        found.trait(_HYPERTHREADING, "required" if threads == "require" else "forbidden")
    return policy == "dedicated"


def _security(found: _Groups, words: ExtraSpecs, release: Release) -> None:
    """Encrypted memory, persistent memory, TPM, secure boot and firmware."""
    if has(release, Capability.MEMORY_ENCRYPTION) and words.flag("mem_encryption"):
        found.add("MEM_ENCRYPTION_CONTEXT", 1)
        if has(release, Capability.ENCRYPTION_MODELS):
            found.trait(f"HW_CPU_X86_{_model(words, release).upper().replace('-', '_')}")
    if has(release, Capability.PERSISTENT_MEMORY):
        # os_resource_classes.normalize_name.
        classes = [re.sub(r"[^A-Z0-9_]", "_", name.upper())
                   for name in pmem(words.request.extra_specs)]  # fmt: skip
        for name, amount in Counter(classes).items():
            found.add(f"CUSTOM_PMEM_NAMESPACE_{name}", amount)
    version = words.one("tpm_version", ("1.2", "2.0")) if has(release, Capability.TPM) else None
    if version:
        model = words.one("tpm_model", ("tpm-tis", "tpm-crb")) or "tpm-tis"
        if model == "tpm-crb" and version != "2.0":
            raise LayoutError(
                "the TPM's model tpm-crb is one of version 2.0", resolution="Set hw:tpm_version=2.0"
            )
        found.trait(f"COMPUTE_SECURITY_TPM_{version.replace('.', '_')}")
        if has(release, Capability.TPM_MODEL_TRAIT):
            found.trait(f"COMPUTE_SECURITY_{model.upper().replace('-', '_')}")
    secure = ("required", "disabled", "optional")
    if (
        has(release, Capability.SECURE_BOOT)
        and words.one("secure_boot", secure, "os") == "required"
    ):
        found.trait("COMPUTE_SECURITY_UEFI_SECURE_BOOT")
    if has(release, Capability.STATELESS_FIRMWARE) and _stateless(words, release):
        found.trait("COMPUTE_SECURITY_STATELESS_FIRMWARE")


def _stateless(words: ExtraSpecs, release: Release) -> bool:
    """Whether the firmware keeps no state; without UEFI nova does not look at it from 2026.2 on."""
    if not words.image_flag("firmware_stateless"):
        return False
    uefi = words.request.properties.get("hw_firmware_type") == "uefi"
    if not uefi and not has(release, Capability.STATELESS_FOR_UEFI_ALONE):
        raise LayoutError(
            "the image's hw_firmware_stateless is one of UEFI",
            resolution="Set hw_firmware_type=uefi on the image, or take the other off.",
        )
    return uefi


def _model(words: ExtraSpecs, release: Release) -> str:
    models: tuple[str, ...] = ("amd-sev", "amd-sev-es")
    if has(release, Capability.CONFIDENTIAL_VMS):
        models += ("amd-sev-snp", "intel-tdx")
    return words.one("mem_encryption_model", models) or "amd-sev"


def _filters(words: ExtraSpecs, release: Release) -> set[str]:
    """The traits of the host's own provider by nova's request filters that no option turns on.

    But by `owner_nova_filter` (2026.2): it asks for OWNER_NOVA, of the cards' providers too, once
    each nova-compute's service version is 73, which nova's API does not tell. From then on all
    of nova's providers have it, so that it tells them from other services' alone.
    """
    found = set()
    specs = words.request.extra_specs
    if has(release, Capability.ACCELERATORS) and specs.get("accel:device_profile"):
        found.add("COMPUTE_ACCELERATORS")
    if has(release, Capability.EPHEMERAL_ENCRYPTION) and words.flag("ephemeral_encryption"):
        found.add("COMPUTE_EPHEMERAL_ENCRYPTION")
        form = words.one("ephemeral_encryption_format", ("plain", "luks", "luksv2"))
        if form:
            found.add(f"COMPUTE_EPHEMERAL_ENCRYPTION_{form.upper()}")
    if has(release, Capability.PACKED_RING) and words.flag("virtio_packed_ring"):
        found.add("COMPUTE_NET_VIRTIO_PACKED")
    models = ("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio")
    if has(release, Capability.SOUND_MODEL) and words.one("sound_model", models) == "virtio":
        found.add("COMPUTE_SOUND_MODEL_VIRTIO")
    if has(release, Capability.TPM_SECRET_SECURITY) and words.one("tpm_version", ("1.2", "2.0")):
        kinds = ("user", "host", "deployment")
        kept = words.flavor_one("tpm_secret_security", kinds) or "user"
        found.add(f"COMPUTE_SECURITY_TPM_SECRET_SECURITY_{kept.upper()}")
    return found
