"""The drivers for a guest's cards in one operating system: the choice, its steps, its findings.

One kernel has one NVIDIA driver, so all NVIDIA cards of a guest share a branch and a flavour;
other vendors' drivers are beside it. Pure: what is read of an image comes in with the request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from wholecard.core import Finding, Severity, UsageError
from wholecard.guest.drivers.driver_steps import steps_for
from wholecard.guest.drivers.generation import VENDORS, Card
from wholecard.guest.drivers.known_drivers import BRANCHES, NVIDIA, PACKAGE_SETS
from wholecard.guest.drivers.known_failures import build_finding, kernel_finding, pair_of
from wholecard.guest.drivers.records import Branch, Flavour, PackageSet, System
from wholecard.guest.drivers.requirement import Requirement, best_branch, branch_named, common
from wholecard.guest.drivers.systems import system_of
from wholecard.guest.image.recipe import GuestOs, Step


@dataclass(frozen=True)
class DriverRequest:
    """What is asked for.

    `branch`, `flavour` and `origin` (`ubuntu`, `nvidia`, `debian`) are a person's own choice; None
    is Wholecard's. `kernel` is the release that will boot, None for the newest that the table has
    for the system. `patch` lets the recipe add the table's patch to a module that does not build
    without. `keys` are armored keys by the names of repositories.
    """

    cards: tuple[Card, ...]
    os: GuestOs
    today: date
    branch: int | None = None
    flavour: Flavour | None = None
    origin: str | None = None
    kernel: str | None = None
    secure_boot: bool = False
    patch: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """The driver for one vendor's cards: from which packages, and for NVIDIA which branch."""

    vendor: str
    cards: tuple[Card, ...]
    packages: PackageSet
    branch: Branch | None = None
    flavour: Flavour | None = None
    requirement: Requirement | None = None

    @property
    def text(self) -> str:
        """`NVIDIA 580, open kernel modules, signed (ubuntu)`."""
        if self.branch is None:
            return f"{VENDORS[self.vendor]}, the kernel's own driver"
        how = {"signed": "prebuilt and signed", "dkms": "built by DKMS"}[self.packages.build]
        return (
            f"{VENDORS[self.vendor]} {self.branch.number}, {self.flavour} kernel modules, {how} "
            f"({self.packages.name})"
        )


@dataclass(frozen=True)
class DriverPlan:
    """The answer. `kernel` is the one that the answer is for, None where it is not known."""

    request: DriverRequest
    kernel: str | None
    choices: tuple[Choice, ...]
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]


def driver_plan(request: DriverRequest) -> DriverPlan:
    """Choose the drivers. Findings say what prevents it; where one is an error the steps are those
    of what could be chosen, or none.

    Raises UsageError where the table has no row for the system, or no such branch or origin.
    """
    system = system_of(request.os)
    kernel = request.kernel or system.newest_kernel
    choices, findings = _choices(request, system)
    for choice in choices:
        findings += _choice_findings(request, choice, kernel)
    if kernel and choices:
        drivers = [VENDORS[choice.vendor] for choice in choices]
        cloud = kernel_finding(system, kernel, drivers)
        if cloud:
            findings.append(_replaced(cloud, system))
    steps = [
        step
        for choice in choices
        for step in steps_for(system, request.os, choice.packages, choice.branch, choice.flavour,
                              request.keys, _patch_for(request, choice, kernel))
    ]  # fmt: skip
    return DriverPlan(request, kernel, tuple(choices), tuple(dict.fromkeys(steps)), tuple(findings))


def _choices(request: DriverRequest, system: System) -> tuple[list[Choice], list[Finding]]:
    """A choice for each vendor, and why there is none for NVIDIA's cards."""
    choices: list[Choice] = []
    findings: list[Finding] = []
    for vendor in dict.fromkeys(card.vendor for card in request.cards):
        cards = tuple(card for card in request.cards if card.vendor == vendor)
        if vendor == NVIDIA:
            choice, found = _nvidia(request, system, cards)
            findings += found
            choices += [choice] if choice else []
        else:
            choices.append(Choice(vendor, cards, _sets(vendor, system)[0]))
    return choices, findings


def _sets(vendor: str, system: System) -> list[PackageSet]:
    return [each for each in PACKAGE_SETS if each.vendor == vendor and system.key in each.systems]


