"""What nova asks Placement of a flavor and an image, and which aggregates it takes: the comparison.

The cases are made from a seed; `make renew-nova` keeps real novas' answers to the first of them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from differential.environments import RELEASES, python_of
from wholecard.cloud.client.failed_servers import disk_asked
from wholecard.core.releases import RELEASES as SERIES
from wholecard.explain.checks.aggregates import unmet
from wholecard.explain.evidence.evidence import HostAggregate
from wholecard.nova.flavor.extra_specs import LayoutError
from wholecard.nova.flavor.resource_request import ResourceDemand, ResourceRequest, resource_request
from wholecard.nova.flavor.server_request import ServerRequest

__all__ = ["COUNT", "KINDS", "Outcome", "compared", "digest", "nova_answers", "recorded"]

Case = dict[str, Any]
COUNT = 400
SEED = 8
# What has to occur among nova's answers: where all is refused, nothing is compared.
KINDS = ("asked", "refused", "passes True", "passes False")
NOVASIDE = Path(__file__).parent / "placementside.py"
GOLDEN = Path(__file__).parent / "golden"

# Each key with what it may be: the flavor's `hw:` keys, of which most are an image's as well.
_WORDS: dict[str, list[str]] = {
    "cpu_policy": ["dedicated", "dedicated", "mixed", "mixed", "shared", "dedicated"],
    "cpu_thread_policy": ["require", "isolate", "prefer", "isolate", "odd"],
    "tpm_version": ["2.0", "2.0", "1.2", "3.0"],
    "tpm_model": ["tpm-crb", "tpm-tis", "tpm-xyz"],
    "pci_numa_affinity_policy": ["socket", "required", "legacy", "preferred"],
    "maxphysaddr_mode": ["passthrough", "emulate"],
    "ephemeral_encryption": ["true", "no", "on", "maybe"],
    "ephemeral_encryption_format": ["luks", "plain"],
    "virtio_packed_ring": ["true", "false", "1"],
    "sound_model": ["virtio", "usb"],
}
_FLAVOR_WORDS: dict[str, list[str]] = {
    "hw:cpu_dedicated_mask": ["0-1", "^0", "0,3", "0-99", "^0-99", "0-7"],
    "hw:cpu_realtime": ["yes", "true", "no"],
    "hw:cpu_realtime_mask": ["^0", "1-2", "0-99"],
    "hw:emulator_threads_policy": ["isolate", "isolate", "share", "odd"],
    "hw:tpm_secret_security": ["user", "host", "deployment"],
    "hw:pmem": ["4GB", "4GB,4GB, a-b", " ,", "x,X"],
    "accel:device_profile": ["gpu"],
    "group_policy": ["none", "isolate", "odd"],
    "resources:VCPU": ["0", "2", "x", "-1", " 3 "],
    "resources:PCPU": ["0", "2"],
    "resources:MEMORY_MB": ["0", "512", "1_000"],
    "resources:DISK_GB": ["0", "7"],
    "resources:VGPU": ["1", "0"],
    "resources:CUSTOM_NVME": ["1"],
    "resources:NOTHING": ["1"],
    "resources1:CUSTOM_X": ["1", "0"],
    "resources_NET:PCPU": ["1"],
    "resources2:MEMORY_MB": ["9"],
    "trait:CUSTOM_A": ["required", "forbidden", "odd"],
    "trait1:CUSTOM_B": ["required", "forbidden"],
    "trait_ONLY:CUSTOM_C": ["required"],
    "traits:CUSTOM_D": ["required"],
    "trait1.5:CUSTOM_E": ["required"],
}
_ODD = ("odd", "3.0", "tpm-xyz")
_SIGNS = ["", "", "=", "==", "!=", ">=", "<=", "s==", "s!=", "s<", "s<=", "s>", "s>=", "<in>",
          "<all-in>", "<or>", "~"]  # fmt: skip
_VALUES = ["h100", "a100", "2", "10", "2.0", "h100,a100", " a100 , 2", "", "h100 x", "1e1"]
_KEYS = ["gpu", "ram", "aggregate_instance_extra_specs:gpu", "aggregate_instance_extra_specs:a:b",
         "hw:gpu", "aggregate_instance_extra_specs"]  # fmt: skip


def make(number: int) -> Case:
    """Case `number` of the sequence; always the same one."""
    rng = random.Random(f"{SEED}/{number}")
    often = rng.choice([0.04, 0.12, 0.3])
    specs, properties = {}, {}
    for key, words in _WORDS.items():
        if rng.random() < often:
            specs[f"hw:{key}"] = rng.choice(words)
        if rng.random() < often / 2:
            # An image with any other word is refused whatever else is asked.
            properties[f"hw_{key}"] = rng.choice([each for each in words if each not in _ODD])
    for key, words in _FLAVOR_WORDS.items():
        if rng.random() < often:
            specs[key] = rng.choice(words)
    for holder, key in ((specs, "os:secure_boot"), (properties, "os_secure_boot")):
        if rng.random() < often:
            holder[key] = rng.choice(["required", "required", "disabled", "optional"])
    if rng.random() < often:
        properties["trait:CUSTOM_I"] = rng.choice(["required", "forbidden"])
    if rng.random() < often:
        properties["hw_cpu_realtime_mask"] = rng.choice(["^0-1", "0"])
    _firmware(rng, often, specs, properties)
    return {
        "number": number,
        "vcpus": rng.choice([1, 4, 8]),
        "ram_mb": rng.choice([512, 16384]),
        "root_gb": rng.choice([0, 1, 40]),
        "ephemeral_gb": rng.choice([0, 0, 5]),
        "swap_mb": rng.choice([0, 0, 1, 1024, 1500]),
        "on_volume": rng.random() < 0.3,
        "specs": specs,
        "properties": properties,
        "aggregates": [
            {key: rng.choice(_VALUES) for key in rng.sample(["gpu", "ram", "a:b"], 2)}
            for _ in range(rng.choice([0, 1, 1, 2]))
        ],
        "wishes": {key: _wish(rng) for key in rng.sample(_KEYS, rng.choice([0, 1, 1, 1, 2]))},
    }


def _firmware(
    rng: random.Random, often: float, specs: dict[str, str], properties: dict[str, str]
) -> None:
    """Firmware, and encrypted memory with the image that nova-api wants for it."""
    if rng.random() < often:
        properties["hw_firmware_stateless"] = rng.choice(["true", "false"])
    if rng.random() < often:
        properties["hw_firmware_type"] = rng.choice(["uefi", "uefi", "bios"])
    if rng.random() < often:
        key = "mem_encryption"
        for holder, name in ((specs, f"hw:{key}"), (properties, f"hw_{key}")):
            if rng.random() < 0.6:
                holder[name] = rng.choice(["true", "True", "true", "0"])
            if rng.random() < 0.3:
                models = ["amd-sev", "amd-sev-es", "amd-sev-snp", "intel-tdx"]
                holder[f"{name}_model"] = rng.choice(models if holder is specs else models[:1])
        properties |= {"hw_firmware_type": "uefi", "hw_machine_type": "q35",
                       "hw_firmware_stateless": "true", "hw_video_model": "none"}  # fmt: skip


def _wish(rng: random.Random) -> str:
    """A wish for an aggregate's value: an operator, and words that may fit."""
    sign, value = rng.choice(_SIGNS), rng.choice(_VALUES)
    if sign == "<or>":
        return rng.choice([f"<or> {value}", f"<or> 7 <or> {value}", "<or>", f"<or> {value} x"])
    return f"{sign} {value}".strip() if sign else value


