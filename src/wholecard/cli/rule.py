"""`wholecard rule`: what a finding's code means, from its record and its page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from wholecard.cli import options
from wholecard.core import UsageError
from wholecard.core.near_names import NearNames, meant
from wholecard.core.rules import RULES, Rule

_PACKAGE = Path(__file__).parents[1]
# The pages travel in a wheel (pyproject.toml, force-include); a checkout has them in docs/.
_FOLDERS = (_PACKAGE / "rule_pages", _PACKAGE.parents[1] / "docs/rules")


def command(
    code: Annotated[str, typer.Argument(metavar="[RULE]", help="A code or a name, as WC123 or "
                    "address-width. Without one all rules are listed.")] = "",
    format_name: Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help="table, "
                           "json, yaml or csv; for one rule text, json or yaml.")] = "",
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Explain a finding's code: what it means, why it matters and how to fix it."""
    if not code:
        rows = [rule.to_json() for rule in RULES.values()]
        options.show(_list_text(), {"rules": rows}, "rules",
                     as_json=as_json, format_name=format_name, columns=columns)  # fmt: skip
        return
    rule = find_rule(code)
    page = page_of(rule)
    if format_name or columns or as_json:
        options.show(page.rstrip("\n"), {**rule.to_json(), "page": page},
                     as_json=as_json, format_name=format_name, columns=columns)  # fmt: skip
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


def _list_text() -> str:
    rules = RULES.values()
    width = max(len(rule.name) for rule in rules)
    return "\n".join(
        f"{rule.code}  {rule.severity.value:7}  {rule.name:{width}}  {rule.title}" for rule in rules
    )
