"""The errors of a site file: their words and positions, in a short time."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wholecard.core import UsageError
from wholecard.site.error_words import PATTERNS
from wholecard.site.load import read_site
from wholecard.site.yaml_positions import MOST_BYTES

FaultsOf = Callable[[str], list[str]]

CARDS = "cards: {h100: {match: [{vendor: 10de, product: 2330}]}}\n"
FLAVOR = "flavors: {f: {ram: 1, vcpus: 1, %s}}\n"

# What follows `release` and `cards` (lines 1 and 2), and what is said of it.
FOLLOWING = [
    ("flavours: {}", "3:1: the file has no key 'flavours'. Did you mean 'flavors'?"),
    ("xyz: {}", "3:1: the file has no key 'xyz'; known: version, release, cards, hosts, nova, "
     "flavors, images, aggregates, quota_driver, quotas, tuning, lint"),
    ("flavors: {f: {ram: 1}}", "3:11: flavors.f needs the key 'vcpus'; for example vcpus: 16"),
    ("flavors: {f: }", "3:11: flavors.f needs the key 'ram'; for example ram: 65536 (MiB)\n"
     "3:11: flavors.f needs the key 'vcpus'; for example vcpus: 16"),
    ("flavors: {f: 5}", "3:14: flavors.f is '5': expected a mapping"),
    ("flavors: [f]", "3:1: flavors is a list: expected a mapping"),
    ("flavors: {f: {ram: much, vcpus: 0}}",
     "3:20: flavors.f.ram is 'much': expected a whole number\n"
     "3:33: flavors.f.vcpus is '0': expected 1 or more"),
    (f"flavors: {{f: {{ram: {'9' * 5000}, vcpus: 1}}}}",
     f"3:20: flavors.f.ram is '{'9' * 79}…': the number is too large"),
    (FLAVOR % "maxphysaddr_bits: 65", "3:51: flavors.f.maxphysaddr_bits is '65': expected 64 or "
     "less"),
    (FLAVOR % "hugepages: 2m", "3:44: flavors.f.hugepages is '2m', not one of small, large, any, "
     "2M, 1G. Did you mean '2M'?"),
    (FLAVOR % "projects: admin", "3:43: flavors.f.projects is 'admin': expected a list. "
     "Did you mean [admin]?"),
    (FLAVOR % "cards: {h10: 1}", "3:41: there is no card 'h10' in cards. Did you mean 'h100'?"),
    (FLAVOR % "cards: {b: }", "3:41: flavors.f.cards.b is empty: expected a whole number"),
    (FLAVOR % "extra_specs: {a: }", "3:47: flavors.f.extra_specs.a is empty: expected a string"),
    (FLAVOR % r'extra_specs: {a: "x\ny"}', r"3:50: flavors.f.extra_specs.a is 'x\ny': "
     "expected a string without control characters"),
    ("nova: {report_in_placement: ja}", "3:29: nova.report_in_placement is 'ja', not one of true, "
     "false, auto"),
    ("nova: {pci_in_placement: autos}", "3:26: nova.pci_in_placement is 'autos', not one "
     "of true, false, auto. Did you mean 'auto'?"),
    ("hosts: {' a': {}}", "3:9: ' a' cannot be a key of hosts: a name has 1 to 255 printable "
     "characters and no space at its ends. Did you mean 'a'?"),
    ("hosts: {gpu-01: {cards: {h200: 1}}}", "3:26: there is no card 'h200' in cards. "
     "Did you mean 'h100'?"),
    ("quotas: {p: {cards: {x: 1}}}", "3:22: there is no card 'x' in cards; known: h100"),
    ("quotas: {p: {cores: -2}}", "3:21: quotas.p.cores is '-2': expected -1 or more"),
    ("aggregates: {a: {hosts: []}}", "3:18: aggregates.a.hosts is a list: expected at least one "
     "entry"),
    ("hosts: {gpu-01: }\naggregates: {a: {hosts: [gpu-01, gpu01]}}",
     "4:34: there is no host 'gpu01' in hosts. Did you mean 'gpu-01'?"),
    ("aggregates: {a: {hosts: [b]}}", "3:26: there is no host 'b' in hosts; none is defined"),
    ("version: 2", "3:10: version is '2', not 1"),
    ("nova: {}\nnova: {}", "4:1: the key 'nova' occurs twice, first in line 3"),
    (FLAVOR % "ram: 2", "3:33: the key 'ram' occurs twice, first in line 3"),
]  # fmt: skip
# What stands as `cards`, and what is said of it.
KINDS = [
    ("{a: {}}", "2:9: cards.a needs the key 'match'; for example match: [{vendor: \"10de\", "
     "product: \"2330\"}]"),
    ("{a: {match: []}}", "2:13: cards.a.match is a list: expected at least one entry"),
    ("{a: {match: {vendor: 10de}}}", "2:13: cards.a.match is a mapping: expected a list"),
    ("{a: {match: [{}]}}", "2:21: an empty match would match every function of a host; "
     "give vendor and product"),
    ("{a: {match: [{vendor: 10DE}]}}", "2:30: cards.a.match[0].vendor is '10DE': expected four "
     "lower-case "
     "hexadecimal digits, as lspci -nn prints them. Did you mean '10de'?"),
    ("{a: {match: [{product: 0x2330}]}}", "2:31: cards.a.match[0].product is '0x2330': expected "
     "four "
     "lower-case hexadecimal digits, as lspci -nn prints them. Did you mean '2330'?"),
    ("{a: {match: [{address: '41:00.0'}]}}", "2:31: cards.a.match[0].address is '41:00.0': "
     "expected an "
     "address, as lspci -D prints it: 0000:41:00.0. Did you mean '0000:41:00.0'?"),
    ("{a: {match: [{subsystem: '16c1'}]}}", "2:33: cards.a.match[0].subsystem is '16c1': expected "
     "both "
     "ids of the subsystem, as in 10de:16c1"),
    ("{'a:1': {match: [{vendor: 10de}]}}", "2:9: 'a:1' cannot be a key of cards: a card's name "
     "has 1 "
     "to 255 characters without ':' and ','. Did you mean 'a-1'?"),
    ("{a: {match: [{vendr: 10de}]}}", "2:22: cards.a.match[0] has no key 'vendr'. "
     "Did you mean 'vendor'?"),
    ("{a: {match: [{vendor: 10de}], resource_class: h100}}", "2:54: cards.a.resource_class is "
     "'h100': expected CUSTOM_ and then capitals, digits and _. Did you mean 'CUSTOM_H100'?"),
    ("{a: {match: [{vendor: 10de}], traits: [hw-gpu]}}", "2:47: cards.a.traits[0] is 'hw-gpu': "
     "expected capitals, digits and _. Did you mean 'CUSTOM_HW_GPU'?"),
    ("{a: {match: [{vendor: 10de}], device_type: PF}}", "2:51: cards.a.device_type is 'PF', not "
     "one of auto, type-PCI, type-PF, type-VF"),
    ("{a: {match: [{vendor: 10de}], give: part}}", "2:44: cards.a.give is 'part', not one of "
     "whole, containers, mdev, vfs, mig, partitions"),
    ("{a: {match: [{vendor: 10de}], give: {policy: part}}}",
     "2:53: cards.a.give.policy is 'part', not one of whole, containers, mdev, vfs, mig, "
     "partitions"),
    ("{a: {match: [{vendor: 10de}], give: {policy: whole, vfs: 2}}}",
     "2:60: cards.a.give has no key 'vfs'; known: policy"),
    ("{a: {match: [{vendor: 10de}], give: {policy: whole}}}", ""),
    ("{a: {match: [{vendor: 10de}], give: {polcy: whole}}}",
     "2:38: cards.a.give needs the key 'policy'"),
    ("{a: {match: [{vendor: 10de}], give: {policy: containers, n: 2}}}",
     "2:65: cards.a.give has no key 'n'; known: policy"),
    ("{a: {match: [{vendor: 10de}], give: [whole]}}",
     "2:38: cards.a.give is a list: expected a mapping"),
    ("{a: {match: [{vendor: 10de}], give: containers}}", ""),
    ("{a: {match: [{vendor: 10de, hosts: [x]}]}}", "2:44: there is no host 'x' in hosts; "
     "none is defined"),
    # Two kinds of which one holds wherever the other does, in either order, on a host of both.
    ("{a: {match: [{vendor: 10de}]}, b: {match: [{vendor: 10de, product: 2330}]}}",
     "2:51: matches functions that cards.a matches too (line 2); a function belongs to one kind"),
    ("{a: {match: [{vendor: 10de, product: 2330}]}, b: {match: [{product: 2330}]}}",
     "2:66: matches functions that cards.a matches too (line 2); a function belongs to one kind"),
    ("{a: {match: [{vendor: 10de}], companion: true}}", "2:38: cards.a has no key 'companion'; "
     "write extra_function: a companion is an endpoint outside the card's slot"),
    ("{a: {match: [{vendor: 10de}], extra_function: true}, b: {match: [{vendor: 10de}]}}", ""),
    ("{a: {match: [{vendor: 10de}], device_type: type-VF}, b: {match: [{vendor: 10de}]}}", ""),
    ("{a: {match: [{vendor: 10de}, {vendor: 10de, product: 2330}]}}", ""),
]  # fmt: skip
ON_HOSTS = [
    ("a, b", "b, c", "3:22: matches functions that cards.x matches too (line 2); a function "
     "belongs to one "
     "kind"),
    ("", "c", "3:22: matches functions that cards.x matches too (line 2); a function belongs to "
     "one kind"),
    ("a", "b, c", ""),
]  # fmt: skip
OLD = [
    ("cards: {a: {match: [{vendor: 10de}], numa_policy: socket}}", "2:38: numa_policy: socket "
     "needs "
     "Wallaby or later; this site has train; use preferred or required"),
    (CARDS + FLAVOR % "numa_policy: socket", "3:33: numa_policy: socket needs Wallaby or later; "
     "this site has train; use preferred or required"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), FOLLOWING)
def test_following(faults_of: FaultsOf, text: str, said: str) -> None:
    """Every fault is said in one line, with its place and what is near."""
    assert faults_of(f"release: 2025.2\n{CARDS}{text}\n") == said.split("\n")


@pytest.mark.parametrize(("text", "said"), KINDS)
def test_kinds(faults_of: FaultsOf, read: Callable[[str], object], text: str, said: str) -> None:
    """The faults of kinds of cards; where nothing is said, nothing is wrong."""
    whole = f"release: 2025.2\ncards: {text}\n"
    assert (faults_of(whole) if said else [read(whole)][1:]) == said.split("\n")[: bool(said)]


@pytest.mark.parametrize(("first", "second", "said"), ON_HOSTS)
def test_kinds_on_hosts(
    faults_of: FaultsOf, read: Callable[[str], object], first: str, second: str, said: str
) -> None:
    """Two kinds may have the same ids on hosts of their own."""
    text = (
        f"cards: {{x: {{match: [{{vendor: 10de, hosts: [{first}]}}]}},\n"
        f"         y: {{match: [{{vendor: 10de, hosts: [{second}]}}]}}}}\n"
        "hosts: {a: , b: , c: }\n"
    )
    whole = f"release: 32\n{text}"
    assert (faults_of(whole) if said else [read(whole)][1:]) == said.split("\n")[: bool(said)]


@pytest.mark.parametrize(("text", "said"), OLD)
def test_old_release(faults_of: FaultsOf, text: str, said: str) -> None:
    """A NUMA policy that the release does not know is a fault where it stands."""
    assert faults_of(f"release: train\n{text}\n") == [said]


def test_every_fault_at_once(faults_of: FaultsOf) -> None:
    """All that is wrong is said at once, in the file's order."""
    text = f"release: ussury\n{CARDS}flavors: {{f: {{ram: 1, vcpu: 2}}}}\nnova: \nnova: \n"
    assert faults_of(text) == [
        "1:10: Wholecard knows no OpenStack release 'ussury'. Did you mean 'ussuri'?",
        "3:11: flavors.f needs the key 'vcpus'; for example vcpus: 16",
        "3:23: flavors.f has no key 'vcpu'. Did you mean 'vcpus'?",
        "5:1: the key 'nova' occurs twice, first in line 4",
    ]


