"""Cases for the comparison with nova: made from a seed, full of things that nearly fit."""

from __future__ import annotations

import json
import random
from typing import Any

__all__ = ["Case", "make"]

Case = dict[str, Any]

# Cards whose ids are easily mixed up, and a card of which PF and VF have one id.
_GPU, _OTHER_GPU, _AUDIO = ("10de", "2331"), ("10de", "20b0"), ("10de", "1aef")
_NIC, _NIC_VF = ("15b3", "101d"), ("15b3", "101e")
_TWIN = ("de10", "de10")
_WORDS = ["true", "True", " yes ", "on", "1", "f", "no", "FALSE", "off", "maybe", "", True, False]
_POLICIES = ["legacy", "preferred", "required", "socket"]


class Dice(random.Random):
    """Chance, with cases that are calm: little in them is odd, so that much is decided late."""

    calm = False

    def odd(self, chance: float) -> bool:
        """Whether something odd happens here, seldom so in a calm case."""
        return self.random() < (chance / 12 if self.calm else chance)


def make(seed: int, number: int) -> Case:
    """Case `number` of the sequence that `seed` starts; always the same one."""
    rng = Dice(f"{seed}/{number}")
    rng.calm = rng.random() < 0.6
    devices = _devices(rng)
    interfaces = {
        f"eth{at}": each["address"] for at, each in enumerate(devices) if rng.random() < 0.3
    }
    aliases = _aliases(rng, devices)
    request, parts = _request(rng, aliases)
    report = rng.random() < 0.6
    mapping = None
    if rng.random() < (0.5 if report else 0.05):
        wanted = _wanted(aliases, request)
        mapping = [
            _mapping(rng, [each for each in devices if each["product_id"] in ids] or devices, count)
            for ids, count in zip(wanted, parts, strict=True)
        ]
    sockets = rng.choice([(0, 1), (0, 0), (0, 1), (None, None), (0, None)])
    return {
        "number": number,
        "devices": devices,
        "interfaces": interfaces,
        "specs": _specs(rng, devices, interfaces),
        "aliases": aliases,
        "request": request,
        "policy": rng.choice([*_POLICIES, "", "strict"]) if rng.odd(0.3) else None,
        "report": report,
        "pci_in_placement": report and rng.random() < 0.6,
        "cells": rng.choice([None] * 3 + [[], [0], [1], [0, 1], [0], [7]]),
        "host_cells": None
        if rng.random() < 0.05
        else [[at, socket] for at, socket in enumerate(sockets)],
        "mapping": mapping,
        "stored": rng.random() < 0.4,
    }


def _device(
    rng: Dice,
    address: str,
    ids: tuple[str, str],
    dev_type: str = "type-PCI",
    parent: str | None = None,
    node: int | None = None,
) -> Case:
    return {
        "address": address,
        "vendor_id": ids[0],
        "product_id": ids[1],
        "dev_type": dev_type,
        "parent_addr": parent,
        "numa_node": node,
        "serial": "MT2113X" if ids[0] == "15b3" and rng.random() < 0.7 else "",
    }


def _devices(rng: Dice) -> list[Case]:
    """One to four cards, in the order in which libvirt might list them."""
    devices = []
    domain = rng.choice(["0000", "0001", "10000"]) if rng.odd(0.3) else "0000"
    usual = rng.random()
    for bus in rng.sample(["01", "41", "81", "c1", "0a", "a0"], rng.randint(1, 4)):
        node = rng.choice([0, 0, 1, 1, None])
        slot = f"{domain}:{bus}:{rng.choice(['00', '00', '10', '1f'])}"
        # Half of the hosts have cards of one kind.
        kind = usual if usual < 0.5 else rng.random()
        if kind < 0.3:
            ids = rng.choice([_GPU, _GPU, _OTHER_GPU])
            devices.append(_device(rng, f"{slot}.0", ids, "type-PF", None, node))
        elif kind < 0.6:
            ids = rng.choice([_GPU, _OTHER_GPU, _TWIN])
            devices.append(_device(rng, f"{slot}.0", ids, "type-PCI", None, node))
            if rng.random() < 0.5:
                devices.append(_device(rng, f"{slot}.1", _AUDIO, "type-PCI", None, node))
        else:
            pf, vf = rng.choice([(_NIC, _NIC_VF), (_GPU, _GPU), (_TWIN, _TWIN)])
            if rng.random() < 0.85:
                devices.append(_device(rng, f"{slot}.0", pf, "type-PF", None, node))
            all_vdpa = rng.random() < 0.2
            for function in range(1, rng.randint(2, 4)):
                vdpa = vf is _NIC_VF and (all_vdpa or rng.random() < 0.2)
                of_node = node if rng.random() < 0.9 else 1
                devices.append(
                    _device(
                        rng,
                        f"{slot}.{function}",
                        vf,
                        "vdpa" if vdpa else "type-VF",
                        f"{slot}.0",
                        of_node,
                    )
                )
    if rng.random() < 0.3:
        rng.shuffle(devices)
    return devices


