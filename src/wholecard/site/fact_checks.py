"""A site against the facts of its hosts: what it says of cards that are not there.

What nova of its release has against it is `wholecard.nova.desired.site_checks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wholecard.host.facts.host import Host
from wholecard.site.card_matching import can_mean, count_of, met
from wholecard.site.load import SiteError, SiteFile
from wholecard.site.yaml_positions import Position, SiteIssue


def inventory_faults(file: SiteFile) -> list[SiteIssue]:
    """What the hosts' facts have against the site, by place; reads every host's facts."""
    faults: set[SiteIssue] = set()
    hosts: dict[str, Host] = {}
    for name in file.facts():
        try:
            hosts[name] = file.facts()[name]
        except SiteError as error:
            faults.update(error.faults)
            continue
        faults.update(_counts(file, name, hosts[name]))
    for kind in file.site.cards:
        faults.update(_of_another_sort(file, kind, hosts))
    return sorted(faults)


def _counts(file: SiteFile, name: str, host: Host) -> Iterator[SiteIssue]:
    for kind, wanted in file.site.hosts[name].cards.items():
        count = count_of(file.site.cards[kind], name, host)
        if count != wanted:
            place = Position(*file.place("hosts", name, "cards", kind))
            what = f"{name} should have {wanted} of {kind}, and has {count} by its facts"
            yield SiteIssue(place, what, "mend the number, or look for the card on the host")


def _of_another_sort(
    file: SiteFile, kind_name: str, hosts: Mapping[str, Host]
) -> Iterator[SiteIssue]:
    """A kind whose matches hold on some host, but nowhere of anything that it could give."""
    kind = file.site.cards[kind_name]
    found = [
        (name, each)
        for name, host in hosts.items()
        for each in met(kind, name, host)
        if not each.is_bridge
    ]
    if not found or any(can_mean(kind, each) for _, each in found):
        return
    name, first = found[0]
    what = first.class_name or f"of class {first.class_code}"
    place = Position(*file.place("cards", kind_name, "match"))
    said = f"cards.{kind_name} means nothing on {name}: {first.address} ({first.ids}) is {what}"
    if first.physfn is not None:
        hint = "a VF is meant with device_type: type-VF alone"
    elif first.is_display:
        hint = "a GPU or accelerator is no companion: leave companion out"
    else:
        hint = "what is given beside a GPU is a kind with companion: true"
    yield SiteIssue(place, said, hint)
