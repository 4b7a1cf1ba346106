"""The page of releases, made from the tables that render and lint go by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wholecard.core.releases import FIRST, LATEST, RELEASES, release
from wholecard.nova.desired.scheduler_filters import default_filters
from wholecard.nova.known_bugs import KNOWN_BUGS, KnownBug
from wholecard.nova.options import (
    ALIAS_KEYS,
    DEVICE_SPEC_KEYS,
    FLAVOR_KEYS,
    NUMA_POLICIES,
    OPTIONS,
    OPTIONS_OF_A_TYPE,
    QUOTA_DRIVERS,
    ROLES,
    Option,
    Spelling,
)

_HEAD = """# nova's options for cards, release by release

Made from the tables that `wholecard nova render` and `wholecard nova lint` use.
Numbers are nova's major versions. `render` never writes a name that the release does not support.
Source: nova's and Placement's own tags, Mitaka to 2026.2. (Contributors: renewed with
`WHOLECARD_RENEW=1`.)
"""


def releases_page() -> str:
    """The whole page `docs/reference/releases.md`."""
    parts = [
        _HEAD,
        "## Releases\n",
        _table(
            ("release", "nova", "name"),
            ((known.series, str(known.nova), known.name) for known in RELEASES),
        ),
        "## Options\n",
        _table(
            ("option, and since when", "read by", "what it is"),
            map(_option, (*OPTIONS, *OPTIONS_OF_A_TYPE)),
        ),
        "## Keys of device_spec\n",
        _since(DEVICE_SPEC_KEYS, "key"),
        "## Keys of alias\n",
        _since(ALIAS_KEYS, "key"),
        "## NUMA policies of an alias\n",
        _since(NUMA_POLICIES, "policy"),
        "## Extra specs of a flavor\n",
        _since(FLAVOR_KEYS, "extra spec"),
        "## Quota drivers\n",
        _since(QUOTA_DRIVERS, "driver"),
        "## nova-scheduler's own filters\n",
        "The default of `enabled_filters`. PciPassthroughFilter is in none of them.\n",
        _table(("releases", "filters"), _filters()),
        "## Known bugs of nova\n",
        "A point release of an older series may have the fix too.\n",
        _table(
            ("bug", "fixed in", "until then", "what to do", "what nova's log says"),
            map(_bug, KNOWN_BUGS),
        ),
    ]
    return "\n".join(parts)


def _bug(bug: KnownBug) -> tuple[str, ...]:
    message = f"`{bug.message}`" if bug.message else ""
    where = bug.link if bug.bug is None else f"[{bug.bug}]({bug.link})"
    fixed = "not fixed" if bug.fixed is None else _series(bug.fixed)
    return where, fixed, bug.what, bug.do, message


def _option(option: Option) -> tuple[str, str, str]:
    later = dict(option.later)
    readers = ", ".join(
        f"{role} ({_series(later[role])})" if role in later else role
        for role in ROLES
        if role in option.roles
    )
    names = "<br>".join(_spelling(spelling) for spelling in option.spellings)
    return names, readers, option.summary


def _spelling(spelling: Spelling) -> str:
    ends = [major for major in (spelling.deprecated, spelling.gone) if major is not None]
    last = min(ends, default=None)
    until = "" if last is None else f" to {_series(last - 1)}"
    text = f"`{spelling}`<br>{_series(spelling.since)}{until or ' on'}"
    if spelling.deprecated is not None:
        end = "" if spelling.gone is None else f" to {_series(spelling.gone - 1)}"
        text += f", still read{end}"
    return text


def _filters() -> Iterable[tuple[str, str]]:
    spans: dict[tuple[str, ...], list[str]] = {}
    for known in RELEASES:
        spans.setdefault(default_filters(known.nova), []).append(known.series)
    for filters, series in spans.items():
        yield f"{series[0]} to {series[-1]}", ", ".join(filters)


def _since(keys: Mapping[str, int], what: str) -> str:
    return _table((what, "since"), ((f"`{key}`", _first(major)) for key, major in keys.items()))


def _first(major: int) -> str:
    return f"{_series(major)} or earlier" if major == FIRST.nova else _series(major)


def _series(major: int) -> str:
    if major > LATEST.nova:
        raise LookupError(f"no release has nova {major}")
    return f"{release(str(major))} ({major})"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