def _id(rng: Dice, right: str, other: str) -> Any:
    """An id: mostly right, else nearly so."""
    if not rng.odd(0.25):
        return right
    odd = [right.upper(), other, f" {right}", f"{right} ", f"0x{right}", right[:3], f"0{right}"]
    odd += ["*", " *", "", "1" + right, "gggg", f"-{right[0]}", f"{right[:2]}_{right[2:]}", "ffff"]
    return rng.choice([*odd, 4318, None, [right], right.upper(), right.upper(), other])


def _specs(rng: Dice, devices: list[Case], interfaces: dict[str, str]) -> list[str]:
    texts = []
    for _ in range(rng.choice([1, 1, 2, 2, 3, 4])):
        if rng.odd(0.04):
            texts.append(_odd_text(rng))
            continue
        items = [
            _spec(rng, rng.choice(devices), interfaces) for _ in range(rng.choice([1] * 8 + [2]))
        ]
        value: Any = items if len(items) > 1 or rng.random() < 0.05 else items[0]
        texts.append(_written(rng, value))
    return texts


def _written(rng: Dice, value: Any) -> str:
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    odd = rng.random() * (12 if rng.calm else 1)
    if odd < 0.02:
        return text.replace('"', "'")
    if odd < 0.03:
        return text[:-1]
    if odd < 0.04:
        return f" {text}\n"
    return text


def _odd_text(rng: Dice) -> str:
    return rng.choice(
        [
            *["", "null", "[]", "{}", "[[]]", "[null]", "3", '"x"', "true", "NaN", "{,}", "[{}]"],
            *['{"vendor_id": "10de", "vendor_id": "15b3"}', "{'vendor_id': '10de'}", "[{}, 3]"],
        ]
    )


def _spec(rng: Dice, device: Case, interfaces: dict[str, str]) -> Case:
    spec: Case = {}
    if rng.calm and rng.random() < 0.6:
        # All of one vendor's, or all there is: the usual broad line.
        if rng.random() < 0.5:
            spec["vendor_id"] = device["vendor_id"]
        if device["vendor_id"] == "15b3" and rng.random() < 0.2:
            spec["remote_managed"] = "true"
        _add_tags(rng, spec)
        return spec
    if rng.random() < 0.7:
        spec["vendor_id"] = _id(rng, device["vendor_id"], device["product_id"])
    if rng.random() < 0.6:
        spec["product_id"] = _id(rng, device["product_id"], device["vendor_id"])
    if rng.random() < 0.55:
        spec["address"] = _address(rng, device)
    if rng.odd(0.06):
        spec["devname"] = rng.choice([*interfaces, "eth0", "eth9", "", None, 3])
        if rng.random() < 0.8:
            spec.pop("address", None)
    _add_tags(rng, spec)
    items = list(spec.items())
    rng.shuffle(items)
    return dict(items)


