"""The guest's CPUs: which are pinned, by a flavor and an image.

Source: nova, nova/virt/hardware.py, the first half of `numa_get_constraints` and the `get_cpu_*`,
`get_realtime_cpu_constraint` and `get_dedicated_cpu_constraint` that it calls; nova-scheduler asks
the same functions for the amounts of VCPU and PCPU (nova/scheduler/utils.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.nova.flavor.extra_specs import ExtraSpecs, LayoutError

_POLICIES = ("shared", "dedicated", "mixed")
_MOST_CPUS = 8192


def cpu_policy(extra_specs: Mapping[str, str], properties: Mapping[str, str]) -> str | None:
    """The CPU policy that flavor and image name. Raises LayoutError where nova refuses them."""
    flavor, image = extra_specs.get("hw:cpu_policy"), properties.get("hw_cpu_policy")
    for policy in (flavor, image):
        if policy and policy not in _POLICIES:
            raise LayoutError(
                f"{policy!r} is not a CPU policy",
                resolution=f"Choose one of {', '.join(_POLICIES)}.",
            )
    # An image may ask for less than the flavor allows, not for more.
    excess = {"mixed": ("dedicated",), "shared": ("mixed", "dedicated")}
    if flavor and image in excess.get(flavor, ()):
        raise LayoutError(
            f"the flavor's hw:cpu_policy is {flavor!r}, the image asks for {image!r}",
            resolution="Remove hw_cpu_policy from the image, or use another flavor.",
        )
    return flavor or image or None


def emulator_policy(specs: ExtraSpecs) -> str | None:
    """Where the emulator's threads run, which only the flavor can set."""
    return specs.flavor_one("emulator_threads_policy", ("share", "isolate"))


def pinned_cpus(specs: ExtraSpecs, release: Release) -> frozenset[int] | None:
    """The guest's pinned CPUs, None where its CPU policy pins none.

    Of a guest whose CPUs are not known: of as many as there can be. Raises LayoutError where
    nova-api refuses flavor and image: before Train only where the two contradict each other.
    """
    policy = cpu_policy(specs.request.extra_specs, specs.request.properties)
    if not has(release, Capability.PINNED_CPU_CLASS):
        return _every(specs) if policy == "dedicated" else None
    masks = has(release, Capability.MIXED_CPUS)
    masked = _dedicated(specs) if masks else frozenset()
    realtime = _realtime(specs) if masks else frozenset()
    emulator = emulator_policy(specs)
    policy = _by_resources(specs, policy, emulator)
    threads = _threads(specs)
    if policy != "mixed" and masked:
        raise LayoutError(
            "hw:cpu_dedicated_mask needs the CPU policy mixed",
            resolution="Set hw:cpu_policy=mixed, or remove hw:cpu_dedicated_mask.",
        )
    if policy == "dedicated":
        return _every(specs)
    if policy == "mixed":
        return _the_one_mask(masked, realtime)
    _refuse_without_pinning(threads, emulator, realtime)
    return None


def _the_one_mask(masked: frozenset[int], realtime: frozenset[int]) -> frozenset[int]:
    """The dedicated CPUs of the policy mixed: by one of the two masks, not by both."""
    if bool(masked) == bool(realtime):
        which = "two masks say" if masked else "nothing says"
        raise LayoutError(
            f"the CPU policy is mixed, and {which} which CPUs are dedicated",
            resolution="Set either hw:cpu_dedicated_mask or hw:cpu_realtime on the flavor.",
        )
    return masked or realtime


def _refuse_without_pinning(
    threads: str | None, emulator: str | None, realtime: frozenset[int]
) -> None:
    """Refuse what concerns pinned CPUs alone (`numa_get_constraints`)."""
    for requested, what in (
        (threads, "a policy of CPU threads"),
        (emulator == "isolate", "hw:emulator_threads_policy=isolate"),
        (realtime, "hw:cpu_realtime"),
    ):
        if requested:
            raise LayoutError(
                f"{what} needs pinned CPUs, and the CPU policy pins none",
                resolution="Set hw:cpu_policy=dedicated, or remove the other.",
            )


def mixed_cpus(specs: ExtraSpecs) -> frozenset[int]:
    """The pinned CPUs of a guest of the CPU policy mixed: the mask's, else the real-time ones.

    nova-scheduler comes after nova-api and accepts both masks, and none of them. Raises LayoutError
    for a mask that nova refuses.
    """
    masked, realtime = _dedicated(specs), _realtime(specs)
    return masked or realtime


