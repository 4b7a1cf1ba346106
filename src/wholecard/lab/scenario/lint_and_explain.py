"""What `nova lint` says of a lab's own files, and `explain` of a server that was refused."""

from __future__ import annotations

import io
from dataclasses import dataclass

from rich.console import Console

from wholecard.core import Finding
from wholecard.core.report_text import findings_text
from wholecard.explain.evidence.from_files import Files
from wholecard.explain.evidence.selector import ServerSelector
from wholecard.explain.request import ExplainRequest, explain_server
from wholecard.explain.text import blocks
from wholecard.lab.control import service_settings
from wholecard.lab.lab import Lab
from wholecard.lab.scenario.control_plane import conf_paths
from wholecard.lab.scenario.site_file import site_path
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.lint import Facts, Service, lint
from wholecard.nova.options import ROLES
from wholecard.site.load import SiteFile, read_site

# Columns of the text, as in a terminal.
WIDTH = 100


@dataclass(frozen=True)
class ShownFindings:
    """Findings, and the text that a command prints of them."""

    findings: tuple[Finding, ...]
    text: str


def linted(lab: Lab, file: SiteFile) -> ShownFindings:
    """`nova lint` of the files of every role, with the nodes' facts."""
    facts = tuple(Facts(name, host) for name, host in file.facts().items())
    services = [
        Service(
            NovaConf.read(conf_paths(lab, role)), file.release, role,
            facts if role == "compute" else (),
        )
        for role in ROLES
    ]  # fmt: skip
    findings = tuple(diagnostic.finding for diagnostic in lint(services, file.site))
    return ShownFindings(findings, findings_text(findings))


def explained(lab: Lab, server: str) -> ShownFindings:
    """`explain --server` of one that nova refused: files, facts and the running cloud."""
    file = read_site(site_path(lab))
    files = Files(
        api=conf_paths(lab, "api"), scheduler=conf_paths(lab, "scheduler"),
        placement=conf_paths(lab, "placement"),
        computes={spec.name: conf_paths(lab, "compute") for spec in lab.nodes}, site=file,
    )  # fmt: skip
    request = ExplainRequest(
        ServerSelector(server=server), files, service_settings.CLOUD, lab.folder.clouds_yaml
    )
    answer = explain_server(request)
    text = io.StringIO()
    out = Console(file=text, width=WIDTH, highlight=False, color_system=None)
    for block in blocks(answer):
        out.print(block)
    return ShownFindings(answer.findings, text.getvalue().rstrip())
