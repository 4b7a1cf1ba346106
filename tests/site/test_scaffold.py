"""The first site file: from any hosts one that reads back and says of them what is so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import golden
from support.distributions import debian_13, leap
from support.generated import MadeHost, base, made_hosts, tree_of
from support.nodes import APART, GROUPS_APART, GROUPS_TOGETHER, TOGETHER, bare, with_groups
from support.production_host import GPU, production
from support.tree import Leaf, grow
from wholecard.cli.app import run_app
from wholecard.core.releases import release
from wholecard.host.desired_state import is_left_out
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.site.card_matching import bound_outside, functions_of
from wholecard.site.fact_checks import fact_issues
from wholecard.site.load import SiteFile, read_site
from wholecard.site.scaffold import FoundHost, first_site

GOLDEN = Path(__file__).parent / "golden"
BASE = base(bare([]))


def store(folder: Path, hosts: Mapping[str, Host]) -> dict[str, FoundHost]:
    """Write each host's facts to the folder, as a first site file will name them."""
    for name, host in hosts.items():
        (folder / f"{name}.json").write_text("".join(host.to_lines()))
    return {name: FoundHost(host, f"{name}.json") for name, host in hosts.items()}


def first(folder: Path, hosts: Mapping[str, Host], wanted: str = "2025.2") -> SiteFile:
    """The first site file for the hosts, read back."""
    path = folder / "site.yaml"
    path.write_text(first_site(store(folder, hosts), release(wanted), "site.schema.json"))
    return read_site(path)


def host_of(folder: Path, tree: Mapping[str, Leaf]) -> Host:
    """The facts of a tree."""
    return inspect(grow(folder, tree))


def eight(folder: Path) -> Host:
    """The production host with eight cards of 128 GiB on two NUMA nodes, an Intel's."""
    host = host_of(folder, production())
    card = next(card for card in host.cards if str(card.gpu[0].address) == GPU)
    cards = []
    for number in range(8):
        functions = tuple(
            replace(
                each,
                address=replace(each.address, bus=0x10 + number),
                numa_node=number // 4,
            )
            for each in card.functions
        )
        cards.append(replace(card, functions=functions))
    others = tuple(each for each in host.functions if each.address.slot_key != card.slot)
    made = (*others, *(each for card in cards for each in card.functions))
    there = {each.address for each in made}
    groups = tuple(each for each in host.groups if {one.address for one in each.functions} <= there)
    return replace(host, functions=made, cards=tuple(cards), groups=groups,
                   cpu=replace(host.cpu, vendor="GenuineIntel", threads=128))  # fmt: skip


def test_golden_production(tmp_path: Path) -> None:
    """A host of production with one card, and one with eight of them."""
    hosts = {"gpu-01": host_of(tmp_path / "1", production()), "gpu-02": eight(tmp_path / "2")}
    text = first_site(store(tmp_path, hosts), release("2025.2"), "site.schema.json")
    golden.compare("production.yaml", text, GOLDEN)


def test_golden_distributions(tmp_path: Path) -> None:
    """Two distributions' hosts: small, without word of their memory, in an old release."""
    trees = {"debian": debian_13().tree, "leap": leap().tree}
    hosts = {name: host_of(tmp_path / name, tree) for name, tree in trees.items()}
    text = first_site(store(tmp_path, hosts), release("train"), "site.schema.json")
    golden.compare("distributions.yaml", text, GOLDEN)


def test_golden_together(tmp_path: Path) -> None:
    """Two cards in one IOMMU group, and the hypervisor's display left out."""
    hosts = {"node": host_of(tmp_path / "node", with_groups(bare(TOGETHER), GROUPS_TOGETHER))}
    text = first_site(store(tmp_path, hosts), release("2026.2"), "site.schema.json")
    golden.compare("together.yaml", text, GOLDEN)


