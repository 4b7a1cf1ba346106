"""Boards with NVSwitches in a site file: sets become kinds, and what cannot be a set is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support.boards import ADDRESSES, MODULES, board_host
from wholecard.nova.desired.site_checks import check_site
from wholecard.site.host_state import desired_state_of
from wholecard.site.load import SiteError, read_site

MODULE_LINES = "".join(f'      "{address}": {module}\n' for address, module in MODULES.items())
SITE = f"""version: 1
release: "2026.1"
cards:
  h100:
    match: [{{vendor: "10de", product: "2330"}}]
    give:
      policy: partitions
      sets:
        h100-x4: 4
        h100-x2: 2
        h100-x1: {{size: 1, count: 2}}
hosts:
  gpu-01:
    facts: gpu-01.json
    modules:
{MODULE_LINES}flavors:
  x4: {{ram: 65536, vcpus: 16, cards: {{h100-x4: 4}}, tuned: false}}
"""
X2 = "h100-x2: 2\n"
LAST = '"0000:88:00.0": 6'

# What is written instead of what, and all that is said of it.
FAULTS = [
    ("", "", []),
    ("cards: {h100-x4: 4}", "cards: {h100-x4: 2}",
     ["25:39: WC608: flavors.x4 requests 2 of h100-x4, a set of 4 GPUs"]),
    ("cards: {h100-x4: 4}", "cards: {h100: 4}",
     ["25:39: 'h100' is given in sets; name one of them: h100-x4, h100-x2 or h100-x1"]),
    ("    modules:\n", "    cards: {h100: 8}\n    modules:\n",
     ["15:13: 'h100' is given in sets; name one of them: h100-x4, h100-x2 or h100-x1"]),
    (X2, "h100-x2: 3\n",
     ["10:9: WC607: no partition of the board has 3 GPUs; partitions have 8, 4, 2 or 1"]),
    (X2, "h100-x2: {size: 2, modules: [5, 6]}\n",
     ["10:28: WC607: GPUs 5 6 are no partition of the board; those of that size: 1 3; 2 4; 5 7; "
      "6 8"]),
    (X2, "h100-x2: {size: 2, modules: [5]}\n",
     ["10:28: 1 module id for 2 GPUs; write one for each GPU, and count: 1"]),
    (X2, "h100-x2: {size: 2, modules: [5, 7]}\n", []),
    (X2, "h100-x2: {size: 2, count: 2}\n",
     ["10:28: nova would give a server GPUs of two of these 2 sets; write each as a set with a "
      "name of its own"]),
    (X2, "h100-x2: 4\n", ["8:7: WC607: no partitions of the board make sets of 4, 4, 1 and 1 GPUs "
                          "beside each other; give fewer, or smaller ones"]),
    (X2, "h100: 2\n",
     ["10:9: the name 'h100' is used for something else under cards; choose another name"]),
    (X2, "h100-x2: {size: 2, resource_class: CUSTOM_PAIR}\n", []),
    ('product: "2330"', 'product: "20b2"',
     ["6:5: the partitions of a board with GPUs 10de:20b2 are not known; write table, the sets of "
      "physicalId that fmpm -l prints"]),
    ('product: "2330"', 'product: "2330", address: "0000:81:00.0"',
     ["5:13: the GPUs of a board are matched by vendor and product; which is which is said by "
      "hosts.NAME.modules; write vendor and product"]),
    ("    give:\n", "    resource_class: CUSTOM_H\n    give:\n",
     ["6:5: each set of a board needs a resource class of its own; write it at the sets, or remove "
      "it"]),
    ("    give:\n", "    select: ids\n    give:\n",
     ["6:5: select is not for GPUs of a board: the GPUs of a set are named by address; remove it"]),
    ("      policy: partitions\n", "      policy: partitions\n      table: [[1, 1]]\n",
     ["8:15: no set of GPUs; write each module id once"]),
    (LAST, '"0000:88:00.0": 5', ["15:5: two GPUs have one module id; read them again: nvidia-smi "
                                 "-q"]),
    (f"      {LAST}\n", "", ["15:5: gpu-01 has no address for module 6 of cards.h100; read it from "
                             "nvidia-smi -q, Module ID"]),
    (LAST, '"0000:89:00.0": 6',
     ["15:5: 0000:88:00.0 on gpu-01 is a GPU of cards.h100 without module id",
      "23:7: 0000:89:00.0 on gpu-01 does not exist, and modules names it as a GPU of the board"]),
    (f"    modules:\n{MODULE_LINES}", "",
     ["6:5: no host says which of its GPUs is which; write hosts.NAME.modules, from nvidia-smi -q, "
      "Module ID"]),
    ("flavors:\n", "  gpu-02:\nflavors:\n", []),
]  # fmt: skip


@pytest.fixture
def said(tmp_path: Path) -> Callable[[str], list[str]]:
    """Everything that is said of a site file, by position."""
    (tmp_path / "gpu-01.json").write_text(json.dumps(board_host().to_json()))

    def checking(text: str) -> list[str]:
        path = tmp_path / "site.yaml"
        path.write_text(text)
        try:
            check = check_site(read_site(path))
        except SiteError as error:
            return [line.partition("site.yaml:")[2] for line in error.details.splitlines()]
        issues = [*check.errors, *check.warnings]
        return [f"{each.position.line}:{each.position.column}: {each.what}" for each in issues]

    return checking


@pytest.mark.parametrize(("old", "new", "faults"), FAULTS)
def test_faults(
    said: Callable[[str], list[str]], old: str, new: str, faults: list[str]
) -> None:  # fmt: skip
    """Each fault is said once, with its place."""
    assert old in SITE
    lines = said(SITE.replace(old, new, 1) if old else SITE)
    assert lines == faults


def test_sets_are_kinds(said: Callable[[str], list[str]], tmp_path: Path) -> None:
    """A set's kind has the GPUs of its partition by address, and the host gets their module ids."""
    assert said(SITE) == []
    file = read_site(tmp_path / "site.yaml")
    cards = {
        name: [match.address for match in kind.match] for name, kind in file.site.cards.items()
    }
    assert cards == {
        "h100-x4": list(ADDRESSES[:4]), "h100-x2": ["0000:85:00.0", "0000:86:00.0"],
        "h100-x1": ["0000:87:00.0", "0000:88:00.0"],
    }  # fmt: skip
    assert list(file.site.boards) == ["h100"]
    assert file.position("cards", "h100-x2", "match").line == 10
    desired = desired_state_of(file, "gpu-01")
    assert desired.cards == tuple(address[:-2] for address in ADDRESSES)
    assert desired.modules == tuple(f"{address}={module}" for address, module in MODULES.items())
