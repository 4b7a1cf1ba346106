"""A site file as nova takes it: what stands against it, each with its place in the file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wholecard.core.releases import Release
from wholecard.nova.desired.pci_config import most_cards, pci_configs
from wholecard.nova.desired.release_support import passed_over, too_wide, undoable
from wholecard.nova.desired.required_options import PciConfig
from wholecard.nova.desired.tuning import WIDE, is_too_wide
from wholecard.nova.desired.unsupported import Unsupported, UnsupportedError
from wholecard.nova.options import Role
from wholecard.site.fact_checks import fact_issues
from wholecard.site.load import SiteError, SiteFile
from wholecard.site.model import CardKind, Site
from wholecard.site.yaml_positions import SiteIssue


@dataclass(frozen=True)
class SiteCheck:
    """What stands against a site file at its release: `faults` stop it, `warnings` do not."""

    faults: tuple[SiteIssue, ...]
    warnings: tuple[SiteIssue, ...]


def judged(file: SiteFile) -> SiteCheck:
    """All that the file, its hosts' facts and its release tell; reads every host's facts.

    What nova makes of the facts is looked at where there are no other faults, kind by kind and
    then together. Facts that are missing for it are a warning.
    """
    found = undoable(file.site, file.release)
    faults = [*_faults(file, found), *fact_issues(file)]
    warnings = _faults(file, passed_over(file.site, file.release))
    if not faults:
        by_facts = _by_facts(file)
        faults = _faults(file, (each for each in by_facts if not each.is_lack))
        warnings += _faults(file, (each for each in by_facts if each.is_lack))
        warnings += _faults(file, _too_wide(file, file.release, file.site))
    return SiteCheck(tuple(sorted(set(faults))), tuple(sorted(set(warnings))))


def configs(
    file: SiteFile, of: Release, site: Site | None = None, available: Sequence[str] = ()
) -> dict[str, PciConfig]:
    """`pci_configs` of the file; `site` is the file's as a deployment tool takes it.

    Raises SiteError with every fault that is found, and its place.
    """
    try:
        return pci_configs(site or file.site, file.facts(), of, available)
    except UnsupportedError as error:
        raise SiteError(file.path, _faults(file, error.found)) from error


def warnings(
    file: SiteFile,
    of: Release,
    site: Site | None = None,
    role: Role | None = None,
    available: Sequence[str] = (),
) -> tuple[SiteIssue, ...]:
    """What is left out of a role's file, or of any, or may be wrong there, and stops nothing."""
    chosen = site or file.site
    found = (*passed_over(chosen, of, available), *_too_wide(file, of, chosen))
    return tuple(sorted(_faults(file, (each for each in found if _is_of(each, role)))))


def _is_of(found: Unsupported, role: Role | None) -> bool:
    """Whether it is of what that role reads."""
    readers: tuple[Role, ...] = (
        ("scheduler",) if "enabled_filters" in found.keys else ("api", "conductor")
    )
    if "pci_in_placement" in found.keys:
        readers = ("api", "scheduler", "conductor")
    return role is None or role in readers


def _too_wide(file: SiteFile, of: Release, site: Site) -> tuple[Unsupported, ...]:
    """What `auto` or the wish for Placement comes to with the cards that the hosts have."""
    if not is_too_wide(of.nova, WIDE):
        return ()
    return too_wide(site, of, most_cards(site, file.facts()))


def _by_facts(file: SiteFile) -> list[Unsupported]:
    """What the facts tell against each kind of card; where that is nothing, against all of them."""
    cards = file.site.cards
    alone = [{name: kind} for name, kind in cards.items()] if len(cards) > 1 else []
    found = [each for kinds in alone for each in _against(file, kinds)]
    return found or (_against(file, cards) if cards else [])


def _against(file: SiteFile, kinds: dict[str, CardKind]) -> list[Unsupported]:
    site = file.site.model_copy(update={"cards": kinds, "quotas": {}})
    try:
        pci_configs(site, file.facts(), file.release)
    except UnsupportedError as error:
        return list(error.found)
    return []


def _faults(file: SiteFile, found: Iterable[Unsupported]) -> list[SiteIssue]:
    return [SiteIssue(file.position(*each.keys), each.what, each.hint) for each in found]
