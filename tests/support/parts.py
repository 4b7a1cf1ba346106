"""Hosts with cards that are given in parts, and sites for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from support.sites import function, host, own, site
from wholecard.host.facts.host import Host
from wholecard.pci import Address, Function
from wholecard.site.model import Site

M60, A40, L40S, MI300X, MI300X_VF = "10de:13f2", "10de:2235", "10de:26b9", "1002:74a1", "1002:74b5"


def with_vfs(
    bus: str, ids: str, vf_ids: str, count: int, driver: str, class_code: str = "030200"
) -> list[Function]:
    """A card and its VFs, which are in its slot from function 4 on."""
    pf = function(f"0000:{bus}:00.0", ids, class_code, sriov=count, sriov_vfs=count, driver=driver)
    vfs = [
        function(f"0000:{bus}:{4 + number // 8:02x}.{number % 8}", vf_ids, class_code,
                 physfn=Address.parse(f"0000:{bus}:00.0"), driver=driver)
        for number in range(count)
    ]  # fmt: skip
    return [pf, *vfs]


def hosts() -> Mapping[str, Host]:
    """`m60`: two cards that are parents; `a40`: VFs that are; `l40s` and `mi300x`: VFs."""
    return {
        "m60": host([*own(), *(function(f"0000:{bus}:00.0", M60, driver="nvidia")
                               for bus in ("84", "8a"))]),
        "a40": host([*own(), *with_vfs("41", A40, A40, 8, "nvidia")]),
        "l40s": host([*own(), *with_vfs("51", L40S, L40S, 8, "nvidia"),
                      *with_vfs("52", L40S, L40S, 8, "nvidia")]),
        "mi300x": host([*own(), *with_vfs("61", MI300X, MI300X_VF, 8, "vfio-pci")]),
    }  # fmt: skip


def kind(ids: str, **give: Any) -> dict[str, Any]:
    """A kind of card given in parts."""
    vendor, product = ids.split(":")
    return {"match": [{"vendor": vendor, "product": product}], "give": give}


GRID = kind(M60, policy="mdev", types={"nvidia-35": 8})
KINDS = {
    "grid": GRID,
    "a40": kind(A40, policy="mdev", types={"nvidia-558": 4}),
    "l40s": kind(L40S, policy="vfs", types={"NVIDIA L40S-12Q": 4}),
    "mi300x": kind(MI300X, policy="vfs", count=8),
}


def parts(cards: Mapping[str, Any] | None = None, *on: str, **more: Any) -> Site:
    """A site of these kinds, all by default, on these hosts."""
    names = on or tuple(hosts())
    return site(cards or KINDS, hosts={name: {"facts": f"{name}.json"} for name in names}, **more)


def facts(*on: str) -> dict[str, Host]:
    """The facts of these hosts, of all by default."""
    known = hosts()
    return {name: known[name] for name in on or known}
