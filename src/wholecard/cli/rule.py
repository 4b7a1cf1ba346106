"""`wholecard rule`: what a finding's code means, from its record and its page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from wholecard.core import UsageError
from wholecard.core.json_text import encode
from wholecard.core.near_names import NearNames, meant
from wholecard.core.rules import RULES, Rule

_PACKAGE = Path(__file__).parents[1]
# The pages travel in a wheel (pyproject.toml, force-include); a checkout has them in docs/.
_FOLDERS = (_PACKAGE / "rule_pages", _PACKAGE.parents[1] / "docs/rules")


def command(
    code: Annotated[str, typer.Argument(metavar="[RULE]", help="A code or a name, as WC123 or "
                    "address-width. Without one all rules are listed.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:  # fmt: skip
    """Explain a finding's code: what it means, why it matters and how to fix it."""
    if not code:
        _print_list(as_json)
        return
    rule = find_rule(code)
    page = page_of(rule)
    if as_json:
        typer.echo(encode({**rule.to_json(), "page": page}))
    elif (console := Console()).is_terminal:
        console.print(Markdown(page))
    else:
        typer.echo(page, nl=False)


def find_rule(text: str) -> Rule:
    """The rule of that code or name, in any case; UsageError with the nearest one otherwise."""
    by_word = {**RULES, **{rule.name: rule for rule in RULES.values()}}
    words = NearNames(by_word)
    word = words.same(text)
    if word is None:
        resolution = "wholecard rule lists all rules."
        if near := words.near(text):
            resolution = meant(f"{by_word[near].code} ({by_word[near].title})")
        raise UsageError(f"there is no rule {text!r}", resolution=resolution)
    return by_word[word]


def page_of(rule: Rule) -> str:
    """A rule's page as Markdown; its record alone where the pages are not installed."""
    for folder in _FOLDERS:
        path = folder / f"{rule.code}.md"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return f"# {rule.code}: {rule.title}\n\nSeverity: {rule.severity_text}.\n\n{rule.meaning}\n"


def _print_list(as_json: bool) -> None:
    rules = RULES.values()
    if as_json:
        typer.echo(encode([rule.to_json() for rule in rules]))
        return
    width = max(len(rule.name) for rule in rules)
    for rule in rules:
        typer.echo(f"{rule.code}  {rule.severity.value:7}  {rule.name:{width}}  {rule.title}")
