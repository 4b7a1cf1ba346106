"""The rules of nova.conf: what a page calls wrong fires, and what it calls right is clean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.lint_fixes import fixes_that_make_it_worse
from support.lint_hosts import service
from wholecard.core.rules import RULES
from wholecard.nova.lint import Diagnostic, Service, lint
from wholecard.nova.options import ROLES, Role
from wholecard.site.load import SiteFile, read_site

PAGES = Path(__file__).parents[3] / "docs/rules"
CODES = sorted(code for code in RULES if code.startswith("WC2"))
FENCE = re.compile(r'```(?:ini|yaml) title="(?P<title>[^"]+)"\n(?P<text>.*?\n)```', re.DOTALL)


@dataclass(frozen=True)
class Example:
    """The examples of one kind of a page, and the rules that may fire besides its own."""

    services: tuple[Service, ...]
    besides: frozenset[str]

    def lint(self, site: SiteFile | None) -> list[Diagnostic]:
        """All diagnostics on it."""
        return lint(self.services, site.site if site else None)


def example(code: str, kind: str) -> Example:
    """What stands on a page as `wrong` or `right`."""
    services, besides = [], set()
    for match in FENCE.finditer((PAGES / f"{code}.md").read_text()):
        head, _, words = match["title"].partition(": ")
        if head != kind:
            continue
        role, series, *rest = words.split(", ")
        text, hosts = match["text"].encode(), []
        for each in rest:
            if each == "in Latin-1":
                text = match["text"].encode("latin-1")
            elif each.startswith("repeated "):
                text *= int(each.split()[1])
            elif each.startswith("besides "):
                besides.add(each.removeprefix("besides "))
            else:
                hosts.append(each)
        services.append(service(text, role_of(role), series, *hosts, path=f"{role}.conf"))
    return Example(tuple(services), frozenset(besides))


def role_of(name: str) -> Role:
    """The role of a service by its name."""
    return next(role for role in ROLES if name in (role, f"nova-{role}"))


def site_of(code: str, folder: Path) -> SiteFile | None:
    """The site file on a page, None where it has none."""
    found = re.search(r'```yaml title="site.yaml"\n(.*?\n)```', (PAGES / f"{code}.md").read_text(),
                      re.DOTALL)  # fmt: skip
    if found is None:
        return None
    path = folder / "site.yaml"
    path.write_text(found[1])
    return read_site(path)


@pytest.mark.parametrize("code", CODES)
def test_wrong_example_fires(code: str, tmp_path: Path) -> None:
    """The wrong example of a page breaks that rule, and no other but those that its title names."""
    wrong = example(code, "wrong")
    found = {each.finding.rule for each in wrong.lint(site_of(code, tmp_path))}
    assert found == {code} | wrong.besides


@pytest.mark.parametrize("code", CODES)
def test_right_example_is_clean(code: str, tmp_path: Path) -> None:
    """The right example of a page breaks no rule at all."""
    right = example(code, "right")
    assert right.services
    assert [(each.finding.rule, each.finding.message) for each in
            right.lint(site_of(code, tmp_path))] == []  # fmt: skip


@pytest.mark.parametrize("code", CODES)
def test_severity_on_the_page(code: str, tmp_path: Path) -> None:
    """A page names the severities that its example has."""
    found = {
        each.finding.severity.value
        for each in example(code, "wrong").lint(site_of(code, tmp_path))
        if each.finding.rule == code
    }
    page = (PAGES / f"{code}.md").read_text().splitlines()[2]
    assert page.startswith("Severity: ")
    assert {word for word in found if word not in page} == set()


@pytest.mark.parametrize("code", CODES)
def test_the_record_says_whether_it_is_fixable(code: str, tmp_path: Path) -> None:
    """A rule whose example --fix fixes is fixable by its record."""
    diagnostics = example(code, "wrong").lint(site_of(code, tmp_path))
    fixed = {each.finding.rule for each in diagnostics if each.edits}
    assert {rule for rule in fixed if not RULES[rule].fixable} == set()


@pytest.mark.parametrize("code", CODES)
def test_fixes_of_the_wrong_examples(code: str) -> None:
    """Each fix of a wrong example alone leaves fewer findings, and makes no new error."""
    assert list(fixes_that_make_it_worse(example(code, "wrong").services)) == []