def _by_resources(specs: ExtraSpecs, policy: str | None, emulator: str | None) -> str | None:
    """The policy, which amounts of VCPU or PCPU set as well."""
    vcpu, pcpu = (_amount(specs.request.extra_specs, name) for name in ("VCPU", "PCPU"))
    sources = (("resources:VCPU", vcpu), ("resources:PCPU", pcpu), ("a CPU policy", policy))
    names = [name for name, value in sources if value]
    if len(names) > 1:
        raise LayoutError(
            f"the flavor's {' and '.join(names)} exclude each other",
            resolution="Keep one of them.",
        )
    if not pcpu:
        return "shared" if vcpu else policy
    # Isolated emulator threads need one more.
    needed = (specs.request.vcpus or 0) + (emulator == "isolate")
    if specs.request.vcpus is not None and pcpu != needed:
        raise LayoutError(
            f"the flavor's resources:PCPU is {pcpu}, its CPUs with the emulator's are {needed}",
            resolution=f"Set resources:PCPU={needed}.",
        )
    return "dedicated"


def _amount(extra_specs: Mapping[str, str], resource: str) -> int:
    """The sum of a class in all groups with a number, or none; nova compares keys' beginnings."""
    total = 0
    for key, value in extra_specs.items():
        if re.match(rf"resources([1-9][0-9]*)?:{resource}", key):
            with suppress(ValueError):
                total += int(value)
    return total


def _threads(specs: ExtraSpecs) -> str | None:
    """The policy of CPU threads, which a required or forbidden trait of the host sets as well."""
    threads, trait = specs.threads(), None
    for key, value in specs.request.extra_specs.items():
        if re.match(r"trait([1-9][0-9]*)?:HW_CPU_HYPERTHREADING", key):
            trait = value
            break
    else:
        if specs.request.properties.get("trait:HW_CPU_HYPERTHREADING") == "required":
            trait = "required"
    if threads and trait:
        raise LayoutError(
            "trait:HW_CPU_HYPERTHREADING and a policy of CPU threads exclude each other",
            resolution="Remove one of them.",
        )
    return {"forbidden": "isolate", "required": "require"}.get(trait or "", threads)


def _every(specs: ExtraSpecs) -> frozenset[int]:
    vcpus = specs.request.vcpus
    return frozenset(range(_MOST_CPUS if vcpus is None else vcpus))


def _dedicated(specs: ExtraSpecs) -> frozenset[int]:
    """The CPUs of the flavor's own mask; none without one."""
    mask, every = specs.request.extra_specs.get("hw:cpu_dedicated_mask"), _every(specs)
    if not mask:
        return frozenset()
    pinned = _masked(mask, every)
    if pinned == every:
        raise LayoutError(
            f"hw:cpu_dedicated_mask={mask!r} leaves no shared CPU",
            resolution="Remove some CPUs from it, or set hw:cpu_policy=dedicated.",
        )
    return pinned


def _realtime(specs: ExtraSpecs) -> frozenset[int]:
    """The real-time CPUs, by the image's mask before the flavor's; none where none is asked for."""
    if not specs.flavor_flag("cpu_realtime"):
        return frozenset()
    key, every = "cpu_realtime_mask", _every(specs)
    mask = specs.request.properties.get(f"hw_{key}") or specs.request.extra_specs.get(f"hw:{key}")
    pinned = _masked(mask, every) if mask else every
    if pinned == every and not emulator_policy(specs):
        raise LayoutError(
            "all CPUs are real-time CPUs, and none is left for the emulator",
            resolution="Exclude some with hw:cpu_realtime_mask, or set hw:emulator_threads_policy.",
        )
    return pinned


def _masked(mask: str, every: frozenset[int]) -> frozenset[int]:
    """The CPUs of a mask, which must be among the guest's."""
    # A mask of exclusions alone means all other CPUs of the guest.
    at_most = every if mask.strip().startswith("^") else frozenset(range(_MOST_CPUS))
    pinned = cpu_set(mask, at_most)
    if not pinned or not pinned <= every:
        raise LayoutError(
            f"{mask!r} names CPUs that are not among the guest's {len(every)}",
            resolution="Count the CPUs from 0.",
        )
    return pinned


def cpu_set(text: str, every: frozenset[int]) -> frozenset[int]:
    """The CPUs of `0-3,^2,8` that are among `every`; with `^` alone all but those.

    nova, nova/virt/hardware.py, `parse_cpu_spec`. Raises LayoutError where it is no such list.
    """
    included: set[int] = set()
    excluded: set[int] = set()
    for part in str(text).split(","):
        match = re.fullmatch(r"\s*(\^?)\s*(\d{1,5})(?:\s*-\s*(\d{1,5}))?\s*", part, re.ASCII)
        if match is None:
            if not part.strip():
                continue
            raise LayoutError(f"{text!r} is not a list of CPUs", resolution="Write it as 0-3,^2,8.")
        first, last = int(match[2]), int(match[3] or match[2])
        (excluded if match[1] else included).update(range(first, last + 1))
    return frozenset(((included or every) - excluded) & every)