def test_patterns_have_words() -> None:
    """Each pattern of the models has words of its own, and a slip that it mends."""
    slips = ["10DE", "0x10DE:16C1", "1:0.0", "a b", "h100", "hw-x", " x", "a ", "a ", " mtty",
                 " nvidia-558", "1G.10GB", " nvidia",
             "Ubuntu 24.04", "etc/a", "100644", "R580", " a", " https://a", "SHA256:AB", "a b",
             "a b"]  # fmt: skip
    for (pattern, (words, mend)), slip in zip(PATTERNS.items(), slips, strict=True):
        assert words
        assert mend(slip) != slip, pattern


# Work that grew with the square of a file would take minutes; this takes seconds.
AT_ONCE = pytest.mark.timeout(60)
# Text, or bytes that are none; what is said of it.
BROKEN = [
    ("", "1:1: the file is empty; write a first one with wholecard site init"),
    ("# nothing\n---\n", "1:1: the file is empty; write a first one with wholecard site init"),
    ("just words", "1:1: the file is 'just words': expected a mapping"),
    ("- a\n- b\n", "1:1: the file is a list: expected a mapping"),
    ("release: 32\n\tcards: {}\n", "2:1: a tab: YAML is indented with spaces; use spaces"),
    ("release: @x", "1:10: a value cannot begin with '@'; put the value in quotes"),
    ("release: a: b", "1:11: a ':' is not allowed here; put a value with ': ' in quotes, or "
     "correct the line above"),
    ("release: !x 32", "1:10: a tag (!) is not supported; remove it"),
    ("release: !!python/object/apply:os.system [x]", "1:10: a tag (!) is not supported; remove it"),
    ("? [a]\n: b\n", "1:3: a key is a text, not a mapping or list"),
    ("a: &x {<<: *x}", "1:8: merge keys (<<) are not supported; write the keys themselves"),
    ("a: &x [*x]", "1:8: *x: there is no complete anchor &x above"),
    ("a: *y", "1:4: *y: there is no complete anchor &y above"),
    ("a: 1\n---\na: 2\n", "2:1: a second document begins; write one document in a file"),
    ("a: " + "[" * 50_000, "1:35: nested deeper than 32 levels"),
    ("a: " + "{a: " * 50_000, "1:128: nested deeper than 32 levels"),
    ("- " * 50_000, "1:65: nested deeper than 32 levels"),
    ("a: \x07", "1:4: '\\x07': an unprintable character"),
    ("a: \x00", "1:4: '\\x00': an unprintable character"),
    (b"release: 32\n# na\xefve\n", "2:5: the byte 0xef is not UTF-8 (Latin-1?); save the file as "
     "UTF-8"),
    ("release: 32\n".encode("utf-16"), "1:1: UTF-16 and not UTF-8; save the file as UTF-8"),
    ("".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9 if n else 'x'}]\n" for n in range(40)),
     "6:5: more than 200000 values, aliases counted"),
    ("".join(f"a{n}: &a{n} [{f'*a{n - 1}' if n else 'x'}]\n" for n in range(40)),
     "32:6: nested deeper than 32 levels"),
]  # fmt: skip