def _add_tags(rng: Dice, spec: Case) -> None:
    if rng.odd(0.08):
        spec["physical_network"] = rng.choice(["physnet1", "", None])
    if rng.odd(0.1):
        spec["remote_managed"] = rng.choice(_WORDS)
    if rng.odd(0.06):
        spec["managed"] = rng.choice([*_WORDS, None])
    if rng.random() < (0.06 if rng.calm else 0.15):
        spec["live_migratable"] = (
            rng.choice([*_WORDS, None, 1]) if rng.odd(0.5) else rng.choice(["true", "false"])
        )
    if rng.odd(0.08):
        spec["one_time_use"] = rng.choice([*_WORDS, "true", "true", None])
    if rng.random() < 0.2:
        spec["resource_class"] = _class(rng)
    if rng.random() < 0.15:
        spec["traits"] = _traits(rng)
    if rng.odd(0.04):
        # Unknown keys are tags; these take the place of what nova itself keeps of a device.
        key = rng.choice(["numa_node", "dev_type", "count", "devices", "rp_uuid", "rp_uuids"])
        spec[key] = rng.choice(["0", 0, "type-PCI", "type-VF", None, True])
    if rng.odd(0.05):
        spec[rng.choice(["vendor", "trusted", "capability_type", "adress"])] = rng.choice(
            ["pci", "true", 1, 1.5, None, True, "x", ["a"], {"a": 1}]
        )
    if rng.odd(0.01):
        spec[rng.choice(["resource_class", "traits"])] = rng.choice([["X"], 3, None])


def _class(rng: Dice) -> str:
    return rng.choice(["gpu", "CUSTOM_GPU", "custom_gpu", "PGPU", "vgpu", "H100-80", "", "a b"])


def _traits(rng: Dice) -> str:
    names = ["HW_GPU_API_VULKAN", "hw_gpu_api_vulkan", "gold", " gold", "CUSTOM_GOLD", "custom_a-b"]
    return ",".join(rng.sample(names, rng.randint(0, 3)))


def _address(rng: Dice, device: Case) -> Any:
    near = device["address"]
    if device["parent_addr"] and rng.random() < 0.5:
        near = device["parent_addr"]
    left, _, function = near.partition(".")
    domain, bus, slot = left.split(":")
    kind = rng.random()
    if rng.calm and kind < 0.6:
        return rng.choice([near, near, f"*:{bus}:{slot}.*", f"*:{bus}:*.*", f":{bus}:{slot}."])
    if kind < 0.35:
        return rng.choice([near, near, near, near.upper(), f" {near} ", f"{bus}:{slot}.{function}"])
    if kind < 0.65:
        parts = [
            rng.choice([part, part, "*", "", part.upper(), f" {part}"])
            for part in (domain, bus, slot)
        ]
        tail = rng.choice([function, "*", "", " ", f" {function}", "7"])
        return f"{':'.join(parts[rng.randint(0, 2) :])}{rng.choice(['.', '.', '.', ''])}{tail}"
    if kind < 0.85:
        return _regex(rng, (domain, bus, slot, function))
    return rng.choice(
        [
            *["*:*:*.*", "", "*", ".", ".0", ":", "::", "0000:41:00:0.0", "*:4?:00.0", "x:y:z.w"],
            *["10000:01:00.0", "*:1ff:00.0", "*:01:20.0", "*:01:00.8", "*:01:-1.0", "*:0x1:00.0"],
            *["*:4[01]:00.0", "0000.41.00.0", "*:0_1:00.0", "¹:00.0", "*:*:*.*", "*:*:00.0"],
            *[None, [], {}, 0, 3, [near], True],
        ]
    )


def _regex(rng: Dice, fields: tuple[str, str, str, str]) -> Case:
    value: Case = {}
    for name, field in zip(("domain", "bus", "slot", "function"), fields, strict=True):
        if rng.random() < 0.35:
            continue
        odd = [
            ".*",
            ".",
            f"[{field[-1]}-{field[-1]}]",
            f"({field}|ff)",
            f"^{field}$",
            field[0],
            "[01]",
        ]
        odd += [
            "",
            "(?i)" + field.upper(),
            field.upper(),
            "[0-2]",
            "(a+)+",
            f"(?P<x>{field[0]})",
            "0?" * 5,
        ]
        bad = ["(", "[", "*", "(?z)", "a{2,1}", "\\", 1, None, ["0"], "(|){18}", "(0?){20}x"]
        value[name] = rng.choice(bad) if rng.random() < 0.04 else rng.choice([field, field, *odd])
    if rng.random() < 0.05:
        value["func"] = "0"
    return value


def _aliases(rng: Dice, devices: list[Case]) -> list[str]:
    texts = []
    for _ in range(rng.choice([1, 1, 2, 2, 3])):
        if rng.odd(0.02):
            texts.append(_odd_text(rng))
            continue
        texts.append(_written(rng, _alias(rng, rng.choice(devices))))
    if texts and rng.odd(0.1):
        texts.append(rng.choice(texts))
    return texts


