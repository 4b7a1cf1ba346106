"""A site file read: its values as they were written, and where they stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support.nodes import GROUPS_TOGETHER, TOGETHER, bare, with_groups
from support.production_host import production
from support.tree import grow
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.snapshot import save
from wholecard.site.fact_checks import fact_issues
from wholecard.site.load import SiteError, SiteFile, read_site

Read = Callable[[str], SiteFile]


@pytest.mark.parametrize("text", ["2330", "1e30", "0123", "0000", "'2330'", '"1e30"'])
def test_id_as_written(read: Read, minimal: str, text: str) -> None:
    """An id that YAML takes for a number is the text that was written."""
    site = read(minimal.replace("2330", text)).site
    assert site.cards["h100"].match[0].product == text.strip("'\"")


@pytest.mark.parametrize(
    ("text", "release"), [("2025.2", "2025.2"), ("32", "2025.2"), ("'train'", "train")]
)
def test_release(read: Read, minimal: str, text: str, release: str) -> None:
    """A release is what releases.release makes of it, quoted or not."""
    assert str(read(minimal.replace("2025.2", text)).release) == release


def test_texts_stay_texts(read: Read, minimal: str) -> None:
    """What YAML would make true, a number or a date is handed on as it was written."""
    text = "images: {i: {properties: {a: yes, b: 1_0, c: 2024-01-01, d: 'null', e: 0o7}}}\n"
    properties = read(minimal + text).site.images["i"].properties
    assert properties == {"a": "yes", "b": "1_0", "c": "2024-01-01", "d": "null", "e": "0o7"}


def test_numbers_and_booleans(read: Read, minimal: str) -> None:
    """The models make numbers and booleans where those are meant; auto stays a word."""
    text = "version: 1\nnova: {report_in_placement: no}\nflavors: {f: {ram: 1024, vcpus: '2'}}\n"
    site = read(minimal + text).site
    assert (site.version, site.nova.report_in_placement, site.nova.pci_in_placement) == (
        1,
        False,
        "auto",
    )
    assert (site.flavors["f"].ram, site.flavors["f"].vcpus) == (1024, 2)


def test_nothing_is_the_default(read: Read, minimal: str) -> None:
    """A key with nothing behind it is as if it was left out; a host may have nothing to say."""
    site = read(minimal + "hosts: {gpu-01: , gpu-02: ~}\nflavors:\nnova: null\n").site
    assert site.model_dump() == {
        **read(minimal).site.model_dump(),
        "hosts": {
            name: {"facts": None, "cards": {}, "modules": {}} for name in ("gpu-01", "gpu-02")
        },
    }


def test_place(read: Read) -> None:
    """A key's place is its own; what is not there has the place of what is nearest above."""
    file = read("release: 32\ncards:\n  ä: {match: [{vendor: 10de}, {vendor: 1002}]}\n")
    assert file.position("cards", "ä", "match", 1, "vendor") == (3, 32)
    assert file.position("cards", "ä", "match", 1, "hosts", 3) == (3, 31)
    assert file.position("cards", "ä", "traits") == (3, 3)
    assert file.position("nova") == (1, 1)


def test_alias(read: Read, minimal: str) -> None:
    """An anchor's value stands wherever its alias does."""
    text = "flavors:\n  a: &a {ram: 1, vcpus: 1, cards: {h100: 1}}\n  b: *a\n"
    flavors = read(minimal + text).site.flavors
    assert flavors["a"] == flavors["b"]


def test_byte_order_mark(tmp_path: Path, minimal: str) -> None:
    """The mark that some editors put before UTF-8 is passed over."""
    path = tmp_path / "site.yaml"
    path.write_text("\ufeff" + minimal)
    assert read_site(path).position("release") == (1, 1)


@pytest.fixture
def with_facts(tmp_path: Path, read: Read, minimal: str) -> Callable[[str], SiteFile]:
    """A site of two hosts, one's facts as JSON and the other's as a snapshot; text may follow."""
    root = grow(tmp_path / "gpu-01", production())
    (tmp_path / "facts").mkdir()
    (tmp_path / "facts/gpu-01.json").write_text(json.dumps(inspect(root).to_json()))
    other = grow(tmp_path / "gpu-02", with_groups(bare(TOGETHER), GROUPS_TOGETHER))
    save(other, tmp_path / "facts/gpu-02.tar.gz")
    hosts = (
        "hosts:\n  gpu-01: {facts: facts/gpu-01.json}\n"
        "  gpu-02: {facts: facts/gpu-02.tar.gz}\n  gpu-03: {}\n"
    )
    return lambda text: read(minimal + hosts + text)


