"""Types of mediated devices before real nova's own code, and ours beside it.

`make renew-nova` keeps the answers of each release to some of the cases.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from differential.environments import RELEASES, python_of
from wholecard.nova.match.errors import MdevError
from wholecard.nova.match.mdevs import MdevParent, TypeSection, libvirt_name, mdev_types

__all__ = ["COUNT", "Case", "cases", "nova_answers", "our_answer", "recorded"]

Case = dict[str, Any]
COUNT = 100
SEED = 7
NOVASIDE = Path(__file__).parent / "mdevside.py"
ANSWERS = Path(__file__).parent / "golden" / "mdevs.json"
TYPES = ("nvidia-35", "nvidia-36", "mtty-2")
PARENTS = ("0000:84:00.0", "0000:8a:00.0", "0000:8a:00.4", "mtty_mtty")
ADDRESSES = (*PARENTS, "0000:8A:00.0", "84:00.0", "0000:84:00")
CLASSES = ("VGPU", "CUSTOM_A", "CUSTOM_B")


def cases(count: int = COUNT) -> Iterator[Case]:
    """Hosts with types that nearly fit, the same in each run."""
    rng = random.Random(SEED)
    for _ in range(count):
        enabled = rng.sample(TYPES, rng.choice([1, 1, 2, 2, 3]))
        if rng.random() < 0.05:
            enabled.append(enabled[0])
        sections = {name: _section(rng) for name in TYPES if rng.random() < 0.8}
        parents = [(name, _offered(rng)) for name in PARENTS if rng.random() < 0.7]
        mdevs = [
            (name, rng.choice(TYPES))
            for name, _ in parents
            for _ in range(rng.choice([0, 0, 1, 2]))
        ]
        yield {"enabled": enabled, "sections": sections, "parents": parents, "mdevs": mdevs}


def _section(rng: random.Random) -> Case:
    section: Case = {}
    if rng.random() < 0.7:
        wrong = rng.random() < 0.15
        section["device_addresses"] = rng.sample(
            ADDRESSES if wrong else PARENTS, rng.choice([1, 1, 2])
        )
    if rng.random() < 0.4:
        section["mdev_class"] = rng.choice(CLASSES)
    if rng.random() < 0.4:
        section["max_instances"] = rng.choice([1, 4, 8, 9, 16])
    return section


def _offered(rng: random.Random) -> dict[str, int]:
    return {name: rng.choice([0, 1, 4, 8]) for name in TYPES if rng.random() < 0.7}


def conf_text(case: Case) -> str:
    """The case as nova-compute's file."""
    lines = ["[devices]", f"enabled_mdev_types = {', '.join(case['enabled'])}"]
    for name, section in case["sections"].items():
        lines.append(f"[mdev_{name}]")
        for key, value in section.items():
            lines.append(f"{key} = {','.join(value) if isinstance(value, list) else value}")
    return "\n".join([*lines, ""])


def our_answer(case: Case, major: int) -> Any:
    """What Wholecard says that nova makes of it."""
    sections = {
        name: TypeSection(
            tuple(section.get("device_addresses", ())),
            section.get("mdev_class", "VGPU"),
            section.get("max_instances"),
        )
        for name, section in case["sections"].items()
    }
    try:
        types = mdev_types(major, case["enabled"], sections, {"mtty_mtty"})
    except MdevError as error:
        return {"refused": "InvalidLibvirtMdevConfig", "about": error.reason.split()[-1]}
    parents = [MdevParent(name, offered) for name, offered in case["parents"]]
    inventories = types.inventories(parents, case["mdevs"])
    return {
        "used": list(types.used),
        "counted": sorted(types.counted),
        "inventories": {
            libvirt_name(name): [one.resource_class, one.total]
            for name, one in sorted(inventories.items())
        },
    }


def nova_answers(major: int, count: int = COUNT) -> list[Any]:
    """Real nova's answers. Raises CalledProcessError with its traceback where it breaks."""
    questions = [
        {
            "conf": conf_text(case),
            "parents": [(libvirt_name(name), offered) for name, offered in case["parents"]],
            "mdevs": [(libvirt_name(name), kind) for name, kind in case["mdevs"]],
        }
        for case in cases(count)
    ]
    ended = subprocess.run(
        [str(python_of(major)), "-W", "ignore", str(NOVASIDE)],
        input="".join(f"{json.dumps(one)}\n" for one in questions),
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    if ended.returncode:
        raise subprocess.CalledProcessError(ended.returncode, ended.args, stderr=ended.stderr)
    return [json.loads(line) for line in ended.stdout.splitlines()]


def recorded(major: int) -> list[Any]:
    """The answers that were kept."""
    answers: list[Any] = json.loads(ANSWERS.read_text())[str(major)]
    return answers


if __name__ == "__main__":
    kept = {str(major): nova_answers(major) for major in RELEASES}
    rows = []
    for major, answers in kept.items():
        # One line an answer, so that a difference can be read.
        lines = ",\n".join(json.dumps(one, sort_keys=True) for one in answers)
        rows.append(f'"{major}": [\n{lines}\n]')
    joined = ",\n".join(rows)
    ANSWERS.write_text(f"{{{joined}}}\n")
    print(f"nova {', '.join(kept)}: {COUNT} answers each in {ANSWERS}")
