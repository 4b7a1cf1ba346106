"""`lint`: what is wrong with nova.conf, by nova's own rules, the release, the role and the hosts.

    service = Service(NovaConf.read([Path("nova.conf")]), release("2025.2"), "compute", facts)
    for each in lint([service]):
        print(each.path, each.place, each.finding.rule, each.finding.message)

`service` is what is linted, with its values read once; `known` what is known of the cloud's hosts;
`remark` a finding with its place and the edits that mend it; `checks` the table of checks, which
are in `check_file` (the files themselves), `check_names`, `check_spec`, `check_alias`,
`check_filters`, `check_roles` (between roles), `check_classes` (what Placement is asked for),
`check_inventory` and `check_answer` (against the hosts), `check_amounts`. `spelling` finds the
option that a wrong name means (by `core.near_names`), `inert` what would be wrong with an option
that nova passes over, `json_text` the places within JSON, `broken` the values that are broken off.
`mend` makes a plan of the edits, `formats` writes JSON, SARIF and GitHub's
annotations, `text` what a person reads, with what was left out (`unseen`).
"""

from wholecard.nova.lint.diagnostic import Diagnostic, TextEdit
from wholecard.nova.lint.registry import lint
from wholecard.nova.lint.service import Facts, Service

__all__ = ["TextEdit", "Facts", "Diagnostic", "Service", "lint"]