@AT_ONCE
@pytest.mark.parametrize(("text", "said"), BROKEN)
def test_broken(tmp_path: Path, text: str | bytes, said: str) -> None:
    """What is no site file at all ends with one fault, and soon."""
    path = tmp_path / "site.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UsageError) as caught:
        read_site(path)
    assert caught.value.details.partition("site.yaml:")[2].startswith(said)


@AT_ONCE
def test_unreadable(tmp_path: Path) -> None:
    """What is not there, a folder, a pipe, and 50 MB are errors at once."""
    large = tmp_path / "large.yaml"
    large.write_bytes(b"a: b\n" * 10_000_000)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none", tmp_path, tmp_path / "pipe", large):
        with pytest.raises(UsageError, match=str(path)):
            read_site(path)


def _of_size(line: str) -> str:
    """As many numbered lines as fit into the largest file that is read."""
    lines, size, number = [], 0, 0
    while size < MOST_BYTES - 200:
        lines.append(line.replace("%", f"{number:05}"))
        size += len(lines[-1])
        number += 1
    return "".join(lines)


@AT_ONCE
@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("release: 32\ncards:\n", "  c%: {match: [{vendor: 10de}]}\n"),
        ("release: 32\ncards:\n", "  c%: {match: [{vendor: 10de, hosts: [h%]}]}\n"),
        (f"release: 32\n{CARDS}hosts:\n", "  h%: {cards: {x%: 1}}\n"),
        (f"release: 32\n{CARDS}hosts:\n", "  h%: {crads: {h100: 1}}\n"),
        ("", "key%: 1\n"),
        ("", "a: 1\n"),
        ("release: ", "x"),
    ],
)
def test_many_faults(tmp_path: Path, head: str, line: str) -> None:
    """A file of the largest size with a fault in every line is told of in seconds, not minutes."""
    path = tmp_path / "site.yaml"
    path.write_text(head + _of_size(line))
    with pytest.raises(UsageError) as caught:
        read_site(path)
    assert len(caught.value.details.splitlines()) <= 51


