"""A pool: devices that nova cannot distinguish, counted together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wholecard.core.capabilities import Capability
from wholecard.nova.match.device import Device
from wholecard.nova.match.rules import Rules
from wholecard.nova.match.spec import Spec, assign

_KEYS = ("product_id", "vendor_id", "numa_node", "dev_type")
# nova/pci/stats.py: Placement has compared these already, so they do not make a separate pool.
PLACEMENT_TAGS = frozenset({"resource_class", "traits", "rp_uuids", "rp_uuid"})
# What nova writes into a pool itself, over a tag of that name.
_OWN = frozenset({"count", "devices"})
_MAY_BE_REMOTE = frozenset({"type-VF", "type-PF", "vdpa"})


@dataclass
class Pool:
    """One of nova's pools: what its devices have in common, how many are free, and which.

    `keys` are what a request is compared with: ids, `numa_node`, `dev_type` and the spec's tags.
    `provider` is the Placement provider of its devices, where they are reported. The count is
    separate from the devices, because nova takes a number of devices out of a pool when it
    schedules, and devices by name only when nova-compute claims them.
    """

    keys: Mapping[str, Any]
    count: int
    devices: tuple[Device, ...]
    provider: str | None = None

    def copy(self) -> Pool:
        """A pool of its own, to be counted down."""
        return Pool(self.keys, self.count, self.devices, self.provider)

    @property
    def width(self) -> int:
        """How many keys nova's own record of it has; it tries narrow pools first."""
        return len(self.keys.keys() | _OWN) + (self.provider is not None)

    @property
    def free(self) -> tuple[str, ...]:
        """The addresses of as many devices as are counted."""
        return tuple(device.address for device in self.devices[: max(self.count, 0)])


def count_of(pools: Iterable[Pool]) -> int:
    """How many devices are free in all these pools."""
    return sum(pool.count for pool in pools)


def _same(keys: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """nova's comparison, in which a key that is null equals one that is missing."""
    return len(keys) == len(others) and all(value == keys.get(key) for key, value in others.items())


def pools_of(devices: Iterable[Device], specs: Sequence[Spec], rules: Rules) -> list[Pool]:
    """The pools of the devices that `specs` give, in the order in which nova tries them."""
    pools: list[Pool] = []
    for device in devices:
        spec = assign(device, specs)
        if spec is None:
            continue
        keys = _keys(device, spec, rules)
        # nova/pci/stats.py, `_find_pool`: a device with a tag named count or devices never finds a
        # pool. The pool that it makes has no such tag any more, for
        # nova overwrites it, and takes in later devices that are the same but for it.
        overwritten = keys.keys() & _OWN
        pool = None if overwritten else next((one for one in pools if _same(one.keys, keys)), None)
        if pool is None:
            pool = Pool({key: value for key, value in keys.items() if key not in _OWN}, 0, ())
            pools.append(pool)
            pools.sort(key=lambda pool: pool.width)
        pool.count += 1
        pool.devices = (*pool.devices, device)
    return pools


def reported(pool: Pool) -> Pool:
    """The pool as nova-compute reports it and the scheduler reads it: tags are text there.

    Source: nova/objects/pci_device_pool.py. A list or an object as a tag cannot be reported by
    nova; it stays what it is here.
    """
    keys = {key: value for key, value in pool.keys.items() if key not in _OWN}
    for key, value in keys.items():
        if key == "numa_node":
            keys[key] = _number(value)
        elif isinstance(value, (bool, int, float)):
            keys[key] = str(value)
    return Pool(keys, pool.count, pool.devices, pool.provider)


def _number(value: Any) -> Any:
    """A NUMA node, which a tag of that name may have replaced by anything."""
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError, OverflowError):
        return value


def _keys(device: Device, spec: Spec, rules: Rules) -> dict[str, Any]:
    keys: dict[str, Any] = {key: getattr(device, key) for key in _KEYS}
    ignored = PLACEMENT_TAGS if rules.has(Capability.PCI_IN_PLACEMENT) else frozenset()
    keys.update({key: value for key, value in spec.tags.items() if key not in ignored})
    if rules.has(Capability.POOLS_BY_PROVIDER):
        keys["address"] = device.provider_address
    may_be_remote = rules.has(Capability.REMOTE_MANAGED) and device.dev_type in _MAY_BE_REMOTE
    if may_be_remote and keys.get("remote_managed") is None:
        keys["remote_managed"] = "false"
    return keys
