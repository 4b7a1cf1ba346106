"""The guest's CPUs: which are pinned, by the words of a flavor and an image.

Source: nova, nova/virt/hardware.py, the first half of `numa_get_constraints` and the `get_cpu_*`,
`get_realtime_cpu_constraint` and `get_dedicated_cpu_constraint` that it calls; nova-scheduler asks
the same functions for the amounts of VCPU and PCPU (nova/scheduler/utils.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.nova.flavor.extra_specs import ExtraSpecs, LayoutError

_POLICIES = ("shared", "dedicated", "mixed")
_MOST_CPUS = 8192


def cpu_policy(specs: Mapping[str, str], properties: Mapping[str, str]) -> str | None:
    """The CPU policy that flavor and image name. Raises LayoutError where nova refuses them."""
    flavor, image = specs.get("hw:cpu_policy"), properties.get("hw_cpu_policy")
    for policy in (flavor, image):
        if policy and policy not in _POLICIES:
            raise LayoutError(
                f"{policy!r} is no CPU policy",
                resolution=f"Choose one of {', '.join(_POLICIES)}.",
            )
    too_much = {"mixed": ("dedicated",), "shared": ("mixed", "dedicated")}
    if flavor and image in too_much.get(flavor, ()):
        raise LayoutError(
            f"the flavor's hw:cpu_policy is {flavor!r}, the image asks for {image!r}",
            resolution="Take hw_cpu_policy off the image, or use another flavor.",
        )
    return flavor or image or None


def emulator_policy(words: ExtraSpecs) -> str | None:
    """Where the emulator's threads run, which the flavor alone says."""
    return words.flavor_one("emulator_threads_policy", ("share", "isolate"))


def pinned_cpus(words: ExtraSpecs, release: Release) -> frozenset[int] | None:
    """The guest's pinned CPUs, None where its CPU policy pins none.

    Of a guest whose CPUs are not known: of as many as there can be. Raises LayoutError where
    nova-api refuses the words: those of before Train only where flavor and image contradict.
    """
    policy = cpu_policy(words.request.extra_specs, words.request.properties)
    if not has(release, Capability.PINNED_CPU_CLASS):
        return _every(words) if policy == "dedicated" else None
    masks = has(release, Capability.MIXED_CPUS)
    masked = _dedicated(words) if masks else frozenset()
    realtime = _realtime(words) if masks else frozenset()
    emulator = emulator_policy(words)
    policy = _by_resources(words, policy, emulator)
    threads = _threads(words)
    if policy != "mixed" and masked:
        raise LayoutError(
            "hw:cpu_dedicated_mask is one of the CPU policy mixed",
            resolution="Set hw:cpu_policy=mixed, or take hw:cpu_dedicated_mask off.",
        )
    if policy == "dedicated":
        return _every(words)
    if policy == "mixed":
        if bool(masked) == bool(realtime):
            raise LayoutError(
                "the CPU policy is mixed, and "
                + ("two masks say" if masked else "nothing says")
                + " which CPUs are dedicated",
                resolution="Set either hw:cpu_dedicated_mask or hw:cpu_realtime on the flavor.",
            )
        return mixed_cpus(words)
    for asked, what in (
        (threads, "a policy of CPU threads"),
        (emulator == "isolate", "hw:emulator_threads_policy=isolate"),
        (realtime, "hw:cpu_realtime"),
    ):
        if asked:
            raise LayoutError(
                f"{what} is one of pinned CPUs, and the CPU policy pins none",
                resolution="Set hw:cpu_policy=dedicated, or take the other off.",
            )
    return None


def mixed_cpus(words: ExtraSpecs) -> frozenset[int]:
    """The pinned CPUs of a guest of the CPU policy mixed: the mask's, else the real-time ones.

    nova-scheduler, which is asked behind nova-api, minds neither both nor none of them. Raises
    LayoutError for a mask that nova refuses.
    """
    masked, realtime = _dedicated(words), _realtime(words)
    return masked or realtime


