"""A site file checked against nova of a release: each issue with its position in the file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wholecard.core.releases import Release
from wholecard.nova.desired.board_flavors import board_errors, board_warnings
from wholecard.nova.desired.flavor_checks import flavor_errors, flavor_warnings
from wholecard.nova.desired.image_properties import image_errors
from wholecard.nova.desired.pci_config import most_cards, pci_configs
from wholecard.nova.desired.release_support import (
    ignored_requests,
    unsupported_requests,
    untuned_placement,
)
from wholecard.nova.desired.required_options import PciConfig
from wholecard.nova.desired.slow_flavors import missing_pages, slow_flavors
from wholecard.nova.desired.small_disks import small_disks
from wholecard.nova.desired.tuned_flavors import tuned_site
from wholecard.nova.desired.tuning import WIDE, is_too_wide
from wholecard.nova.desired.unsupported import Unsupported, UnsupportedError
from wholecard.nova.options import Role
from wholecard.site.build_files import build_file_issues
from wholecard.site.fact_checks import fact_issues
from wholecard.site.image_sizes import image_sizes
from wholecard.site.load import SiteError, SiteFile
from wholecard.site.model import CardKind, Site
from wholecard.site.yaml_positions import SiteIssue


@dataclass(frozen=True)
class SiteCheck:
    """The issues of a site file with its release: with `errors` it cannot be used.

    `notes` are about what works and is slower than it could be.
    """

    errors: tuple[SiteIssue, ...]
    warnings: tuple[SiteIssue, ...]
    notes: tuple[SiteIssue, ...] = ()


def check_site(file: SiteFile) -> SiteCheck:
    """Everything that the file, its hosts' facts and its release show; reads every host's facts,
    and the files that go into images.

    What nova would do with the facts is checked where there are no other errors, for each kind and
    then for all together. Facts that are missing for that are a warning.
    """
    site, release = file.site.for_servers, file.release
    errors = [*_issues(file, unsupported_requests(site, release)), *fact_issues(file)]
    errors += [*build_file_issues(file), *_issues(file, board_errors(site))]
    warnings = _issues(file, ignored_requests(site, release))
    notes: list[SiteIssue] = []
    if not errors:
        site = tuned_site(site, file.facts(), release)
        by_facts = _unsupported_by_facts(file)
        errors = _issues(file, (request for request in by_facts if not request.facts_missing))
        errors += _issues(file, image_errors(site, release))
        errors += _issues(file, flavor_errors(site, file.facts(), release))
        warnings += _issues(file, flavor_warnings(site, file.facts()))
        warnings += _issues(file, board_warnings(site, file.facts()))
        warnings += _issues(file, missing_pages(site, file.facts(), release))
        warnings += _issues(file, small_disks(site, image_sizes(file)))
        notes = _issues(file, slow_flavors(site, file.facts(), release))
        warnings += _issues(file, (request for request in by_facts if request.facts_missing))
        warnings += _issues(file, _untuned(file, release, site))
    return SiteCheck(*(tuple(sorted(set(issues))) for issues in (errors, warnings, notes)))


def configs(
    file: SiteFile, release: Release, site: Site | None = None, available: Sequence[str] = ()
) -> dict[str, PciConfig]:
    """`pci_configs` of the file; `site` is the file's site as a deployment tool needs it.

    Raises SiteError with every issue that is found, and its position.
    """
    try:
        return pci_configs(site or file.site, file.facts(), release, available)
    except UnsupportedError as error:
        raise SiteError(file.path, _issues(file, error.requests)) from error


def warnings(
    file: SiteFile,
    release: Release,
    site: Site | None = None,
    role: Role | None = None,
    available: Sequence[str] = (),
) -> tuple[SiteIssue, ...]:
    """What is left out of a role's file, or of any role's, or may be wrong in it."""
    used = site or file.site
    requests = (*ignored_requests(used, release, available), *_untuned(file, release, used))
    return tuple(sorted(_issues(file, (each for each in requests if _concerns(each, role)))))


def _concerns(request: Unsupported, role: Role | None) -> bool:
    """Whether the role reads what the request is about."""
    readers: tuple[Role, ...] = ("api", "conductor")
    if "enabled_filters" in request.keys:
        readers = ("scheduler",)
    if "pci_in_placement" in request.keys:
        readers = ("api", "scheduler", "conductor")
    return role is None or role in readers


def _untuned(file: SiteFile, release: Release, site: Site) -> tuple[Unsupported, ...]:
    # Counting cards reads every host's facts, so releases that are never too wide come first.
    if not is_too_wide(release.nova, WIDE):
        return ()
    return untuned_placement(site, release, most_cards(site, file.facts()))


def _unsupported_by_facts(file: SiteFile) -> list[Unsupported]:
    """What the facts show for each kind of card alone; where that is nothing, for all together."""
    cards = {name: kind for name, kind in file.site.cards.items() if kind.is_for_servers}
    alone = [{name: kind} for name, kind in cards.items()] if len(cards) > 1 else []
    requests = [request for kinds in alone for request in _unsupported_kinds(file, kinds)]
    return requests or (_unsupported_kinds(file, cards) if cards else [])


def _unsupported_kinds(file: SiteFile, kinds: dict[str, CardKind]) -> list[Unsupported]:
    # A kind alone is checked without quotas: they may name the others.
    whole = {name for name, kind in file.site.cards.items() if kind.is_for_servers}
    quotas = file.site.quotas if kinds.keys() == whole else {}
    site = file.site.model_copy(update={"cards": kinds, "quotas": quotas})
    try:
        pci_configs(site, file.facts(), file.release)
    except UnsupportedError as error:
        return list(error.requests)
    return []


def _issues(file: SiteFile, requests: Iterable[Unsupported]) -> list[SiteIssue]:
    return [SiteIssue(file.position(*each.keys), each.what, each.hint) for each in requests]
