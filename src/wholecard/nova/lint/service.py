"""What is linted: each service's role, files and hosts, with its values read once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from wholecard.core.releases import Release
from wholecard.host.facts.host import Host
from wholecard.host.facts.offered_slices import OfferedSlices
from wholecard.nova import match
from wholecard.nova.conf.conf_file import ConfEntry
from wholecard.nova.conf.service_conf import Effective, NovaConf
from wholecard.nova.conf.substitution import Substituted
from wholecard.nova.lint.diagnostic import Diagnostic, Spot, TextEdit
from wholecard.nova.lint.json_positions import Diagnosis, Path, Span, Twice, diagnose, spans
from wholecard.nova.match.pattern import cost
from wholecard.nova.options import Option, Role, by_name

# Larger is no configuration, and would take too long.
MOST_VALUES = 500
LONGEST_VALUE = 1 << 16
# Steps that the regular expressions of one device_spec may take for one device.
MOST_STEPS = 200


@dataclass(frozen=True)
class Facts:
    """A host with its devices as nova has them."""

    name: str
    host: Host

    @property
    def slices(self) -> OfferedSlices | None:
        """What its drivers offer to be made of its cards, None where that is not known."""
        return self.host.slices

    @cached_property
    def devices(self) -> tuple[match.Device, ...]:
        """Every function as nova's libvirt driver reports it."""
        return match.devices_of(self.host.functions)

    @cached_property
    def sysfs(self) -> match.DeviceSysfs:
        """What nova looks up on the host while it reads a device_spec."""
        return match.DeviceSysfs(self.devices)


@dataclass(frozen=True)
class Value:
    """A value that has to be JSON: its text after substitution, and its data.

    `wrong` says why it is not JSON; `data` is None then.
    """

    entry: ConfEntry
    text: Substituted
    wrong: Diagnosis | None
    data: Any = field(compare=False)

    @cached_property
    def _spans(self) -> tuple[dict[Path, Span], list[Twice]]:
        return ({}, []) if self.wrong else spans(self.text.text)

    @property
    def twice(self) -> list[Twice]:
        """The keys that come more than once in one object."""
        return self._spans[1]

    # nova takes a list in device_spec, but not in alias (nova/pci/whitelist.py, request.py).
    def items(self) -> Iterator[tuple[Path, Any]]:
        """The objects of a device_spec with their paths: of a list each, else the value itself."""
        if isinstance(self.data, list):
            yield from (((index,), item) for index, item in enumerate(self.data))
        else:
            yield (), self.data

    @property
    def is_own_text(self) -> bool:
        """Whether it has no other option's value in it, which might be a password."""
        return not self.text.replaced

    def spot(self, start: int, end: int) -> Spot:
        """The characters of the text from `start` to `end`, in the file."""
        origin = self.text.origin(start)
        return Spot(self.entry, origin, self.text.origin(end) - origin)

    def at_key(self, path: Path) -> Spot:
        """A key, with its quotes; the whole value where it has none."""
        span = self._spans[0].get(path)
        return self.spot(*span.key) if span and span.key else Spot(self.entry, 0, 1)

    def at_value(self, path: Path) -> Spot:
        """A key's value; the whole value where there is no such key."""
        span = self._spans[0].get(path)
        return self.spot(*span.value) if span else Spot(self.entry, 0, 1)

    def renamed(self, path: Path, name: str) -> tuple[TextEdit, ...]:
        """The edit that gives a key another name."""
        return (self.at_key(path).edit(json.dumps(name)),) if self.is_own_text else ()

    def replaced(self, path: Path, text: str) -> tuple[TextEdit, ...]:
        """The edit that gives a key another text as its value."""
        return (self.at_value(path).edit(json.dumps(text)),) if self.is_own_text else ()


@dataclass(frozen=True)
class ReadSpec:
    """One object of a device_spec: its position, and the spec or why nova refuses it."""

    value: Value
    path: Path
    conf: dict[str, Any]
    spec: match.Spec | None
    error: match.SpecError | None

    @cached_property
    def steps(self) -> int:
        """How many steps matching one device may take."""
        address = self.spec.address if self.spec else None
        patterns = address.patterns if address else ()
        return sum(cost(pattern.pattern, 4) for pattern in patterns) or 1


@dataclass(frozen=True)
class ReadAlias:
    """One alias by itself: the object, and the alias or why nova refuses it."""

    value: Value
    conf: dict[str, Any]
    alias: match.Alias | None
    error: match.AliasError | None

    @property
    def name(self) -> str:
        """The name, empty where it has none."""
        name = self.conf.get("name")
        return name.strip() if isinstance(name, str) else ""