def _alias(rng: Dice, device: Case) -> Case:
    alias: Case = {"name": rng.choice(["gpu", "gpu", "vf", " gpu", "a-b"])}
    if rng.calm:
        alias["name"] = rng.choice(["gpu", "vf", "nic", "card", "a-b"])
    if not rng.odd(0.07):
        alias["vendor_id"] = _alias_id(rng, device["vendor_id"], device["product_id"])
    if not rng.odd(0.07):
        alias["product_id"] = _alias_id(rng, device["product_id"], device["vendor_id"])
    if rng.random() < 0.85:
        right = device["dev_type"] if device["dev_type"] != "vdpa" else "type-VF"
        alias["device_type"] = (
            rng.choice(["type-PF", "type-VF", "type-PCI"]) if rng.odd(0.3) else right
        )
    if rng.random() < 0.35:
        alias["numa_policy"] = rng.choice(_POLICIES)
    if rng.random() < 0.15:
        alias["resource_class"] = _class(rng)
    if rng.random() < 0.12:
        alias["traits"] = _traits(rng)
    if rng.random() < (0.03 if rng.calm else 0.12):
        alias["live_migratable"] = rng.choice(["true", "false", "yes", "True", "0"])
    if rng.odd(0.05):
        odd: list[tuple[str, Any]] = [
            ("device_type", "vdpa"), ("device_type", "pf"), ("numa_policy", "strict"),
            ("numa_policy", ""), ("capability_type", "pci"), ("capability_type", "usb"),
            ("live_migratable", True), ("live_migratable", "maybe"), ("name", ""),
            ("name", "n" * 256), ("name", "n" * 257), ("name", " "), ("name", 3), ("devname", "x"),
            ("vendor", "10de"), ("traits", ["A"]), ("resource_class", 1), ("vendor_id", 4318),
            ("numa_policy", None), ("device_type", None), ("product_id", None),
        ]  # fmt: skip
        key, value = rng.choice(odd)
        alias[key] = value
    if rng.odd(0.01):
        del alias["name"]
    return alias


def _alias_id(rng: Dice, right: str, other: str) -> str:
    if not rng.odd(0.1):
        return right
    odd = [right.upper(), other, f"{right}\n", f" {right}", right[:3], "*", f"0x{right}", "١٢٣٤"]
    return rng.choice([*odd, right.upper(), other])


def _request(rng: Dice, aliases: list[str]) -> tuple[str, list[int]]:
    """A value of `pci_passthrough:alias`, and how many devices each part of it wants."""
    names = []
    for text in aliases:
        try:
            names.append(str(json.loads(text)["name"]).strip())
        except (ValueError, TypeError, KeyError):
            continue
    parts, counts = [], []
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3])):
        name = rng.choice(names) if names and not rng.odd(0.05) else rng.choice(["none", "", "GPU"])
        count = rng.choice([1, 1, 1, 1, 1, 1, 2, 2, 3])
        written = str(count)
        if rng.odd(0.15):
            written = rng.choice([f" {count} ", "0", "-1", "x", "", "1.0", "1_0"])
        colon = ":" if not rng.odd(0.03) else rng.choice(["", "::", "="])
        parts.append(f"{rng.choice(['', '', ' '])}{name}{colon}{written}")
        counts.append(count)
    return ",".join(parts), counts


def _wanted(aliases: list[str], request: str) -> list[set[str]]:
    """For each part of a request the product ids that its alias asks for."""
    ids: dict[str, set[str]] = {}
    for text in aliases:
        try:
            value = json.loads(text)
            ids.setdefault(str(value["name"]).strip(), set()).add(str(value["product_id"]))
        except (ValueError, TypeError, KeyError):
            continue
    return [ids.get(part.split(":")[0].strip(), set()) for part in request.split(",")]


def _mapping(rng: Dice, devices: list[Case], count: int) -> list[str]:
    """Providers for so many devices: some right ones, seldom one too few or one unknown."""
    addresses = [each["parent_addr"] or each["address"] for each in devices]
    wanted = count if not rng.odd(0.15) else rng.choice([0, count - 1, count + 1])
    rng.shuffle(addresses)
    return [
        "0000:ff:00.0" if rng.odd(0.05) else addresses[at % len(addresses)] for at in range(wanted)
    ]
