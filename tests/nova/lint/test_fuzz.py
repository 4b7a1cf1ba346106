"""Lint answers for any file: with findings, without a traceback, with work that grows linearly.

The normal set has some hundred inputs of each kind; `make test-long` has 120,000. How long large
files take is measured by `benchmarks/lint_large_bench.py`: a test that asks the clock fails on a
busy machine.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.lint_hosts import ALIAS, FILTERS, H100, hosts
from support.lint_large_files import LARGE, Large
from support.nova_conf import parsed
from wholecard.core.releases import RELEASES
from wholecard.nova.lint import Facts, Service, lint
from wholecard.nova.lint.fixes import fixed
from wholecard.nova.lint.output.github import to_github
from wholecard.nova.lint.output.plain_data import to_text
from wholecard.nova.lint.output.sarif import to_sarif
from wholecard.nova.options import ALIAS_KEYS, DEVICE_SPEC_KEYS, OPTIONS, ROLES

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
    nearly.map(lambda value: f"'{value!r}'"),
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
    sections.map(lambda name: f"[{name}]"),
    st.sampled_from(["[pci", "  continued", "\t# indented", "", "# c", "\ufeff", "  alias = {}"]),
    st.text(max_size=20),
)
texts = st.lists(lines, max_size=12).map(lambda texts: "[pci]\n" + "\n".join(texts))
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


def check(data: list[bytes], roles: list[Any], major: int, on: list[str]) -> None:
    """Lint these files for these roles, write every format, and check each diagnostic."""
    facts = tuple(Facts(name, hosts()[name]) for name in on)
    services = [
        Service(parsed(text, f"{n}.conf"), RELEASES[major], role, facts)
        for n, (text, role) in enumerate(zip(data, roles, strict=True))
    ]
    diagnostics = lint(services)
    for write in (lambda found: to_text(found, "json"), to_sarif, to_github):
        write(diagnostics).encode()
    files_ = {file.path: file for service in services for file in service.conf.files}
    for diagnostic in diagnostics:
        # A file that is too large has no lines, and is reported at its beginning.
        lines_ = len(files_[diagnostic.path].lines)
        assert 1 <= diagnostic.position.line <= max(1, lines_)
        assert diagnostic.position.column >= 1
        assert len(diagnostic.finding.message) < 600


def fuzz(examples: int) -> int:
    """Lint that many sets of files; how many files they were."""
    count = 0

    @settings(
        max_examples=examples, database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(
        st.lists(st.tuples(files(), st.sampled_from([None, *ROLES])), min_size=1, max_size=3),
        st.integers(0, len(RELEASES) - 1),
        st.sampled_from([[], ["gpu-01"], ["gpu-02", "gpu-08"]]),
    )
    def checked(inputs: list[tuple[bytes, Any]], major: int, on: list[str]) -> None:
        nonlocal count
        check([data for data, _ in inputs], [role for _, role in inputs], major, on)
        count += len(inputs)

    checked()
    return count


def test_any_file_is_answered() -> None:
    """Files of any kind end in findings, and can be written in every format."""
    assert fuzz(EXAMPLES) >= EXAMPLES


@settings(
    max_examples=EXAMPLES, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(files(), st.sampled_from([None, *ROLES]), st.integers(0, len(RELEASES) - 1))
def test_fixes_come_to_an_end(data: bytes, role: Any, major: int) -> None:
    """Fixes of any file end, and leave nothing that has a certain fix."""
    conf = parsed(data)
    service = Service(conf, RELEASES[major], role)
    result = fixed([service], lint)
    again = fixed(result.services, lint)
    assert again.texts == {}


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_files(capsys: pytest.CaptureFixture[str]) -> None:
    """120,000 files end in findings."""
    count = 0
    while count < LONG_FILES:
        count += fuzz(10_000)
        with capsys.disabled():
            print(f"\n{count} files")


def calls(data: bytes) -> int:
    """How many functions are called to lint a file, Python's and those in C."""
    count = 0

    def note(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    # Facts are derived once and kept; the first file would pay for the second.
    facts = (Facts("gpu-01", hosts()["gpu-01"]),)
    assert facts[0].devices
    service = Service(parsed(data), RELEASES[-1], "compute", facts)
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        lint([service])
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("large", LARGE, ids=lambda large: large.name)
def test_work_grows_with_the_file(large: Large) -> None:
    """Of whatever is slow, twice as much takes at most twice as many calls."""
    half, whole = calls(large.data(1000)), calls(large.data(2000))
    assert whole < 2.2 * half + 1000


@pytest.mark.parametrize("large", LARGE, ids=lambda large: large.name)
def test_a_large_file_is_answered(large: Large) -> None:
    """A file as large as may be, of whatever is slow, ends in findings."""
    check([large.data()], ["compute"], len(RELEASES) - 1, ["gpu-01"])