@settings(max_examples=20)
@given(st.lists(made_hosts(), min_size=1, max_size=2))
def test_round_trip(made: list[MadeHost]) -> None:
    """Whatever hosts there are: read back it is without fault, gives every card but those that
    are left out, each once, and has as many on each host as it says."""
    with TemporaryDirectory() as folder:
        hosts = {
            f"gpu-{number}": host_of(Path(folder, str(number)), tree_of(each, BASE))
            for number, each in enumerate(made)
        }
        file = first(Path(folder), hosts)
        assert fact_issues(file) == []
        for name, host in hosts.items():
            kinds = file.site.cards.values()
            of_kinds = [functions_of(kind, name, host) for kind in kinds]
            given_slots = [
                slot
                for functions in of_kinds
                for slot in {function.address.slot_key for function in functions}
            ]
            wanted = [
                card.slot
                for card in host.cards
                if not is_left_out(card) and not {"", "ffff"} & {*card.gpu[0].ids.split(":"),
                                                                card.gpu[0].vendor,
                                                                card.gpu[0].device}
            ]  # fmt: skip
            assert sorted(given_slots) == sorted(wanted)
            counts = file.site.hosts[name].cards
            assert sum(counts.values()) == len(wanted)
        for flavor in file.site.flavors.values():
            ((kind, count),) = flavor.cards.items()
            assert max(host.cards.get(kind, 0) for host in file.site.hosts.values()) >= count


def test_boot_display_of_the_same_kind(tmp_path: Path) -> None:
    """Where the console is on a card of a kind, the others of it are given by address."""
    host = host_of(tmp_path / "root", with_groups(bare(APART), GROUPS_APART))
    console = host.cards[1]
    shown = replace(console.functions[0], boot_vga=True)
    cards = (replace(console, functions=(shown, *console.functions[1:])), *host.cards[2:])
    functions = tuple(shown if each.address == shown.address else each for each in host.functions)
    host = replace(host, functions=functions, cards=(host.cards[0], *cards))
    file = first(tmp_path, {"a": host, "b": host_of(tmp_path / "b", bare(APART))})
    (kind,) = file.site.cards.values()
    assert [str(each.address) for each in functions_of(kind, "a", host)] == ["0000:02:00.0"]
    assert len(functions_of(kind, "b", file.facts()["b"])) == 2


def test_flavors_share_the_host(tmp_path: Path) -> None:
    """All cards' flavor has what the host has without its own, and half the cards a half."""
    file = first(tmp_path, {"gpu-02": eight(tmp_path / "root")})
    flavors = file.site.flavors
    assert [name.rpartition("-")[2] for name in flavors] == ["x1", "x2", "x4", "x8"]
    whole, half = flavors["h100-sxm5-80gb-x8"], flavors["h100-sxm5-80gb-x4"]
    assert (whole.vcpus, half.vcpus) == (120, 60)
    total = eight(tmp_path / "again").memory.total >> 20
    assert total - 65 * 1024 <= whole.ram <= total - 64 * 1024
    assert abs(whole.ram - 2 * half.ram) <= 2048


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two hosts' facts, which is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "facts").mkdir()
    hosts = {"gpu-01": host_of(tmp_path / "1", production()), "gpu-02": eight(tmp_path / "2")}
    store(tmp_path / "facts", hosts)
    return tmp_path