WORDS = ["release", "cards", "hosts", "flavors", "match", "vendor", "10de", "a", "1", "32", "~",
         "x", ": ", "\n", "\n  ", "- ", "{", "}", "[", "]", ",", "&a ", "*a", "!", "'", '"', "\t",
         "|", ">", "#", "%", "<<", "?", "---", "é", "\ufeff", "\x85"]  # fmt: skip


TEXTS = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=40).map("".join))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=60), TEXTS.map(str.encode)))
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    """Whatever the file holds: a site or a clear error, never anything else."""
    path = tmp_path / "site.yaml"
    path.write_bytes(data)
    said = str(path)
    try:
        read_site(path)
    except UsageError as error:
        said = str(error)
    assert str(path) in said


TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(WORDS)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["cards", "hosts", "flavors", "nova", "quotas", "release"]), TREES)
def test_any_tree(tmp_path: Path, key: str, tree: object) -> None:
    """Whatever stands where something else is meant: each fault has a place in the file."""
    site = {"release": "2025.2", "cards": {"a": {"match": [{"vendor": "10de"}]}}, key: tree}
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump(site, allow_unicode=True), encoding="utf-8")
    lines = path.read_text(encoding="utf-8").count("\n")
    try:
        read_site(path)
    except UsageError as error:
        for issue in getattr(error, "issues", ()):
            assert 1 <= issue.position.line <= lines + 1
