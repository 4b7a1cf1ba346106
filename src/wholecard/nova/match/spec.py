"""One `[pci] device_spec`: read as nova reads it, and matched against devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wholecard.core.capabilities import Capability
from wholecard.nova.match.address import AddressRule, interface_rule, read_address
from wholecard.nova.match.device import Device, Sysfs
from wholecard.nova.match.errors import SpecError
from wholecard.nova.match.fields import UnreadableAddressError, hex_word
from wholecard.nova.match.rules import Rules
from wholecard.nova.match.words import ANY, kind_of, read_json, shown, truth

# nova takes these keys out; all others stay as tags and are compared with requests.
_MATCHED_KEYS = ("vendor_id", "product_id", "devname", "address")


@dataclass(frozen=True)
class Mismatch:
    """Why a device does not match: the key of the spec, its value there, and what the device has.

    `key` is `vendor_id`, `product_id`, `address`, `devname` or `remote_managed`; it is `domain`
    where nova ignores the device because it cannot read its address.
    """

    key: str
    wanted: str
    found: str


@dataclass(frozen=True)
class Spec:
    """One object of a `device_spec`. `conf` is the object as given.

    Ids are four lower-case digits or `*`. `address` is None where `devname` names no interface
    of the host. `tags` is what nova keeps to compare with requests: all keys that are not matched
    on, unknown ones too, with the truth values of `managed`, `live_migratable` and `one_time_use`
    as the words "true" and "false" in releases that know them.
    """

    vendor_id: str
    product_id: str
    devname: str | None
    address: AddressRule | None
    remote_managed: bool
    tags: Mapping[str, Any] = field(hash=False)
    conf: Mapping[str, Any] = field(hash=False)

    @classmethod
    def parse(cls, text: str, rules: Rules, sysfs: Sysfs) -> tuple[Spec, ...]:
        """The specs of one value of the option: an object makes one, a list as many as it has.

        Raises SpecError with nova's reason; `kind` is one of `SpecError.kinds`.
        """
        try:
            value = read_json(text)
        except ValueError as error:
            raise SpecError("bad-json", f"the value is not JSON: {error}") from None
        if isinstance(value, dict):
            value = [value]
        elif not isinstance(value, list):
            raise SpecError("not-an-object", "the value is neither an object nor a list of objects")
        specs = []
        for item in value:
            if not isinstance(item, dict):
                raise SpecError(
                    "item-not-an-object", f"the list has {shown(item)}, which is not an object"
                )
            specs.append(cls.of(item, rules, sysfs))
        return tuple(specs)

    @classmethod
    def of(cls, conf: Mapping[str, Any], rules: Rules, sysfs: Sysfs) -> Spec:
        """The spec that a decoded object makes. Raises SpecError."""
        vendor_id = _id("vendor_id", conf.get("vendor_id", ANY), strip=True)
        product_id = _id("product_id", conf.get("product_id", ANY))
        rule = _address_rule(conf, rules, sysfs)
        tags = {key: value for key, value in conf.items() if key not in _MATCHED_KEYS}
        _normalise_booleans(tags, rules)
        remote = rules.has(Capability.REMOTE_MANAGED) and truth(tags.get("remote_managed")) is True
        if remote:
            _check_remote_managed(rule)
        return cls(
            vendor_id=vendor_id,
            product_id=product_id,
            devname=str(conf["devname"]) if conf.get("devname") else None,
            address=rule,
            remote_managed=remote,
            tags=tags,
            conf=dict(conf),
        )

    def match(self, device: Device) -> bool:
        """Whether nova would give this device to servers because of this spec."""
        try:
            return self.fits(device)
        except UnreadableAddressError:
            return False

    def fits(self, device: Device) -> bool:
        """As `match`; raises UnreadableAddressError where nova gives up on the device."""
        if self.address is None:
            return False
        # nova compares all of them before it decides, so an address it cannot read always counts.
        at_address = self.address.matches(device)
        return (
            at_address
            and self.vendor_id in (ANY, device.vendor_id)
            and self.product_id in (ANY, device.product_id)
            and (not self.remote_managed or bool(device.serial))
        )

    def why_not(self, device: Device) -> Mismatch | None:
        """The first thing that prevents a match; None where the device matches."""
        if self.address is None:
            return Mismatch("devname", self.devname or "", "no such interface")
        try:
            at_address = self.address.matches(device)
        except UnreadableAddressError:
            return Mismatch("domain", "at most ffff", device.address)
        has_serial = not self.remote_managed or bool(device.serial)
        for fits, key, wanted in (
            (self.vendor_id in (ANY, device.vendor_id), "vendor_id", self.vendor_id),
            (self.product_id in (ANY, device.product_id), "product_id", self.product_id),
            (at_address, "address", str(self.address.fields)),
            (has_serial, "remote_managed", "a serial number in the VPD"),
        ):
            if not fits:
                return Mismatch(key, wanted, getattr(device, key, "none"))
        return None


def assign(device: Device, specs: Sequence[Spec]) -> Spec | None:
    """The spec under which nova gives the device: the first that matches, None without one.

    nova ignores a device as soon as a spec cannot read its address, whatever specs follow.
    """
    try:
        return next((spec for spec in specs if spec.fits(device)), None)
    except UnreadableAddressError:
        return None


def _address_rule(conf: Mapping[str, Any], rules: Rules, sysfs: Sysfs) -> AddressRule | None:
    devname, address = conf.get("devname"), conf.get("address")
    if address and devname:
        raise SpecError("address-and-devname", "address and devname exclude each other", "devname")
    if not devname:
        return read_address(address or "*:*:*.*", rules, sysfs)
    function = sysfs.function_of(str(devname))
    return interface_rule(*function, rules, sysfs) if function else None


def _id(key: str, value: Any, strip: bool = False) -> str:
    if not isinstance(value, str):
        raise SpecError("id-not-text", f"{key} is {kind_of(value)}, not a string", key)
    try:
        return hex_word(value.strip() if strip else value, 0xFFFF, 4)
    except OverflowError:
        raise SpecError("id-too-large", f"{key} {shown(value)} is above ffff", key) from None
    except ValueError:
        raise SpecError("bad-id", f"{key} {shown(value)} is not hexadecimal", key) from None


def _normalise_booleans(tags: dict[str, Any], rules: Rules) -> None:
    keys = ["managed", "live_migratable"] if rules.has(Capability.LIVE_MIGRATABLE) else []
    if rules.has(Capability.ONE_TIME_USE):
        keys.append("one_time_use")
    for key in keys:
        if tags.get(key) is None:
            continue
        value = truth(tags[key])
        if value is None:
            raise SpecError("bad-boolean", f"{key} {shown(tags[key])} is not a boolean", key)
        tags[key] = "true" if value else "false"
    once = rules.has(Capability.ONE_TIME_USE) and tags.get("one_time_use") == "true"
    if once and not rules.report_in_placement:
        reason = "one_time_use needs [pci] report_in_placement"
        raise SpecError("one-time-use-needs-placement", reason, "one_time_use")


def _check_remote_managed(rule: AddressRule | None) -> None:
    """Refuse what nova refuses of a device that a SmartNIC's own system manages.

    On a PF's address nova wants to compare ids with the PF's, and reads them from a file
    `product` that no sysfs has (`nova/pci/utils.py`, `get_pci_ids_by_pci_addr`): it always fails.
    """
    if rule is None:
        reason = "remote_managed is set on a network interface that does not exist"
        raise SpecError("remote-managed-absent", reason, "devname")
    if rule.is_pf:
        reason = "remote_managed is set on the address of a PF"
        raise SpecError("remote-managed-pf", reason, "remote_managed")
