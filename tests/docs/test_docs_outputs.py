"""What a page shows as an answer is what the command answers; renewed with WHOLECARD_RENEW=1."""

from __future__ import annotations

import io
import os
from datetime import datetime
from pathlib import Path

from rich.console import Console

from support.health_reports import GPU, answer, card, part, server
from support.health_reports import cloud as cloud_cards
from support.health_reports import provider as provider_of_card
from support.placement import provider, tree
from support.small_cloud import cloud, host, request
from wholecard.explain.evidence.evidence import Refusal
from wholecard.explain.explain import explain
from wholecard.explain.text import blocks
from wholecard.health.request import report
from wholecard.health.text import report_text
from wholecard.host.facts.card_health import Errors

PAGE = Path(__file__).parents[2] / "docs/how-to/no-valid-host.md"
HEALTH = PAGE.with_name("watch-the-health-of-cards.md")
TAKEN = ("0000:41:00.0", "0000:c1:00.0")
FIRST = "b2c9f4d7"
FAILED = "5d1f0c1e"


def test_explain_in_how_to() -> None:
    """The answer in the how-to is explain's, of a server that found both cards taken."""
    source = f"openstack server show {FAILED}"
    evidence = cloud(
        True,
        request=request("h100:2", source=source),
        refusal=Refusal("No valid host was found. ", source),
        hosts=(
            host(
                placement=True,
                taken=dict.fromkeys(TAKEN, FIRST),
                provider_tree=tree(tuple(provider(each, 1, consumers=(FIRST,)) for each in TAKEN)),
            ),
        ),
    )
    out = io.StringIO()
    console = Console(file=out, width=82, highlight=False, color_system=None)
    for block in blocks(explain(evidence), everything=False):
        console.print(block)
    answer = "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())
    _hold(PAGE, answer)


def test_health_in_how_to() -> None:
    """The answer in the how-to is health's, of a card that a server has and a broken one."""
    kinds = (("correctable BadTLP", 120), ("fatal DLP", 1))
    broken = card("0000:61:00", Errors(120, 0, 1, kinds),
                  functions=(part("0000:61:00.0", Errors(120, 0, 1, kinds), link_width=16,
                                  link_width_max=16),))  # fmt: skip
    given = card(functions=(part(GPU, link_width=16, link_width_max=16),))
    known = cloud_cards(provider_of_card(used=1, holders=(FIRST,)),
                        provider_of_card(address="0000:61:00.0"),
                        servers=(server(id=FIRST),))  # fmt: skip
    answered = report((answer(given, broken),), known, datetime(2026, 11, 1))
    _hold(HEALTH, f"{report_text(answered, 82)}\n")


def _hold(page: Path, answer: str) -> None:
    """The page's first answer is this one, or is made so."""
    before, begin, rest = page.read_text().partition("```text\n")
    stands, end, after = rest.partition("```\n")
    if os.environ.get("WHOLECARD_RENEW") == "1":
        page.write_text(before + begin + answer + end + after)
        return
    assert stands == answer