def test_facts(with_facts: Read, tmp_path: Path) -> None:
    """Facts are read from JSON and from snapshots, beside the site file; once each."""
    facts = with_facts("").facts()
    assert list(facts) == ["gpu-01", "gpu-02"]
    assert facts["gpu-01"] == inspect(tmp_path / "gpu-01")
    assert facts["gpu-02"].functions == inspect(tmp_path / "gpu-02").functions
    assert facts["gpu-01"] is facts["gpu-01"]
    assert "gpu-03" not in facts


def test_facts_are_read_when_asked_for(read: Read, minimal: str, tmp_path: Path) -> None:
    """A file that is not there is a fault with its place, and only for who asks."""
    file = read(minimal + "hosts:\n  a: {facts: gone.json}\n  b: {facts: 'bad\\0.tar.gz'}\n")
    with pytest.raises(SiteError) as caught:
        file.facts()["a"]
    assert caught.value.details.startswith(
        f"{tmp_path}/site.yaml:4:7: cannot read a host's facts from {tmp_path}/gone.json: "
    )
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"schema": 2}', "\x00", "null"])
@pytest.mark.parametrize("name", ["a.json", "a.tar.gz", "a.tar", "a"])
def test_bad_facts(read: Read, minimal: str, tmp_path: Path, text: str, name: str) -> None:
    """What is no host's facts is a fault of the site file."""
    (tmp_path / name).write_text(text)
    file = read(minimal + f"hosts: {{a: {{facts: {name}}}}}\n")
    assert [str(issue.position) for issue in fact_issues(file)] == ["Position(line=3, column=13)"]


SECOND = "cards: {{h100: {{match: [{{vendor: 10de, product: 2330}}]}}, second: {}}}\n"


@pytest.mark.parametrize(
    ("cards", "more", "said"),
    [
        # Another kind means the same function, told by the facts alone.
        (
            "{match: [{address: '0000:41:00.0'}]}", "",
            "2:66: 0000:41:00.0 on gpu-01 is matched by cards.h100 too; a function belongs to "
            "one kind",
        ),
        # The audio function is an extra function, and the GPU is none.
        ("{match: [{address: '0000:41:00.1'}], extra_function: true}", "", ""),
        ("{match: [{address: '0000:41:00.1'}]}", "",
         "2:66: cards.second matches nothing on gpu-01: 0000:41:00.1 (10de:22ba) is Audio device; "
         "to match a function that guests get in addition to a GPU: extra_function: true"),
        ("{match: [{vendor: 10de, product: 2330}], extra_function: true}", "",
         "2:66: cards.second matches nothing on gpu-01: 0000:41:00.0 (10de:2330) is 3D controller; "
         "a GPU or accelerator is no extra function: remove extra_function"),
        ("{match: [{product: 101e}]}", "",
         "2:66: cards.second matches nothing on gpu-01: 0000:61:00.2 (15b3:101e) is of class "
         "020000; "
         "to match VFs, write device_type: type-VF"),
        # How many there are.
        ("{match: [{product: 5046}]}", "cards: {h100: 1, second: 0}", ""),
        ("{match: [{product: 5046}]}", "cards: {h100: 8}",
         "3:52: gpu-01 should have 8 of h100, but its facts show 1; correct the number in the "
         "site file; if a card is missing on the host, inspect the host again; to give only some "
         "cards, list them by address"),
    ],
)  # fmt: skip
def test_inventory(with_facts: Read, tmp_path: Path, cards: str, more: str, said: str) -> None:
    """The facts' own faults: a function of two kinds, another sort of function, another count."""
    with_facts("")
    hosts = f"hosts: {{gpu-01: {{facts: facts/gpu-01.json, {more}}}}}\n"
    path = tmp_path / "site.yaml"
    path.write_text("release: 32\n" + SECOND.format(cards) + hosts)
    found = [
        f"{each.position.line}:{each.position.column}: {each.what}; {each.hint}"
        for each in fact_issues(read_site(path))
    ]
    assert found == ([said] if said else [])
