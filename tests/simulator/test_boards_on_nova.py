"""Boards in sets on real nova 34 and Placement 16: which GPUs its servers get."""

from __future__ import annotations

import json
import os
import random
import subprocess
import uuid
from pathlib import Path
from typing import Any

from differential.environments import python_of
from simulator.nova_process import NOVA, SECONDS
from support.boards import board_site, server_modules
from wholecard.core.releases import LATEST
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.pci.splitting.nvswitch import BOARDS, partition_of

SIDE = Path(__file__).parent / "boardside.py"
SMALL = {"x4": 4, "x2": 2, "x1": {"size": 1, "count": 2}}
HALVES = {"left": 4, "right": 4}
ASKED = ("x4:4", "x2:2", "x1:1", "x1:1", "left:4", "right:4")
# How many servers of each flavor the two hosts have sets for.
PLACES = {"x4:4": 1, "x2:2": 1, "x1:1": 2, "left:4": 1, "right:4": 1}
EVENTS, SEED = 40, 11


def test_every_server_has_a_partition(tmp_path: Path) -> None:
    """nova gives each server one partition, and refuses only where all sets of its flavor run."""
    events: list[tuple[str, str, str]] = []
    running: dict[str, str] = {}
    order = random.Random(SEED)
    # What must be refused, by the sets alone; nova is asked for everything.
    refused = []
    for _ in range(EVENTS):
        if running and order.random() < 0.4:
            name = order.choice(sorted(running))
            del running[name]
            events.append(("delete", name, ""))
            continue
        name, asked = str(uuid.UUID(int=order.getrandbits(128), version=4)), order.choice(ASKED)
        events.append(("boot", name, asked))
        full = list(running.values()).count(asked) == PLACES[asked]
        refused.append(full)
        if not full:
            running[name] = asked
    got = nova_gives(tmp_path, events)
    assert [each is None for each in got] == refused
    for each in got:
        if each is not None:
            assert partition_of(BOARDS[0].partitions, server_modules(each[1])) is not None
    boots = [event for event in events if event[0] == "boot"]
    sizes = [len(each[1]) for each in got if each]
    assert sizes == [int(asked[-1]) for (_, _, asked), full in zip(boots, refused, strict=True)
                     if not full]  # fmt: skip
    assert any(refused)


def nova_gives(folder: Path, events: list[tuple[str, str, str]]) -> list[Any]:
    """What each boot got: host and addresses, None where it was refused."""
    site, facts = board_site((1, SMALL), (1, HALVES))
    configs = pci_configs(site, facts, LATEST)
    question = {
        "folder": str(folder), "seed": SEED, "events": events,
        "specs": {host: [each.to_json() for each in config.device_specs]
                  for host, config in configs.items()},
        "aliases": [each.to_json() for each in configs["gpu-01"].aliases],
    }  # fmt: skip
    ended = subprocess.run(
        [str(python_of(NOVA)), "-s", "-P", "-W", "ignore", str(SIDE)],
        env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"},
        input=json.dumps(question), capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    answer: list[Any] = json.loads(ended.stdout)
    return answer