def cases(count: int) -> Iterator[Case]:
    """The first `count` cases."""
    return map(make, range(count))


def answer(case: Case, major: int) -> Any:
    """What we say of a case, in the shape of `placementside`'s answers."""
    release = next(each for each in SERIES if each.nova == major)
    disk = disk_asked(case["root_gb"], case["ephemeral_gb"], case["swap_mb"],
                      on_volume=case["on_volume"])  # fmt: skip
    request = ServerRequest("f", "", case["specs"], case["vcpus"], case["ram_mb"], disk,
                      properties=case["properties"])  # fmt: skip
    try:
        asked: Any = [
            _plain(resource_request(request, release, second)) for second in (False, True)
        ]
    except LayoutError:
        asked = {"refused": "LayoutError"}
    there = [HostAggregate("a", metadata) for metadata in case["aggregates"]]
    return {"asked": asked, "passes": unmet(there, case["wishes"]) is None}


def _plain(asked: ResourceRequest) -> dict[str, Any]:
    return {
        "machine": _group(asked.machine),
        "groups": {suffix: _group(each) for suffix, each in asked.groups.items()},
        "root": [sorted(asked.root_required), sorted(asked.root_forbidden)],
        "policy": asked.group_policy,
        "pinned": asked.pinned,
        "required": sorted(asked.required),
    }