def test_what_a_guest_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A card's audio is bound and not given: init writes it, check says it, unless a kind gives it.

    The site file is the one that the variable names.
    """
    host = host_of(tmp_path / "root", with_groups(bare(APART), GROUPS_APART))
    audio = next(each for each in host.functions if each.class_code.startswith("0403"))
    name = audio.class_name or audio.ids
    file = first(tmp_path, {"gpu-01": host})
    text = file.path.read_text()
    assert f"and given to nobody:\n    # {name}\n    match:" in text
    monkeypatch.setenv("WHOLECARD_SITE", str(file.path))
    assert run_app(["site", "check"]) == 0
    sentence = f"    a guest gets the GPU alone; bound to vfio-pci with it: {name}"
    assert sentence in capsys.readouterr().out.splitlines()
    given = [function for _, function in bound_outside(file.site, "gpu-01", host)]
    assert given == [each for each in host.functions if each.ids == audio.ids]
    ids = f'{{vendor: "{audio.vendor}", product: "{audio.device}"}}'
    kind = f"cards:\n  sound: {{extra_function: true, match: [{ids}]}}\n"
    file.path.write_text(text.replace("cards:\n", kind, 1))
    assert list(bound_outside(read_site(file.path).site, "gpu-01", host)) == []


def test_commands(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """init, check and schema: what they write, print and end with."""
    files = ["--facts", "facts/gpu-01.json", "facts/gpu-02.json"]
    assert run_app(["site", "init", "--release", "train", *files]) == 0
    text = (here / "site.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=site.schema.json\n")
    assert "facts: facts/gpu-01.json" in text
    capsys.readouterr()
    assert run_app(["site", "schema"]) == 0
    assert capsys.readouterr().out == (here / "site.schema.json").read_text()
    assert run_app(["site", "check"]) == 0
    *notes, last, counts, _ = capsys.readouterr().out.splitlines()
    assert last == "site.yaml: no errors (train; hosts: 2, with facts: 2; flavors: 4)"
    assert counts == "  h100-sxm5-80gb: gpu-01 1, gpu-02 8"
    # A board with NVSwitches: nova takes any two of its GPUs, which may have no NVLink.
    boards = [line for line in notes if line.startswith("warning: site.yaml:") and "WC608" in line]
    assert len(boards) == 2
    slower = [line for line in notes if line.startswith("note: site.yaml:") and "slower" in line]
    assert sorted(notes) == sorted(boards + slower)
    (here / "site.yaml").write_text(
        text.replace("release: ", "quotas: {p: {cards: {h100-sxm5-80gb: 8}}}\nrelease: ")
    )
    assert run_app(["site", "check"]) == 0
    assert "warning: site.yaml:8:14: quotas.p: the limit of" in capsys.readouterr().out
    assert run_app(["site", "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["issues"][0]["line"] == 8
    (here / "site.yaml").write_text(text.replace("match:", "traits: [CUSTOM_X]\n    match:"))
    assert run_app(["site", "check"]) == 1
    assert "cards.h100-sxm5-80gb.traits: nova of train does not have it" in capsys.readouterr().out
    (here / "site.yaml").write_text(text.replace("match:", "macht:"))
    assert run_app(["site", "check"]) == 1
    assert "Did you mean 'match'?" in capsys.readouterr().out
    assert run_app(["site", "check", "--json", "--site", "site.yaml"]) == 1
    issues = json.loads(capsys.readouterr().out)["issues"]
    assert {"severity", "line", "column", "what", "hint"} == {*issues[0]}
    assert issues[1]["hint"] == "Did you mean 'match'?"
    assert run_app(["site", "check", "-f", "csv", "-c", "line", "-c", "severity"]) == 1
    assert capsys.readouterr().out.startswith("line,severity\n")


def test_init_overwrites_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that stands there stays, a link to nowhere too; the error says what to do."""
    (here / "site.yaml").write_text("mine")
    (here / "link.yaml").symlink_to("nowhere")
    for name in ("site.yaml", "link.yaml"):
        assert run_app(["site", "init", "--output", name, "facts/gpu-01.json"]) == 2
        assert f"{name} already exists" in capsys.readouterr().err
    assert (here / "site.yaml").read_text() == "mine"
    assert not (here / "nowhere").exists()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["facts/none.json"], 2, "cannot read a host's facts from facts/none.json"),
        (["facts/gpu-01.json", "facts/gpu-01.json"], 2, "two files have the facts of gpu-01"),
        (["--release", "ussury", "facts/gpu-01.json"], 2, "Did you mean 'ussuri'?"),
        (["--output", "none/site.yaml", "facts/gpu-01.json"], 3, "cannot write none/site.yaml"),
    ],
)
def test_init_errors(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], status: int, said: str
) -> None:
    """What is wrong is said before anything is written."""
    assert run_app(["site", "init", *words]) == status
    assert said in capsys.readouterr().err
    assert not (here / "site.yaml").exists()


def test_init_of_this_host(here: Path) -> None:
    """Without facts it is of this host, and reads back."""
    assert run_app(["site", "init", "--output", "this.yaml"]) == 0
    assert len(read_site(Path("this.yaml")).site.hosts) == 1
