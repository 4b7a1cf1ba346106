"""Whatever stands in a file, lint answers: with findings, without a traceback, within two seconds.

In the normal set some hundred inputs of each kind; `make test-long` takes 120,000 and says which
was the slowest.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.nova_lint_hosts import ALIAS, FILTERS, H100, hosts
from wholecard.core.releases import RELEASES
from wholecard.nova.conf.conf_file import ConfFile
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.lint import Facts, Service, lint
from wholecard.nova.lint.fixes import fixed
from wholecard.nova.lint.output.github import to_github
from wholecard.nova.lint.output.plain_json import to_json
from wholecard.nova.lint.output.sarif import to_sarif
from wholecard.nova.options import ALIAS_KEYS, DEVICE_SPEC_KEYS, OPTIONS, ROLES

# The bound of issue 4, for a file; one input has three at most.
MOST_SECONDS = 2.0
# From here on it is measured again.
SUSPICIOUS = 0.2
EXAMPLES = int(os.environ.get("WHOLECARD_EXAMPLES", "300"))
LONG_FILES = 120_000

NAMES = sorted({spelling.name for option in OPTIONS for spelling in option.spellings})
SECTIONS = sorted({spelling.section for option in OPTIONS for spelling in option.spellings})

words = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["10de", "2330", "0x10DE", "*", "", "type-PF", "PF", "socket", "yes", "no"]),
    st.from_regex(r"[0-9a-f*:.]{0,14}", fullmatch=True),
)
patterns = st.one_of(
    st.text("ab01.*+?()[]{}|\\^$,-", max_size=16),
    st.sampled_from(["(a*)*b", "((a?)*)*z", "(.*)*(.*)*(.*)*", "[0-", "(?i)[\0-\U0010ffff]", "4",
                     "(?:(?:0|0)*)*1", "a{1,9999}{1,9999}", "(?P<x>.)(?P=x)"]),
)  # fmt: skip
addresses = st.one_of(
    words,
    st.dictionaries(st.sampled_from(["domain", "bus", "slot", "function", "func"]),
                    st.one_of(patterns, st.integers(), st.none())),
)  # fmt: skip
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), words)
keys = st.one_of(
    st.sampled_from([*DEVICE_SPEC_KEYS, *ALIAS_KEYS, "vendor", "Vendor-Id", "prodct_id"]),
    st.text(max_size=6),
)
objects = st.dictionaries(keys, st.one_of(scalars, addresses), max_size=6)
# Objects that are nearly right go deeper than those that are not.
nearly = st.fixed_dictionaries(
    {"vendor_id": st.sampled_from(["10de", "15b3", "144d", "*", "2330"])},
    optional={
        "product_id": st.sampled_from(["2330", "101e", "1021", "a80a", "10de"]),
        "address": st.one_of(addresses, st.sampled_from(["0000:4*:00.0", ":61:00.*", "*:*:*.*"])),
        "name": st.sampled_from(["a", "b", " a "]),
        "device_type": st.sampled_from(["type-PCI", "type-PF", "type-VF", "pf"]),
        "numa_policy": st.sampled_from(["legacy", "socket", "Preferred"]),
        "resource_class": st.sampled_from(["CUSTOM_A", "a", "", "VGPU"]),
        "traits": st.sampled_from(["CUSTOM_A", "HW_GPU_API_DXVA,B", ","]),
        "one_time_use": st.sampled_from(["yes", "no", "x", True]),
        "managed": st.sampled_from(["no", False]),
        "live_migratable": st.sampled_from(["yes", "1", 0]),
    },
)


values = st.one_of(
    st.text(max_size=30),
    objects.map(json.dumps),
    nearly.map(json.dumps),
    st.lists(nearly, max_size=3).map(json.dumps),
    nearly.map(repr),
    nearly.map(lambda each: f"'{each!r}'"),
    st.sampled_from([H100, ALIAS, "true", "maybe", FILTERS.partition("= ")[2], "$x ${y}", "%(z)s",
                     "[" * 3000, '{"a":' * 2000, "1" * 5000, "PciPassThroughFilter,RetryFilter"]),
)  # fmt: skip
names = st.one_of(
    st.sampled_from(
        [*NAMES, *NAMES, "passthrough_whitelists", "Alias", "device-spec", "pci_alias "]
    ),
    st.text(max_size=10),
)
sections = st.one_of(
    st.sampled_from([*SECTIONS, "default", "PCI", "filter-scheduler", ""]), st.text(max_size=5)
)
lines = st.one_of(
    st.builds("{}{}{}".format, names, st.sampled_from([" = ", ":", "=", " ", "\n = "]), values),
    sections.map(lambda each: f"[{each}]"),
    st.sampled_from(["[pci", "  continued", "\t# indented", "", "# c", "\ufeff", "  alias = {}"]),
    st.text(max_size=20),
)
texts = st.lists(lines, max_size=12).map(lambda some: "[pci]\n" + "\n".join(some))
ends = st.sampled_from(["\n", "\r\n", "\r"])
encodings = st.sampled_from(["utf-8", "utf-8", "latin-1", "utf-16", "utf-8-sig"])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file: mostly lines that might be meant, in some encoding, or any bytes at all."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=300))
    text = draw(texts).replace("\n", draw(ends))
    return text.encode(draw(encodings), "backslashreplace") + draw(
        st.sampled_from([b"", b"", b"\xe4", b"\x00", b"\n"])
    )


def judge(data: list[bytes], roles: list[Any], major: int, on: list[str]) -> float:
    """Lint these files for these roles in every way; the seconds of the linting alone."""
    started = time.process_time()
    facts = tuple(Facts(name, hosts()[name]) for name in on)
    services = [
        Service(NovaConf((ConfFile.parse(each, f"{n}.conf"),)), RELEASES[major], role, facts)
        for n, (each, role) in enumerate(zip(data, roles, strict=True))
    ]
    diagnostics = lint(services)
    took = time.process_time() - started
    for write in (to_json, to_sarif, to_github):
        write(diagnostics).encode()
    for each in diagnostics:
        file = next(f for s in services for f in s.conf.files if f.path == each.path)
        # The too large one has no lines, and is told of at its beginning.
        assert 1 <= each.position.line <= max(1, len(file.lines))
        assert each.position.column >= 1
        assert len(each.finding.message) < 600
    return took


class Slowest:
    """How many inputs there were, and how long the slowest took."""

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0

    def note(self, files_: int, seconds: float) -> None:
        """So many files more, which took so long together."""
        self.count += files_
        self.seconds = max(self.seconds, seconds)


def fuzz(examples: int, seen: Slowest) -> None:
    """Lint that many sets of files."""

    @settings(max_examples=examples, database=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(st.tuples(files(), st.sampled_from([None, *ROLES])), min_size=1, max_size=3),
        st.integers(0, len(RELEASES) - 1),
        st.sampled_from([[], ["gpu-01"], ["gpu-02", "gpu-08"]]),
    )
    def judged(given_: list[tuple[bytes, Any]], major: int, on: list[str]) -> None:
        data, roles = [each for each, _ in given_], [role for _, role in given_]
        seconds = judge(data, roles, major, on)
        if seconds > SUSPICIOUS:
            # Whatever else the process did then, a garbage collection, is not the files'.
            seconds = min(seconds, judge(data, roles, major, on), judge(data, roles, major, on))
        seen.note(len(given_), seconds)
        assert seconds < MOST_SECONDS * len(given_)

    judged()


def test_any_file_is_answered() -> None:
    """Files of any kind end in findings, in time, and can be written in every format."""
    fuzz(EXAMPLES, Slowest())


@settings(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
@given(files(), st.sampled_from([None, *ROLES]), st.integers(0, len(RELEASES) - 1))
def test_mends_come_to_an_end(data: bytes, role: Any, major: int) -> None:
    """Mends of any file end, and what they leave has none of those that are certain."""
    conf = NovaConf((ConfFile.parse(data),))
    service = Service(conf, RELEASES[major], role)
    result = fixed([service], lint)
    again = fixed(result.services, lint)
    assert again.texts == {}


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_files(capsys: pytest.CaptureFixture[str]) -> None:
    """120,000 files end in findings within two seconds each."""
    seen = Slowest()
    while seen.count < LONG_FILES:
        fuzz(10_000, seen)
        with capsys.disabled():
            print(f"\n{seen.count} files, the slowest set {seen.seconds * 1000:.0f} ms of CPU")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("zeros", b"\0" * (50 << 20)),
        ("comments", b"# a comment of nova's own\n" * (2 << 20)),
        ("assignments", b"[pci]\n" + b"a=1\n" * 49_000),
        ("specs", b"[pci]\n" + f"device_spec = {H100}\n".encode() * 49_000),
        ("aliases", b"[pci]\n" + f"alias = {ALIAS}\n".encode() * 30_000),
        ("near names", b"[pci]\n" + b"".join(b"device_sp%dec = 1\n" % n for n in range(49_000))),
        ("sleeping", b"[pci]\n" + f"whitelist = {H100}\n".encode() * 49_000
         + f" device_spec = {H100}\n".encode() * 500),
        ("one value", b"[pci]\nalias = " + b"{" * (4 << 20 - 20)),
        ("list of specs", b"[pci]\ndevice_spec = [" + b"{}," * 20_000 + b"{}]\n"),
        ("continued", b"[pci]\nalias = {\n" + b' "a": "b",\n' * 49_000),
        ("dollars", b"[pci]\nalias = " + b"$a" * 30_000 + b"\n[DEFAULT]\na = " + b"b" * 49_000),
        ("quotes", b"[pci]\nalias = {" + b"'" * 60_000 + b"}\n"),
        ("commas", b"[pci]\nalias = {" + b" ," * 30_000 + b"}\n"),
        ("regexes", b"[pci]\n" + b'device_spec = {"address": {"bus": "(a?b?c?d?){9}[0-9a-f]*"}}\n'
         * 9_000),
        ("globs", b"[pci]\n" + b'device_spec = {"address": "*:*:*.*"}\n' * 9_000),
        ("filters", b"[filter_scheduler]\nenabled_filters = " + b"Pci," * 20_000 + b"\n"),
        ("headers", b"[pci]\n[default]\n" * 24_000),
        ("swallowed", b"[pci]\nx = 1\n" + b"  alias = {}\n" * 49_000),
    ],
)  # fmt: skip
def test_a_large_file_is_answered_in_time(name: str, data: bytes) -> None:
    """A file as large as may be, of whatever is slow, takes less than two seconds."""
    best = min(judge([data], ["compute"], len(RELEASES) - 1, ["gpu-01"]) for _ in range(2))
    assert best < MOST_SECONDS
