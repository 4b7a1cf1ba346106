"""Device types that the ids alone tell, where no facts of a host do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wholecard.core import Severity
from wholecard.nova.lint.diagnostic import Diagnostic, entry_diagnostic
from wholecard.nova.lint.hosts_known import Known
from wholecard.nova.lint.service import Service
from wholecard.pci.device_types import DEVICE_TYPES
from wholecard.pci.splitting.registry import find_card, has_sriov


def check_known_types(services: Sequence[Service], known: Known) -> Iterator[Diagnostic]:
    """A note on an alias for GPUs with an SR-IOV capability that requests no PFs (WC254).

    Only a note: SR-IOV is switched off in the firmware of some of these cards, and then nova
    reports them as type-PCI. With facts of a host that has such cards `check_answers` decides.
    """
    seen = known.covered_ids | known.other_ids
    for service in services:
        if service.role in (None, "api", "compute"):
            yield from service.as_own(_of_service(service, seen))


def _of_service(service: Service, seen: frozenset[tuple[str, str]]) -> Iterator[Diagnostic]:
    for read in service.aliases:
        texts = [read.conf.get(key) for key in ("vendor_id", "product_id")]
        vendor, product = (text.lower() if isinstance(text, str) else "" for text in texts)
        card = find_card(f"{vendor}:{product}")
        requested = read.conf.get("device_type", DEVICE_TYPES[0])
        if card is None or not has_sriov(card) or (vendor, product) in seen:
            continue
        if read.alias and requested == DEVICE_TYPES[0]:
            path = ("device_type",) if "device_type" in read.conf else ("name",)
            yield entry_diagnostic(
                "WC254", read.value.at_value(path),
                f"it requests {DEVICE_TYPES[0]}. {vendor}:{product} is {card.name}, which has an "
                "SR-IOV capability: nova reports it as type-PF, even if SR-IOV is not used. Known "
                "by the ids alone, not checked on a host",
                'Write "device_type": "type-PF", or check it with the host\'s facts (--facts): its '
                "sriov_total is 0 if the card's firmware has SR-IOV switched off.",
                severity=Severity.NOTE,
            )  # fmt: skip