def _nvidia(
    request: DriverRequest, system: System, cards: tuple[Card, ...]
) -> tuple[Choice | None, list[Finding]]:
    """The driver for all NVIDIA cards, or the findings that say why there is none."""
    unknown = [card for card in cards if card.generation is None]
    if unknown:
        return None, [_unknown(card) for card in unknown]
    requirement = common(card.generation for card in cards if card.generation)
    if request.flavour:
        requirement = requirement.intersect(Requirement(frozenset({request.flavour})))
    sets = _origins(request, system)
    for packages in sets:
        offered = _offered(request, packages)
        branch = best_branch(requirement, offered, request.today)
        if branch:
            return Choice(NVIDIA, cards, packages, branch, requirement.flavour(branch),
                          requirement), []  # fmt: skip
    return None, [_no_common(request, cards, requirement, sets)]


def _origins(request: DriverRequest, system: System) -> list[PackageSet]:
    """The sets to try: the named origin's, else all, those with branches in support first."""
    sets = _sets(NVIDIA, system)
    if request.origin is None:
        return sets
    chosen = [each for each in sets if each.name.startswith(request.origin)]
    if not chosen:
        names = ", ".join(each.name for each in sets)
        raise UsageError(
            f"{system.key} has no origin {request.origin[:40]!r}",
            resolution=f"Its origins are {names}.",
        )
    return chosen


def _offered(request: DriverRequest, packages: PackageSet) -> tuple[int, ...]:
    if request.branch is None:
        return packages.branches
    if branch_named(request.branch) is None:
        raise UsageError(
            f"the table has no branch {request.branch}",
            resolution=f"It has {', '.join(str(branch.number) for branch in BRANCHES)}.",
        )
    return tuple(each for each in packages.branches if each == request.branch)


def _choice_findings(
    request: DriverRequest, choice: Choice, kernel: str | None
) -> Iterator[Finding]:
    branch = choice.branch
    if branch is None:
        return
    if branch.ends is None or branch.ends < request.today:
        since = f" on {branch.ends}" if branch.ends else ""
        yield Finding(
            "WC424", f"NVIDIA {branch.number}", Severity.WARNING,
            f"its support ended{since}: no security fixes, no new kernels.",
            "Leave the choice to Wholecard, or name a branch that has support.",
        )  # fmt: skip
    if request.secure_boot and choice.packages.build == "dkms":
        yield Finding(
            "WC423", f"NVIDIA {branch.number}", Severity.ERROR,
            "its module is built in the image and not signed by the distribution: a guest with "
            "Secure Boot does not load it.",
            "Use an image of Ubuntu, whose modules are signed, or turn Secure Boot off for this "
            "image.",
        )  # fmt: skip
    if choice.packages.version and kernel and not _patch_for(request, choice, kernel):
        finding = build_finding(choice.packages.version, kernel)
        if finding:
            yield finding


def _patch_for(request: DriverRequest, choice: Choice, kernel: str | None) -> str:
    """The name of the table's patch that the recipe adds; empty for none."""
    # The patch is for the open module's source; the other's was not tried.
    if not (request.patch and kernel and choice.packages.version and choice.flavour == "open"):
        return ""
    pair = pair_of(choice.packages.version, kernel)
    fits = pair is not None and pair.patch and pair.patch_for == choice.packages.version
    return pair.name if pair and fits else ""


def _replaced(finding: Finding, system: System) -> Finding:
    """The kernel's finding as a note, since the steps bring another kernel."""
    fix = f"The steps install {system.kernel} and remove this one."
    return replace(finding, severity=Severity.NOTE, fix=fix)


def _unknown(card: Card) -> Finding:
    return Finding(
        "WC425", f"card {card.title}", Severity.ERROR,
        "neither this machine's pci.ids nor Wholecard's table says which generation it is.",
        "Install a newer pci.ids (update-pciids, or the package pci.ids or hwdata), or a newer "
        "Wholecard.",
    )  # fmt: skip


def _no_common(
    request: DriverRequest, cards: Iterable[Card], requirement: Requirement, sets: list[PackageSet]
) -> Finding:
    needs = "; ".join(
        f"{card.title} needs {common([card.generation]).text}" for card in cards if card.generation
    )
    have = sorted({branch for each in sets for branch in _offered(request, each)})
    if requirement.possible:
        offered = ", ".join(map(str, have)) or f"there is no {request.branch}"
        what = f"no branch on offer for {request.os.name} fits ({offered}): {needs}"
        fix = "Name other modules, another branch, origin or system, or let Wholecard choose."
    else:
        what = f"no driver knows all these cards: {needs}"
        fix = "Give cards of these generations to different servers, with an image for each."
    return Finding(
        "WC421", " and ".join(card.ids for card in cards), Severity.ERROR, f"{what}.", fix,
    )  # fmt: skip
