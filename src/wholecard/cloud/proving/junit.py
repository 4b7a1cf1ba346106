"""A proof as JUnit XML, which CI systems show: a test suite for each server.

Format: the common subset of Jenkins' and Ant's (https://github.com/testmoapp/junitxml).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence

from wholecard.cloud.proving.record import ProveReport, ServerProof
from wholecard.core import Finding, Severity
from wholecard.core.plain_text import plain


def junit_xml(report: ProveReport) -> str:
    """The whole document. Characters that XML does not allow are replaced."""
    suites = ET.Element("testsuites", name=f"wholecard prove {_text(report.flavor)}",
                        time=f"{report.seconds:.1f}")  # fmt: skip
    if report.findings:
        _suite(suites, "the run", [("the run", report.findings)], 0.0)
    for server in report.servers:
        _suite(suites, server.name, _cases(server), server.seconds_to_report or 0.0)
    for key in ("tests", "failures"):
        suites.set(key, str(sum(int(suite.get(key, "0")) for suite in suites)))
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _cases(server: ServerProof) -> list[tuple[str, Sequence[Finding]]]:
    """Each check's name with what was found; a finding that fits none is the report's."""
    left = list(server.findings)

    def taken(*names: str) -> list[Finding]:
        found = [finding for finding in left if finding.subject in names or finding.rule in names]
        for finding in found:
            left.remove(finding)
        return found

    cases: list[tuple[str, Sequence[Finding]]] = [("nova starts it", taken("WC409"))]
    if server.seconds_to_active is not None:
        free = taken("WC430")
        for device in server.devices:
            address = device.function.address if device.function else device.name
            cases.append((f"device {device.name}", taken(device.name, address)))
        if server.proof and server.proof.benchmarks:
            cases.append(("n-body", taken("WC431")))
        if server.proof and server.proof.containers:
            cases.append(("containers", taken("WC432")))
        cases.append(("the guest's report", tuple(left)))
        if server.freed is not None:
            cases.append(("card is free again", free))
    return cases


def _suite(
    suites: ET.Element, name: str, cases: Iterable[tuple[str, Sequence[Finding]]], seconds: float
) -> None:
    suite = ET.SubElement(suites, "testsuite", name=_text(name), time=f"{seconds:.1f}")
    failures = 0
    cases = list(cases)
    for case_name, findings in cases:
        case = ET.SubElement(suite, "testcase", name=_text(case_name), classname=_text(name))
        wrong = [each for each in findings if each.severity is not Severity.NOTE]
        if wrong:
            failures += 1
            failure = ET.SubElement(case, "failure", type=wrong[0].rule,
                                    message=_text(wrong[0].message))  # fmt: skip
            failure.text = _text("\n".join(f"{each.rule} {each.subject}: {each.message}\n"
                                           f"fix: {each.fix}" for each in wrong))  # fmt: skip
        notes = [each for each in findings if each.severity is Severity.NOTE]
        if notes:
            out = ET.SubElement(case, "system-out")
            out.text = _text("\n".join(f"{each.rule} {each.subject}: {each.message}"
                                       for each in notes))  # fmt: skip
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(failures))


def _text(text: str) -> str:
    """Without what XML 1.0 does not allow, surrogates among it."""
    return plain(text).encode("utf-8", "replace").decode()
