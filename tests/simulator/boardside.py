"""Boots and deletions on hosts with boards, as real nova and Placement do them: nova's Python.

Reads a question as JSON on standard input: a folder, each host's device_spec, the aliases, flavors
as `pci_passthrough:alias`, and events. Writes which addresses each boot got, null for a refusal.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

# nova's modules print at import; the answer alone goes to standard output.
ANSWER_TO = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
sys.path.insert(0, str(Path(__file__).parent))

import nova_world  # noqa: E402
from nova.pci import request as pci_request  # noqa: E402
from nova_moves import Moves, NoHostError  # noqa: E402

from nova import objects  # noqa: E402


class BoardMoves(Moves):
    """Moves of servers whose flavors are known by the text of their aliases."""

    def flavor(self, cards):
        self.flavors.setdefault(cards, len(self.flavors) + 1)
        return objects.Flavor(
            self.world.context, name=cards, flavorid=cards, memory_mb=1024, vcpus=1, root_gb=10,
            ephemeral_gb=0, swap=0, rxtx_factor=1.0, vcpu_weight=0, disabled=False,
            is_public=True, description="", id=self.flavors[cards],
            extra_specs={"pci_passthrough:alias": cards},
        )  # fmt: skip


def main():
    question = json.load(sys.stdin)
    specs = question["specs"]
    nova_world.Compute.specify = lambda compute: nova_world.CONF.set_override(
        "device_spec", specs[compute.host], "pci"
    )
    world = nova_world.World(question["folder"], len(specs), 8)
    nova_world.CONF.set_override("alias", question["aliases"], "pci")
    pci_request.get_alias_from_config.cache_clear()
    moves = BoardMoves(world, random.Random(question["seed"]).choice)
    got = []
    for what, name, asked in question["events"]:
        if what == "delete":
            for _ in moves.delete(name):
                pass
            continue
        try:
            for _ in moves.boot(asked, name):
                pass
        except NoHostError:
            got.append(None)
            continue
        host = moves.server(name).host
        got.append([host, world.computes[host].hypervisor.domains[name]["hostdevs"]])
    print(json.dumps(got), flush=True, file=ANSWER_TO)


if __name__ == "__main__":
    main()
