"""How many cards there are: against the site's wish, and for Placement's settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wholecard.core.capabilities import Capability
from wholecard.nova.conf.conf_file import Position
from wholecard.nova.conf.service_conf import as_boolean
from wholecard.nova.desired.tuning import Setting, is_too_wide, tuning
from wholecard.nova.lint.checks.inventory import devices_given
from wholecard.nova.lint.diagnostic import NOTE, WARNING, Diagnostic, file_remark, remark
from wholecard.nova.lint.service import Service
from wholecard.nova.options import Role
from wholecard.site.card_matching import functions_of

if TYPE_CHECKING:
    from wholecard.site.model import Site

# The number from which Placement with its own settings does not answer in time.
MANY = 8


def check_wished(services: Sequence[Service], site: Site | None) -> Iterator[Diagnostic]:
    """The cards that a host's device_specs give are as many as the site says."""
    if site is None:
        return
    for service in services:
        for facts in service.hosts if service.role == "compute" else ():
            wished = site.hosts[facts.name].cards if facts.name in site.hosts else {}
            given = {
                device.address: spec
                for host, device, spec in devices_given(service)
                if host is facts
            }
            for kind, count in wished.items():
                if kind not in site.cards:
                    continue
                meant = functions_of(site.cards[kind], facts.name, facts.host)
                found = [str(each.address) for each in meant if str(each.address) in given]
                if len(found) == count or not service.specs:
                    continue
                spec = given[found[-1]] if found else service.specs[0]
                wrong = remark(
                    "WC252", WARNING, spec.value.at_value(spec.path),
                    f"{facts.name} gives {len(found)} of the kind {kind}, "
                    f"and the site wants {count}",
                    "Name them by address, or change the number in the site file.",
                )  # fmt: skip
                yield from service.says([wrong])


def check_tuning(services: Sequence[Service]) -> Iterator[Diagnostic]:
    """With many cards of a kind on a host Placement and the scheduler need other settings."""
    computes = [each for each in services if each.facts and each.role in (None, "compute")]
    counts = Counter(
        (facts.name, device.vendor_id, device.product_id)
        for service in computes
        for facts, device, _ in devices_given(service)
    )
    if not counts:
        return
    most, hosts = max(counts.values()), len({name for name, _, _ in counts})
    uses = any(each.boolean("pci_in_placement") for each in services) or not any(
        each.role in ("api", "scheduler", "conductor") for each in services
    )
    for service in services:
        if service.role in ("placement", "scheduler", "conductor") and uses:
            yield from service.says(_untuned(service, service.role, most, hosts))
        if most >= MANY and service.reads("pci_in_placement"):
            yield from service.says(_too_wide(service, most))


def _too_wide(service: Service, most: int) -> Iterator[Diagnostic]:
    """Cards are chosen in Placement, and that release's cannot be tuned for so many."""
    if is_too_wide(service.major, most) and service.boolean("pci_in_placement"):
        since = Capability.WIDE_PROVIDER_TREES.series
        yield remark(
            "WC259", WARNING, service.effective("pci_in_placement").entries[-1],
            f"a host gives {most} cards of one kind, and Placement of {service.release} cannot be "
            f"tuned for choosing among them; {since} is the first that can",
            "Write pci_in_placement = false for nova-api, nova-scheduler and nova-conductor, and "
            f"nova counts the cards itself, or upgrade to {since}.",
        )  # fmt: skip


def _untuned(service: Service, role: Role, most: int, hosts: int) -> Iterator[Diagnostic]:
    if most < MANY:
        return
    missing = []
    for setting in tuning(role, service.major, most, hosts):
        found = service.conf.find(setting.section, setting.name)
        if not found:
            missing.append(setting)
        elif not _is_enough(setting, service.conf.substituted(found[-1]).text):
            yield remark(
                "WC259", WARNING, found[-1],
                f"a host gives {most} cards of one kind, and with this value Placement does not "
                "answer in time for them, or not for all hosts",
                f"Write {setting.name} = {setting.value}: {setting.reason}.",
            )  # fmt: skip
    for file in service.conf.files[-1:] if missing else ():
        shared = [each for each in missing if _is_everybodys(each)]
        own = [each for each in missing if not _is_everybodys(each)]
        parts = [f"Write\n{_lines(own)}"] if own else []
        if shared:
            lead = "And into" if own else "Write into"
            parts.append(f"{lead} a file that nova-{role} alone reads\n{_lines(shared)}")
        yield file_remark(
            "WC259", WARNING if role == "placement" else NOTE, file, Position(1, 1),
            f"a host gives {most} cards of one kind, and {role} has its own settings for "
            f"{', '.join(each.name for each in missing)}",
            "\n".join(parts),
        )  # fmt: skip


def _is_enough(setting: Setting, text: str) -> bool:
    """Whether the value does what the setting is for; others than these are the operator's.

    -1 is no limit (placement, conf/placement.py).
    """
    text = text.strip()
    if setting.name == "optimize_for_wide_provider_trees":
        return as_boolean(text) is not False
    if setting.name == "max_allocation_candidates":
        return text != "-1"
    if setting.name == "allocation_candidates_generation_strategy":
        return text == setting.value
    return True


def _is_everybodys(setting: Setting) -> bool:
    """Whether every service would take it, where they share the file.

    What nova-scheduler alone has in [DEFAULT] (up to Newton) has that in its name.
    """
    return setting.section == "DEFAULT" and not setting.name.startswith("scheduler_")


def _lines(settings: list[Setting]) -> str:
    return "\n".join(f"    [{each.section}] {each.name} = {each.value}" for each in settings)
