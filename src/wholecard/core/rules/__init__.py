"""The one table of rules, from which the pages' heads, the docs' tables and SARIF's rules are made.

One module for each subject, by the first digits of the code. Each rule has a page under
`docs/rules/`, a test that it fires and a test that it stays silent. `scripts/docs/rule_pages.py`
writes what is derived from here. Standard library only and no work on import, for `inspect` and
the agent import it.
"""

from __future__ import annotations

from wholecard.core.rules import audit, capacity, cloud, explain, guest, host, nova_conf, splitting
from wholecard.core.rules.rule import Rule, Severity

__all__ = ["RULES", "SUBJECTS", "Rule", "Severity"]

# By the headings of docs/reference/rules.md.
SUBJECTS: dict[str, tuple[Rule, ...]] = {
    "Host": host.RULES,
    "nova.conf": nova_conf.RULES,
    "Explain": explain.RULES,
    "Cloud": cloud.RULES,
    "Guest": guest.RULES,
    "Audit": audit.RULES,
    "Splitting": splitting.RULES,
    "Capacity": capacity.RULES,
}
RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in sorted(
        (rule for rules in SUBJECTS.values() for rule in rules), key=lambda rule: rule.code
    )
}
