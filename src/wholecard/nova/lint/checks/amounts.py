"""How many cards are given: compared with the site file, and for Placement's settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wholecard.core import Severity
from wholecard.core.capabilities import Capability
from wholecard.core.position import Position
from wholecard.nova.conf.service_conf import as_boolean
from wholecard.nova.desired.tuning import TuningSetting, is_too_wide, tuning
from wholecard.nova.lint.checks.inventory import devices_given
from wholecard.nova.lint.diagnostic import Diagnostic, entry_diagnostic, file_diagnostic
from wholecard.nova.lint.service import Facts, Service
from wholecard.nova.options import Role
from wholecard.site.card_matching import functions_of

if TYPE_CHECKING:
    from wholecard.site.model import Site

# From this number on Placement with its defaults does not answer in time (measured,
# docs/explanation/placement-tuning.md).
MANY = 8


def check_site_counts(services: Sequence[Service], site: Site | None) -> Iterator[Diagnostic]:
    """The cards that a host's device_specs give are as many as the site says."""
    if site is None:
        return
    for service in services:
        for facts in service.hosts if service.role == "compute" and service.specs else ():
            if facts.name in site.hosts:
                yield from service.as_own(_miscounted(service, facts, site))


def _miscounted(service: Service, facts: Facts, site: Site) -> Iterator[Diagnostic]:
    specs = {device.address: spec for host, device, spec in devices_given(service) if host is facts}
    for kind, count in site.hosts[facts.name].cards.items():
        if kind not in site.cards:
            continue
        functions = functions_of(site.cards[kind], facts.name, facts.host)
        given = [str(function.address) for function in functions if str(function.address) in specs]
        if len(given) != count:
            spec = specs[given[-1]] if given else service.specs[0]
            yield entry_diagnostic(
                "WC252", spec.value.at_value(spec.path),
                f"the device_specs give {len(given)} of the kind {kind} on {facts.name}, and the "
                f"site file has {count}",
                "Name them by address, or change the number in the site file.",
            )  # fmt: skip


def check_tuning(services: Sequence[Service], site: Site | None) -> Iterator[Diagnostic]:
    """With many cards of a kind on a host Placement and the scheduler need other settings.

    What costs servers without cards something is asked for where the site says `tuning: full`.
    """
    full = site is not None and site.tuning == "full"
    most, hosts = _most_of_a_kind(services)
    if most < MANY:
        return
    uses_placement = _uses_placement(services)
    for service in services:
        if service.role in ("placement", "scheduler", "conductor") and uses_placement:
            yield from service.as_own(_untuned(service, service.role, most, hosts, full))
        if service.reads("pci_in_placement"):
            yield from service.as_own(_too_wide(service, most))


def _most_of_a_kind(services: Sequence[Service]) -> tuple[int, int]:
    """The most cards with the same ids that a host gives, and how many hosts give cards."""
    counts = Counter(
        (facts.name, device.vendor_id, device.product_id)
        for service in services
        if service.role in (None, "compute")
        for facts, device, _ in devices_given(service)
    )
    return max(counts.values(), default=0), len({name for name, _, _ in counts})


def _uses_placement(services: Sequence[Service]) -> bool:
    """Whether cards are requested from Placement; taken to be so where no file tells."""
    deciders = [one for one in services if one.role in ("api", "scheduler", "conductor")]
    return not deciders or any(service.boolean("pci_in_placement") for service in services)


def _too_wide(service: Service, most: int) -> Iterator[Diagnostic]:
    """Cards are chosen in Placement, and in this release it cannot be tuned for so many."""
    if is_too_wide(service.major, most) and service.boolean("pci_in_placement"):
        since = Capability.WIDE_PROVIDER_TREES.series
        yield entry_diagnostic(
            "WC259", service.effective("pci_in_placement").entries[-1],
            f"a host gives {most} cards of one kind, and Placement of {service.release} cannot be "
            f"tuned for choosing among them; {since} is the first that can",
            "Write pci_in_placement = false for nova-api, nova-scheduler and nova-conductor, so "
            f"that nova counts the cards itself; or upgrade to {since}.",
        )  # fmt: skip


def _untuned(
    service: Service, role: Role, most: int, hosts: int, full: bool
) -> Iterator[Diagnostic]:
    missing = []
    for setting in tuning(role, service.major, most, hosts, full=full):
        entries = service.conf.find(setting.section, setting.name)
        if not entries:
            missing.append(setting)
        elif not _is_enough(setting, service.conf.substituted(entries[-1]).text):
            yield entry_diagnostic(
                "WC259", entries[-1],
                f"a host gives {most} cards of one kind, and with this value Placement does not "
                "answer in time for them, or not for all hosts",
                f"Write {setting.name} = {setting.value}: {setting.reason}.",
            )  # fmt: skip
    if missing:
        names = ", ".join(setting.name for setting in missing)
        for file in service.conf.files[-1:]:
            yield file_diagnostic(
                "WC259", file, Position(1, 1),
                f"a host gives {most} cards of one kind, and the file of {role} does not set "
                f"{names}",
                _additions(role, missing), severity=None if role == "placement" else Severity.NOTE,
            )  # fmt: skip


def _additions(role: Role, missing: list[TuningSetting]) -> str:
    """The lines to add, those that other services must not read in a file of their own."""
    shared = [setting for setting in missing if _is_everybodys(setting)]
    own = [setting for setting in missing if not _is_everybodys(setting)]
    parts = [f"Write\n{_lines(own)}"] if own else []
    if shared:
        lead = "And into" if own else "Write into"
        parts.append(f"{lead} a file that nova-{role} alone reads\n{_lines(shared)}")
    return "\n".join(parts)


def _is_enough(setting: TuningSetting, text: str) -> bool:
    """Whether the value does what the setting is for; of other options any value is accepted.

    -1 is no limit (placement, conf/placement.py).
    """
    text = text.strip()
    if setting.name == "optimize_for_wide_provider_trees":
        return as_boolean(text) is not False
    if setting.name == "max_allocation_candidates":
        return text != "-1"
    return setting.name != "allocation_candidates_generation_strategy" or text == setting.value


def _is_everybodys(setting: TuningSetting) -> bool:
    """Whether every service would read it, where they share the file.

    Up to Newton nova-scheduler's own options are in [DEFAULT] and have its name.
    """
    return setting.section == "DEFAULT" and not setting.name.startswith("scheduler_")


def _lines(settings: list[TuningSetting]) -> str:
    return "\n".join(f"    [{one.section}] {one.name} = {one.value}" for one in settings)
