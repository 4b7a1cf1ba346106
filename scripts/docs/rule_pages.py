"""Write what the docs say of each rule from `wholecard.core.rules`.

That is the head of each page under `docs/rules/` (title, severity, version, meaning; the text from
"Reported by" on is written by hand), the section "Repair" at the end of those that
`wholecard.repair.remedies.registry` has something for, the tables of `docs/reference/rules.md`, and
the pages in the navigation of `mkdocs.yml`. With `--check` nothing is written: stale files are
named, status 1.
"""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path

from wholecard.core.rules import RULES, SUBJECTS, Rule
from wholecard.repair.remedies.registry import repair_section

ROOT = Path(__file__).parents[2]
_REPAIR = "\n## Repair\n"
_COLUMNS = "| code | rule | severity | `--fix` | since |\n| --- | --- | --- | --- | --- |\n"


def page_head(rule: Rule) -> str:
    """The first lines of a rule's page, up to the line that says who reports it."""
    fixable = " `nova lint --fix` fixes it if the fix is certain." if rule.fixable else ""
    return (
        f"# {rule.code}: {rule.title}\n\n"
        f"Severity: {rule.severity_text}. Since {rule.since}.{fixable}\n\n"
        f"{rule.meaning}\n\n"
    )


def with_repair(code: str, page: str) -> str:
    """The page, with what repair does about the rule's findings at its end."""
    section = repair_section(code)
    if not section:
        return page
    return f"{page.partition(_REPAIR)[0].rstrip()}\n\n{section}"


def table(heading: str) -> str:
    """The table of the rules below a heading of the reference."""
    rows = [
        f"| [{rule.code}](../rules/{rule.code}.md) | {rule.title} | {rule.severity_text} "
        f"| {'yes' if rule.fixable else ''} | {rule.since} |\n"
        for rule in SUBJECTS[heading]
    ]
    return _COLUMNS + "".join(rows)


def files() -> dict[Path, str]:
    """Every file that has something from the records, with the text that it should have."""
    texts = {}
    for rule in RULES.values():
        page = ROOT / f"docs/rules/{rule.code}.md"
        _, mark, body = f"\n{page.read_text()}".partition("\nReported by ")
        texts[page] = with_repair(rule.code, f"{page_head(rule)}{mark.lstrip()}{body}")
    reference, navigation = ROOT / "docs/reference/rules.md", ROOT / "mkdocs.yml"
    texts[reference], texts[navigation] = reference.read_text(), navigation.read_text()
    for heading in SUBJECTS:
        texts[reference] = re.sub(
            rf"(?<=\n## {re.escape(heading)}\n)(.*?\n)\| code \|.*?(?=\n\n|\Z)",
            partial(_with_table, heading),
            texts[reference], count=1, flags=re.DOTALL,
        )  # fmt: skip
        texts[navigation] = re.sub(
            rf"(?<=\n          - {re.escape(heading)}:\n)(?: +- rules/WC\d+\.md\n)+",
            "".join(f"              - rules/{rule.code}.md\n" for rule in SUBJECTS[heading]),
            texts[navigation],
        )
    return texts


def _with_table(heading: str, match: re.Match[str]) -> str:
    return match[1] + table(heading).rstrip("\n")


def main(check: bool) -> int:
    """Write the files that differ, or name them."""
    stale = [path for path, text in files().items() if path.read_text() != text]
    for path in stale:
        print(path.relative_to(ROOT))
        if not check:
            path.write_text(files()[path])
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
