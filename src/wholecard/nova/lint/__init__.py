"""`lint`: what is wrong with nova.conf, by nova's own rules, the release, the role and the hosts.

    service = Service(NovaConf.read([Path("nova.conf")]), release("2025.2"), "compute", facts)
    for diagnostic in lint([service]):
        print(diagnostic.path, diagnostic.position, diagnostic.finding.message)

`request` is the entry point of commands: files and hosts in, services and diagnostics out. A
`service` is what is linted, with its values read once; `hosts_known` is what is known of the
cloud's hosts. A `diagnostic` is a finding with its position and the edits that fix it; `registry`
lists the checks, which are below `checks/`, one file a subject. `fixes` makes a plan of the edits,
`coverage` says what could not be checked, and `output/` writes text, JSON, SARIF and GitHub's
annotations. `option_spelling` finds the option that a wrong name means, `json_positions` the
positions within JSON, `broken_values` the values that end too early.
"""

from wholecard.nova.lint.diagnostic import Diagnostic, TextEdit
from wholecard.nova.lint.registry import lint
from wholecard.nova.lint.service import Facts, Service

__all__ = ["Diagnostic", "Facts", "Service", "TextEdit", "lint"]
