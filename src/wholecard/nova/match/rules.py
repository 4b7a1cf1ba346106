"""What differs between nova releases, as one table of switches."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NEWEST", "OLDEST", "Rules", "rules_for"]

OLDEST = 13
NEWEST = 34

_ALIAS_KEYS = frozenset({"name", "capability_type", "product_id", "vendor_id", "device_type"})
_POLICIES = frozenset({"required", "legacy", "preferred"})


@dataclass(frozen=True)
class Rules:
    """How one nova release matches, with the two settings that change it.

    `major` is nova's own number (13 is Mitaka, 34 is 2026.2). `report_in_placement` is
    `[pci] report_in_placement` of nova-compute, `pci_in_placement` is
    `[filter_scheduler] pci_in_placement` of the service whose aliases are read.

    Source: nova's `nova/pci/` and `nova/compute/pci_placement_translator.py` at each release's
    tags; 27, 30, 32 and 34 are compared with the real thing, the others were read. A mend that
    reached older series counts from the series whose last release has it.
    """

    major: int
    report_in_placement: bool = False
    pci_in_placement: bool = False

    @property
    def address_may_be_regex(self) -> bool:
        """`address` may be an object of regular expressions (Ocata)."""
        return self.major >= 15

    @property
    def pf_address_gives_pf(self) -> bool:
        """The address of a PF matches the PF and its VFs; before Ocata its VFs alone."""
        return self.major >= 15

    @property
    def alias_keys(self) -> frozenset[str]:
        """The keys an alias may have."""
        keys = set(_ALIAS_KEYS)
        if self.major >= 17:
            keys.add("numa_policy")
        if self.major >= 27:
            keys |= {"resource_class", "traits"}
        if self.major >= 31:
            keys.add("live_migratable")
        return frozenset(keys)

    @property
    def numa_policies(self) -> frozenset[str]:
        """The NUMA policies an alias or a flavor may name; before Queens all is `legacy`."""
        if self.major < 17:
            return frozenset()
        return _POLICIES | {"socket"} if self.major >= 23 else _POLICIES

    @property
    def case_matters(self) -> bool:
        """An alias with `10DE` does not match `10de` (before Rocky)."""
        return self.major < 18

    @property
    def skips_wide_domains(self) -> bool:
        """A device in a domain above ffff is passed over; before, nova-compute failed on it.

        nova's 8c9d6fc8f0 (bug 1897528), from Wallaby and mended back to Ussuri.
        """
        return self.major >= 21

    @property
    def sorts_by_provider(self) -> bool:
        """Pools are kept apart by the address of the device or of the VFs' PF (2023.1)."""
        return self.major >= 27

    @property
    def has_vdpa(self) -> bool:
        """There is a device type `vdpa`, which aliases never get (Wallaby)."""
        return self.major >= 23

    @property
    def has_remote_managed(self) -> bool:
        """`remote_managed` is more than a tag (Yoga)."""
        return self.major >= 25

    @property
    def has_live_migratable(self) -> bool:
        """`managed` and `live_migratable` are truth values, not bare tags (2025.1)."""
        return self.major >= 31

    @property
    def has_one_time_use(self) -> bool:
        """`one_time_use` is a truth value, not a bare tag (2025.2)."""
        return self.major >= 32

    @property
    def checks_alias_ids(self) -> bool:
        """Aliases need ids, and one spec each under `pci_in_placement` (2025.2, and 31.3.1)."""
        return self.major >= 31

    @property
    def requests_share_devices(self) -> bool:
        """Each request of a server is judged as if it were alone (Wallaby to Yoga, 2b447b7236)."""
        return 23 <= self.major < 26

    @property
    def one_pool_per_provider(self) -> bool:
        """A provider whose devices are in two pools is refused (29.4.0, 30.2.0, 31.1.0)."""
        return self.major >= 29

    @property
    def can_report(self) -> bool:
        """nova-compute can report devices to Placement (Zed)."""
        return self.major >= 26

    @property
    def can_request(self) -> bool:
        """Aliases can be asked of Placement (2023.1)."""
        return self.major >= 27

    @property
    def marks_providers(self) -> bool:
        """Providers get OWNER_NOVA, live-migratable ones HW_PCI_LIVE_MIGRATABLE (2026.2)."""
        return self.major >= 34


def rules_for(
    major: int, *, report_in_placement: bool = False, pci_in_placement: bool = False
) -> Rules:
    """The rules of nova `major`, 13 to 34; a release outside takes the nearest one's.

    Settings that a release does not have yet are off in its rules.
    """
    major = min(max(major, OLDEST), NEWEST)
    return Rules(
        major,
        report_in_placement=report_in_placement and major >= 26,
        pci_in_placement=pci_in_placement and major >= 27,
    )