def _group(demand: ResourceDemand) -> list[Any]:
    return [dict(demand.resources), sorted(demand.required), sorted(demand.forbidden)]


@dataclass
class Outcome:
    """What differed, by case, and what nova's answers were like."""

    cases: int = 0
    differences: list[tuple[int, Any, Any]] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)


def compared(major: int, answers: Iterable[Any]) -> Outcome:
    """Our answers to as many cases as there are of nova's. Which error refuses is no difference."""
    outcome = Outcome()
    for case, nova in zip(map(make, range(1 << 30)), answers, strict=False):
        outcome.cases += 1
        ours = answer(case, major)
        refused = "refused" in nova["asked"]
        outcome.seen["refused" if refused else "asked"] += 1
        outcome.seen[f"passes {nova['passes']}"] += 1
        if refused != ("refused" in ours["asked"]) or (
            not refused and ours["asked"] != nova["asked"]
        ):
            outcome.differences.append((case["number"], ours["asked"], nova["asked"]))
        # Which of several values nova stumbles over, or takes before that, is chance in it.
        if nova["passes"] != "stumbled" and ours["passes"] != nova["passes"]:
            outcome.differences.append((case["number"], ours["passes"], nova["passes"]))
    return outcome


def nova_answers(major: int, count: int, timeout: float = 1800) -> list[Any]:
    """Real nova's answers. Raises CalledProcessError where its side breaks."""
    ended = subprocess.run(
        [str(python_of(major)), "-W", "ignore", str(NOVASIDE)],
        input="".join(json.dumps(case) + "\n" for case in cases(count)),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    if ended.returncode:
        raise subprocess.CalledProcessError(ended.returncode, ended.args, stderr=ended.stderr)
    return [json.loads(line) for line in ended.stdout.splitlines()]


def digest() -> str:
    """A digest of the cases that are kept."""
    return hashlib.sha256("\n".join(map(json.dumps, cases(COUNT))).encode()).hexdigest()


def recorded(major: int) -> tuple[str, list[Any]]:
    """The digest of the cases that were asked, and nova's answers."""
    lines = gzip.decompress(_path(major).read_bytes()).decode().splitlines()
    return lines[0], [json.loads(line) for line in lines[1:]]


def _path(major: int) -> Path:
    return GOLDEN / f"placement-{major}.jsonl.gz"


if __name__ == "__main__":
    for release in RELEASES:
        kept = [
            digest(),
            *(json.dumps(each, sort_keys=True) for each in nova_answers(release, COUNT)),
        ]
        # Without a time in it, so that the same answers make the same file.
        _path(release).write_bytes(gzip.compress("\n".join(kept).encode(), mtime=0))
        print(f"nova {release}: {COUNT} answers in {_path(release)}")