@dataclass(frozen=True)
class Service:
    """A service's configuration. `role` is None where it is not known which service reads it.

    `facts` are the hosts that it runs on, where that matters and is known.
    """

    conf: NovaConf
    release: Release
    role: Role | None = None
    facts: tuple[Facts, ...] = ()

    @property
    def major(self) -> int:
        """nova's major version."""
        return self.release.nova

    def reads(self, name: str) -> bool:
        """Whether its role reads the option of that newest name; True for a role not known."""
        return self.role is None or by_name(name).is_read_by(self.role, self.major)

    def effective(self, name: str) -> Effective:
        """What nova reads for the option of that newest name."""
        return self.conf.effective(by_name(name), self.major)

    def boolean(self, name: str) -> bool:
        """A boolean option of that newest name, False where it is not set."""
        return self.effective(name).boolean()

    @cached_property
    def host_ids(self) -> frozenset[tuple[str, str]]:
        """Vendor and product of every device of its hosts."""
        devices = [device for facts in self.facts for device in facts.devices]
        return frozenset((device.vendor_id, device.product_id) for device in devices)

    @cached_property
    def rules(self) -> match.Rules:
        """nova's rules for this release and these settings."""
        return match.rules_for(
            self.major,
            report_in_placement=self.boolean("report_in_placement"),
            pci_in_placement=self.boolean("pci_in_placement"),
        )

    @cached_property
    def sysfs(self) -> match.DeviceSysfs:
        """The first host's, or that of a host of which nothing is known."""
        return self.facts[0].sysfs if self.facts else match.DeviceSysfs(())

    def values(self, name: str) -> list[Value]:
        """The values of an option that has to be JSON, whether the role reads it or not.

        Those that are too long or too many are left out; see `overlong`.
        """
        return self._values[name]

    @cached_property
    def _values(self) -> dict[str, list[Value]]:
        values: dict[str, list[Value]] = {"device_spec": [], "alias": []}
        for name, read in values.items():
            for entry in self.effective(name).entries[:MOST_VALUES]:
                if len(entry.value) <= LONGEST_VALUE:
                    text = self.conf.substituted(entry)
                    wrong = diagnose(text.text)
                    read.append(Value(entry, text, wrong, None if wrong else json.loads(text.text)))
        return values

    def overlong(self, option: Option) -> Iterator[ConfEntry]:
        """The entries that are not examined."""
        entries = self.conf.effective(option, self.major).entries
        yield from (entry for entry in entries[:MOST_VALUES] if len(entry.value) > LONGEST_VALUE)
        yield from entries[MOST_VALUES : MOST_VALUES + 1]

    @cached_property
    def specs(self) -> list[ReadSpec]:
        """Every object of every device_spec, in nova's order.

        Those that contain another option's value are left out: a message about them might show a
        password.
        """
        specs = []
        for value in self.values("device_spec"):
            for path, conf in value.items() if value.is_own_text else ():
                if not isinstance(conf, dict):
                    continue
                try:
                    spec = match.Spec.of(conf, self.rules, self.sysfs)
                    specs.append(ReadSpec(value, path, conf, spec, None))
                except match.SpecError as error:
                    specs.append(ReadSpec(value, path, conf, None, error))
        return specs[:MOST_VALUES]

    @cached_property
    def aliases(self) -> list[ReadAlias]:
        """Every alias by itself, but those that contain another option's value."""
        read = []
        for value in self.values("alias"):
            if not isinstance(value.data, dict) or not value.is_own_text:
                continue
            try:
                by_name = match.parse_aliases([value.text.text], self.rules)
                read.append(ReadAlias(value, value.data, next(iter(by_name.values())), None))
            except match.AliasError as error:
                read.append(ReadAlias(value, value.data, None, error))
        return read

    @cached_property
    def given(self) -> list[GivenDevice]:
        """Every device of every host that some device_spec matches."""
        return [
            GivenDevice(facts, device, tuple(specs))
            for facts in self.facts
            for device, specs in _matches(facts, self.specs)
        ]

    @cached_property
    def hosts(self) -> tuple[Facts, ...]:
        """The hosts for which these files are: of several those on which they give something.

        Where they give nothing anywhere they are for all of them.
        """
        if len(self.facts) < 2 or not self.specs:
            return self.facts
        names = {given.facts.name for given in self.given}
        return tuple(facts for facts in self.facts if facts.name in names) or self.facts

    def as_own(self, diagnostics: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
        """The diagnostics as those of this service's role."""
        roles = (self.role,) if self.role else ()
        return (replace(diagnostic, roles=roles) for diagnostic in diagnostics)


@dataclass(frozen=True)
class GivenDevice:
    """A device and the device_specs that match it; the first is the one that counts."""

    facts: Facts
    device: match.Device
    specs: tuple[ReadSpec, ...]


def _matches(facts: Facts, specs: list[ReadSpec]) -> Iterator[tuple[match.Device, list[ReadSpec]]]:
    by_vendor: dict[str, list[match.Device]] = {"*": list(facts.devices)}
    for device in facts.devices:
        by_vendor.setdefault(device.vendor_id, []).append(device)
    matching: dict[str, list[ReadSpec]] = {}
    for read in specs:
        spec = read.spec
        if spec is None or read.steps > MOST_STEPS:
            continue
        for device in by_vendor.get(spec.vendor_id, ()):
            # The cheap comparison first: `match` reads the whole spec.
            if spec.product_id in ("*", device.product_id) and spec.match(device):
                matching.setdefault(device.address, []).append(read)
    for device in facts.devices:
        if device.address in matching:
            yield device, matching[device.address]