def _by_resources(words: ExtraSpecs, policy: str | None, emulator: str | None) -> str | None:
    """The policy, which amounts of VCPU or PCPU name as well."""
    vcpu, pcpu = (_amount(words.request.extra_specs, each) for each in ("VCPU", "PCPU"))
    if (policy and (vcpu or pcpu)) or (vcpu and pcpu):
        other = "a CPU policy" if policy else "resources:PCPU"
        raise LayoutError(
            f"the flavor's resources:{'VCPU' if vcpu else 'PCPU'} and {other} exclude each other",
            resolution="Leave one of them out.",
        )
    if pcpu and words.request.vcpus is not None:
        wanted = words.request.vcpus + (emulator == "isolate")
        if pcpu != wanted:
            raise LayoutError(
                f"the flavor's resources:PCPU is {pcpu}, its CPUs with the emulator's {wanted}",
                resolution=f"Set resources:PCPU={wanted}.",
            )
    return "dedicated" if pcpu else "shared" if vcpu else policy


def _amount(specs: Mapping[str, str], resource: str) -> int:
    """What all groups with a number, or none, ask of a class. nova looks at the key's start."""
    total = 0
    for key, value in specs.items():
        if re.match(rf"resources([1-9][0-9]*)?:{resource}", key):
            try:
                total += int(value)
            except ValueError:
                continue
    return total


def _threads(words: ExtraSpecs) -> str | None:
    """The policy of CPU threads, which a trait of the host names as well."""
    threads, trait = words.threads(), None
    for key, value in words.request.extra_specs.items():
        if re.match(r"trait([1-9][0-9]*)?:HW_CPU_HYPERTHREADING", key):
            trait = value
            break
    else:
        if words.request.properties.get("trait:HW_CPU_HYPERTHREADING") == "required":
            trait = "required"
    if threads and trait:
        raise LayoutError(
            "trait:HW_CPU_HYPERTHREADING and a policy of CPU threads exclude each other",
            resolution="Leave one of them out.",
        )
    return {"forbidden": "isolate", "required": "require"}.get(trait or "", threads)


def _every(words: ExtraSpecs) -> frozenset[int]:
    vcpus = words.request.vcpus
    return frozenset(range(_MOST_CPUS if vcpus is None else vcpus))


def _dedicated(words: ExtraSpecs) -> frozenset[int]:
    """The CPUs of the flavor's own mask; none without one."""
    mask, every = words.request.extra_specs.get("hw:cpu_dedicated_mask"), _every(words)
    if not mask:
        return frozenset()
    pinned = _masked(mask, every)
    if pinned == every:
        raise LayoutError(
            f"hw:cpu_dedicated_mask={mask!r} leaves no CPU that is shared",
            resolution="Leave some CPUs out, or set hw:cpu_policy=dedicated.",
        )
    return pinned


def _realtime(words: ExtraSpecs) -> frozenset[int]:
    """The real-time CPUs, which the image names ahead of the flavor; none where there are none."""
    if not words.flavor_flag("cpu_realtime"):
        return frozenset()
    key, every = "cpu_realtime_mask", _every(words)
    mask = words.request.properties.get(f"hw_{key}") or words.request.extra_specs.get(f"hw:{key}")
    pinned = _masked(mask, every) if mask else every
    if pinned == every and not emulator_policy(words):
        raise LayoutError(
            "all CPUs are real-time ones, and none is left for the emulator",
            resolution="Leave some out by hw:cpu_realtime_mask, or set hw:emulator_threads_policy.",
        )
    return pinned


def _masked(mask: str, every: frozenset[int]) -> frozenset[int]:
    """The CPUs of a mask, which have to be the guest's."""
    at_most = every if mask.strip().startswith("^") else frozenset(range(_MOST_CPUS))
    pinned = cpu_set(mask, at_most)
    if not pinned or not pinned <= every:
        raise LayoutError(
            f"{mask!r} is not among the guest's {len(every)} CPUs",
            resolution="Count the CPUs from 0.",
        )
    return pinned


def cpu_set(text: str, every: frozenset[int]) -> frozenset[int]:
    """The CPUs of `0-3,^2,8` that are among `every`; with `^` alone all but those.

    Raises LayoutError where it is no such list.
    """
    taken: set[int] = set()
    left: set[int] = set()
    for part in str(text).split(","):
        match = re.fullmatch(r"\s*(\^?)\s*(\d{1,5})(?:\s*-\s*(\d{1,5}))?\s*", part, re.ASCII)
        if match is None:
            if not part.strip():
                continue
            raise LayoutError(f"{text!r} is no list of CPUs", resolution="Write it as 0-3,^2,8.")
        first, last = int(match[2]), int(match[3] or match[2])
        (left if match[1] else taken).update(range(first, last + 1))
    return frozenset(((taken or every) - left) & every)
