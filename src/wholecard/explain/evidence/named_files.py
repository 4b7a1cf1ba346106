"""The files that a person names for a question: services' configuration, facts, the site file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wholecard.explain.evidence.from_files import Files
from wholecard.nova.conf.file_options import conf_files, facts_file, of_computes
from wholecard.site.load import read_site


def named_files(
    conf: Iterable[str] | None, facts: Iterable[str] | None, site: Path | None
) -> Files:
    """The files of `--conf`, `--facts` and `--site`. Raises UsageError."""
    by_role = conf_files(conf)
    return Files(
        api=tuple(by_role.get(("api", ""), ())),
        scheduler=tuple(by_role.get(("scheduler", ""), ())),
        placement=tuple(by_role.get(("placement", ""), ())),
        computes=of_computes(by_role),
        facts=dict(facts_file(text) for text in facts or ()),
        site=read_site(site) if site else None,
    )
