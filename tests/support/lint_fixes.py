"""The fixes of each rule alone: the services with these edits made, and what is worse then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from wholecard.core import Severity
from wholecard.nova.conf.conf_file import ConfFile
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.lint import Diagnostic, Service, lint
from wholecard.nova.lint.fixes import applied, chosen


def fixes_that_make_it_worse(services: Sequence[Service]) -> Iterator[str]:
    """The rules whose fixes do not leave fewer findings, or make a new error.

    Of one value nova tells the first error alone, so another of the same option may follow it.
    """
    before = lint(services)
    for rule in sorted({one.finding.rule for one in before if one.edits}):
        fixed = chosen(one for one in before if one.finding.rule == rule)
        after = lint([_edited(service, fixed) for service in services])
        options = {one.finding.subject for one in fixed}
        new = _errors(after) - _errors(before)
        others = sorted(one for one in new if one[1] not in options)
        if others or len(after) >= len(before) + len(new):
            yield f"{rule}: {len(before)} to {len(after)} findings, {others}"


def _edited(service: Service, fixed: Sequence[Diagnostic]) -> Service:
    files = tuple(_changed(file, fixed) for file in service.conf.files)
    return replace(service, conf=NovaConf(files))


def _changed(file: ConfFile, fixed: Sequence[Diagnostic]) -> ConfFile:
    edits = [edit for one in fixed for edit in one.edits if edit.file.path == file.path]
    if not edits:
        return file
    return ConfFile.parse(applied(file.text, edits).encode("utf-8", "surrogateescape"), file.path)


def _errors(diagnostics: Sequence[Diagnostic]) -> Counter[tuple[str, str]]:
    return Counter(
        (one.finding.rule, one.finding.subject)
        for one in diagnostics
        if one.finding.severity is Severity.ERROR
    )
