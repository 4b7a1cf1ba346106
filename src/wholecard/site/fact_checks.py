"""A site file compared with the facts of its hosts: cards that it asks for and no host has.

What nova of its release does not support is in `wholecard.nova.desired.site_checks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wholecard.host.facts.host import Host
from wholecard.site.boards import board_issues_on
from wholecard.site.card_matching import can_match, count_of, matched_functions
from wholecard.site.give_checks import give_issues_on
from wholecard.site.load import SiteError, SiteFile
from wholecard.site.yaml_positions import SiteIssue


def fact_issues(file: SiteFile) -> list[SiteIssue]:
    """What the hosts' facts do not agree with, by position; reads every host's facts."""
    issues: set[SiteIssue] = set()
    hosts: dict[str, Host] = {}
    for name in file.facts():
        try:
            hosts[name] = file.facts()[name]
        except SiteError as error:
            issues.update(error.issues)
            continue
        issues.update(_wrong_counts(file, name, hosts[name]))
        issues.update(
            SiteIssue(file.position(*keys), what, hint)
            for keys, what, hint in (
                *give_issues_on(file.site, name, hosts[name], file.release),
                *board_issues_on(file.site, name, hosts[name]),
            )
        )
    for kind in file.site.cards:
        issues.update(_matches_nothing(file, kind, hosts))
    return sorted(issues)


def _wrong_counts(file: SiteFile, name: str, host: Host) -> Iterator[SiteIssue]:
    for kind, desired in file.site.hosts[name].cards.items():
        count = count_of(file.site.cards[kind], name, host)
        if count != desired:
            yield SiteIssue(
                file.position("hosts", name, "cards", kind),
                f"{name} should have {desired} of {kind}, but its facts show {count}",
                "correct the number in the site file; if a card is missing on the host, inspect "
                "the host again; to give only some cards, list them by address",
            )


def _matches_nothing(
    file: SiteFile, kind_name: str, hosts: Mapping[str, Host]
) -> Iterator[SiteIssue]:
    """A kind whose matches fit functions, but no function that the kind could give."""
    kind = file.site.cards[kind_name]
    matched = [
        (name, function)
        for name, host in hosts.items()
        for function in matched_functions(kind, name, host)
        if not function.is_bridge
    ]
    if not matched or any(can_match(kind, function) for _, function in matched):
        return
    name, first = matched[0]
    device = first.class_name or f"of class {first.class_code}"
    if first.physfn is not None:
        hint = "to match VFs, write device_type: type-VF"
    elif first.is_display:
        hint = "a GPU or accelerator is no extra function: remove extra_function"
    else:
        hint = "to match a function that guests get in addition to a GPU: extra_function: true"
    yield SiteIssue(
        file.position("cards", kind_name, "match"),
        f"cards.{kind_name} matches nothing on {name}: {first.address} ({first.ids}) is {device}",
        hint,
    )
