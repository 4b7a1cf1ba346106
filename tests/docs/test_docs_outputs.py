"""What a page shows as an answer is what the command answers; renewed with WHOLECARD_RENEW=1."""

from __future__ import annotations

import io
import os
from pathlib import Path

from rich.console import Console

from support.placement import provider, tree
from support.small_cloud import cloud, host, request
from wholecard.explain.evidence.evidence import Refusal
from wholecard.explain.explain import explain
from wholecard.explain.text import blocks

PAGE = Path(__file__).parents[2] / "docs/how-to/no-valid-host.md"
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
    before, begin, rest = PAGE.read_text().partition("```text\n")
    stands, end, after = rest.partition("```\n")
    if os.environ.get("WHOLECARD_RENEW") == "1":
        PAGE.write_text(before + begin + answer + end + after)
        return
    assert stands == answer
