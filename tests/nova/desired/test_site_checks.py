"""A site file as nova of its release takes it: faults and warnings, each with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.sites import FACTS, H100_SECOND, eight, function
from support.sites import host as site_host
from wholecard.nova.desired.site_checks import check_site, configs, warnings
from wholecard.site.load import SiteError, SiteFile, issue_line, read_site
from wholecard.site.yaml_positions import SiteIssue


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the facts of two hosts, and of one whose cards are without SR-IOV."""
    for name, host in {**FACTS, "plain": eight(audio=False, sriov=0)}.items():
        (tmp_path / f"{name}.json").write_text("".join(host.to_lines()))
    return tmp_path


def read(folder: Path, text: str) -> SiteFile:
    """The text as a site file beside the facts."""
    path = folder / "site.yaml"
    path.write_text(text)
    return read_site(path)


def lines(file: SiteFile, faults: tuple[SiteIssue, ...]) -> list[str]:
    """The faults as `check` prints them, without the folder."""
    return [issue_line(file.path, each).removeprefix(f"{file.path.parent}/") for each in faults]


CARD = "{match: [{vendor: 10de, product: 2330}]%s}"
HOST = "hosts: {gpu-01: {facts: gpu-01.json}}\n"
JUDGED = [
    ("nothing", "32", CARD % "", HOST, [], []),
    (
        "all that the release does not have", "yoga",
        CARD % ", resource_class: CUSTOM_X, one_time_use: true",
        f"{HOST}nova: {{report_in_placement: true, enabled_filters: [RamFilter, Mine]}}\n",
        [
            "site.yaml:2:53: cards.h.resource_class: nova of yoga does not have it; nova has it "
            "since "
            "zed (nova 26): remove it, or render for zed or later",
            "site.yaml:2:79: cards.h.one_time_use: nova of yoga does not have it; nova has it "
            "since "
            "2025.2 (nova 32): remove it, or render for 2025.2 or later",
            "site.yaml:4:8: nova.report_in_placement: nova of yoga does not have it; nova has it "
            "since "
            "zed (nova 26): remove it, or render for zed or later",
            "site.yaml:4:53: nova of yoga has no filter RamFilter, it was removed in train; "
            "nova-scheduler does not start unless available_filters names it: delete it from the "
            "list",
        ],
        ["site.yaml:4:64: nova has no filter Mine; nova-scheduler does not start unless "
         "available_filters names it"],
    ),
    (
        "what the facts say too", "30", CARD % ", managed: false",
        "hosts: {gpu-01: {facts: gpu-01.json, cards: {h: 9}}}\n",
        [
            "site.yaml:2:53: cards.h.managed: nova of 2024.2 does not have it; nova has it since "
            "2025.1 "
            "(nova 31): remove it, or render for 2025.1 or later",
            "site.yaml:3:46: gpu-01 should have 9 of h, but its facts show 8; correct the "
            "number in the site file; if a card is missing on the host, inspect the host again; "
            "to give only some cards, list them by address",
        ],
        [],
    ),
    (
        "what nova makes of the facts", "32", CARD % "",
        "hosts: {a: {facts: gpu-01.json}, b: {facts: plain.json}}\n",
        ["site.yaml:2:9: cards.h: nova sees its cards as two types; 0000:19:00.0 on a is type-PF; "
         "0000:19:00.0 on b is type-PCI: an alias has one device_type. Set SR-IOV to the same "
         "value in the firmware setup of all hosts, or write two kinds, each with its hosts"],
        [],
    ),
    (
        "facts are missing", "32", CARD % "", "",
        [],
        ["site.yaml:2:9: cards.h: its device_type is not known; auto takes it from a host's facts, "
         "and there are no facts of a host with such a card: name a facts file as "
         "hosts.NAME.facts (wholecard-host inspect --json), or write device_type: type-PF for a "
         "card with an SR-IOV capability, type-PCI for one without"],
    ),
    (
        "Placement that cannot be tuned", "27", CARD % "", HOST,
        [],
        ["site.yaml:1:1: nova.pci_in_placement: auto means off here, and nova counts cards itself; "
         "2024.2 is the first release in which Placement can be tuned for 8 cards on a host: "
         "write false to "
         "turn this warning off"],
    ),
    (
        "Placement that cannot be tuned, asked for", "29", CARD % "",
        f"{HOST}nova: {{pci_in_placement: true}}\n",
        [],
        ["site.yaml:4:8: nova.pci_in_placement: requests for several cards may find no host; "
         "2024.2 is the first release in which Placement can be tuned for 8 cards on a host: "
         "write auto or "
         "false, so that nova counts cards itself, or upgrade to 2024.2"],
    ),
    (
        "Placement that is not wanted", "27", CARD % "",
        f"{HOST}nova: {{pci_in_placement: false}}\n", [], [],
    ),
    (
        "nothing that could be reported", "27", CARD % "",
        f"{HOST}nova: {{report_in_placement: false}}\n", [], [],
    ),
    (
        "limits that are not counted", "32", CARD % "",
        f"{HOST}quotas: {{p: {{cards: {{h: 8}}}}, q: {{cores: 2}}}}\n",
        [],
        ["site.yaml:4:14: quotas.p: the limit of h has no effect; nova counts cards since "
         "2026.2, and this is 2025.2: it is skipped"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("of", "card", "more", "faults", "warned"),
    [each[1:] for each in JUDGED],
    ids=[each[0] for each in JUDGED],
)
def test_check_site(
    folder: Path, of: str, card: str, more: str, faults: list[str], warned: list[str]
) -> None:
    """What render would refuse is a fault with its place; what is left out or missing a warning."""
    file = read(folder, f"release: {of}\ncards: {{h: {card}}}\n{more}")
    found = check_site(file)
    assert lines(file, found.errors) == faults
    assert lines(file, found.warnings) == warned


def test_each_kind_is_looked_at(folder: Path) -> None:
    """Two kinds that nova cannot give are two faults."""
    cards = "cards:\n" + "".join(
        f"  {name}: {{match: [{{vendor: 10de, product: 2330, hosts: [{host}]}}], "
        "device_type: type-PCI}\n"
        for name, host in (("one", "gpu-01"), ("two", "gpu-02"))
    )
    hosts = "hosts: {gpu-01: {facts: gpu-01.json}, gpu-02: {facts: gpu-02.json}}\n"
    found = check_site(read(folder, f"release: 32\n{cards}{hosts}")).errors
    assert [(each.position.line, each.what[:9]) for each in found] == [
        (3, "cards.one"), (4, "cards.two")
    ]  # fmt: skip


def test_two_limits_of_one_class(folder: Path) -> None:
    """A project's limits of two kinds with one resource class are an error at the second limit."""
    (folder / "second.json").write_text("".join(eight(False, H100_SECOND).to_lines()))
    cards = "cards:\n" + "".join(
        f"  {name}: {{match: [{{vendor: 10de, product: {product}}}], resource_class: CUSTOM_H}}\n"
        for name, product in (("one", "2330"), ("two", "2331"))
    )
    hosts = "hosts: {gpu-01: {facts: gpu-01.json}, second: {facts: second.json}}\n"
    quotas = "quotas: {p: {cards: {one: 8, two: 4}}, q: {cards: {two: 1}}}\n"
    file = read(folder, f"release: 34\n{cards}{hosts}{quotas}")
    assert lines(file, check_site(file).errors) == [
        "site.yaml:6:30: quotas.p: one and two have one resource class, CUSTOM_H, and nova counts "
        "them as one; a project has one limit in Keystone for each resource class: give cards.two "
        "another resource_class, or remove one of the two limits: the other then limits both kinds "
        "together"
    ]


def test_another_release(folder: Path) -> None:
    """For a release that is not the site's own the faults have their places too."""
    file = read(folder, f"release: 32\ncards: {{h: {CARD % ', traits: [CUSTOM_X]'}}}\n{HOST}")
    assert check_site(file).errors == ()
    with pytest.raises(SiteError) as caught:
        configs(file, read(folder, "release: yoga\ncards: {}\n").release)
    assert "site.yaml:2:53: cards.h.traits: nova of yoga" in caught.value.details


@pytest.mark.parametrize(
    ("role", "places"),
    [("api", [3]), ("conductor", [3]), ("scheduler", [4]), ("compute", []), (None, [3, 4])],
)
def test_warnings_of_a_role(folder: Path, role: None, places: list[int]) -> None:
    """A role is told of what its own file would have had."""
    more = "quotas: {p: {cards: {h: 8}}}\nnova: {enabled_filters: [Mine]}\n"
    file = read(folder, f"release: 32\ncards: {{h: {CARD % ''}}}\n{more}")
    assert [each.position.line for each in warnings(file, file.release, role=role)] == places


@pytest.mark.parametrize(
    ("role", "told"), [("api", 1), ("scheduler", 1), ("conductor", 1), ("compute", 0), (None, 1)]
)
def test_who_is_told_of_placement(folder: Path, role: None, told: int) -> None:
    """That `auto` is off is told with the files in which it stands."""
    file = read(folder, f"release: 27\ncards: {{h: {CARD % ''}}}\n{HOST}")
    assert len(warnings(file, file.release, role=role)) == told


# What a field trial's site files asked for, and site check was silent about.
SILENT = {
    "an extra function on a host with two cards": (
        "cards:\n  rtx: {match: [{vendor: '10de', product: '1e30'}]}\n"
        "  rtx-audio: {match: [{vendor: '10de', product: '10f7'}], extra_function: true}\n"
        "hosts: {g: {facts: rtx.json, cards: {rtx: 2, rtx-audio: 2}}}\n"
        "flavors: {one: {ram: 8192, vcpus: 4, cards: {rtx: 1, rtx-audio: 1}}}\n",
        "site.yaml:4:59: cards.rtx-audio is an extra function on g, where more than one card has "
        "it",
    ),
    "more cards than a host has": (
        f"cards: {{h: {CARD % ''}}}\n{HOST}"
        "flavors: {nine: {ram: 65536, vcpus: 16, cards: {h: 9}}}\n",
        "site.yaml:4:49: flavors.nine: no host can take it, gpu-01 has 8 h, 9 are requested",
    ),
    "more RAM than a host has": (
        f"cards: {{h: {CARD % ''}}}\n{HOST}"
        "flavors: {big: {ram: 4194304, vcpus: 16, cards: {h: 1}}}\n",
        "site.yaml:4:17: flavors.big: no host can take it, gpu-01 has 262144 MiB of RAM",
    ),
    "extra specs that nova's API refuses": (
        f"cards: {{h: {CARD % ''}}}\n{HOST}"
        "flavors: {g: {ram: 1024, vcpus: 1, extra_specs: {'hw:pcihole64': '1'}}}\n",
        "site.yaml:4:50: flavors.g: nova 2025.2 has no extra spec hw:pcihole64",
    ),
}


@pytest.mark.parametrize("name", sorted(SILENT))
def test_parts_that_do_not_fit_together(folder: Path, name: str) -> None:
    """Kinds, flavors, hosts and facts are held against each other."""
    slots = ("0000:41:00", "0000:42:00")
    functions = [function(f"{slot}.0", "10de:1e30", "030000") for slot in slots]
    functions += [function(f"{slot}.1", "10de:10f7", "040300") for slot in slots]
    (folder / "rtx.json").write_text("".join(site_host(functions).to_lines()))
    text, expected = SILENT[name]
    file = read(folder, f"release: '2025.2'\n{text}")
    found = lines(file, check_site(file).errors)
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_files_of_an_image(folder: Path) -> None:
    """A file or key that a build could not read is an error at its key; others are silent."""
    (folder / "good").write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    (folder / "folder").mkdir()
    text = (
        f"release: 2025.2\ncards: {{h: {CARD % ''}}}\nimages:\n  i:\n    build:\n"
        "      from: base.qcow2\n      os: debian-13\n      files:\n"
        "        /a: {source: absent}\n        /b: {source: folder}\n        /c: {source: good}\n"
        "      repositories:\n        r: {uri: 'https://r', key: site.yaml}\n"
        "        s: {uri: 'https://s', key: good}\n      driver: {key: absent.asc}\n"
    )
    file = read(folder, text)
    assert [line.replace(f"{folder}/", "") for line in lines(file, check_site(file).errors)] == [
        "site.yaml:9:14: cannot read absent: No such file or directory. Correct the path; it is "
        "relative to the site file's folder.",
        "site.yaml:10:14: cannot read folder: Is a directory. Correct the path; it is relative "
        "to the site file's folder.",
        "site.yaml:13:31: site.yaml is not an ASCII-armored OpenPGP key. Convert a binary one: gpg "
        "--enarmor < KEY.gpg > KEY.asc, and write its first line as -----BEGIN PGP PUBLIC KEY "
        "BLOCK-----",
        "site.yaml:15:16: cannot read absent.asc: No such file or directory. Correct the path; it "
        "is relative to the site file's folder.",
    ]


def test_a_disk_smaller_than_an_image(folder: Path) -> None:
    """A flavor whose disk is smaller than an image is a warning; 0 is the image's own size."""
    with (folder / "there.raw").open("wb") as stream:
        stream.truncate((9 << 30) + 1)
    text = (
        f"release: 2025.2\ncards: {{h: {CARD % ''}}}\nflavors:\n"
        "  small: {ram: 8, vcpus: 1, disk: 9}\n  large: {ram: 8, vcpus: 1, disk: 12}\n"
        "  none: {ram: 8, vcpus: 1}\n"
        "images:\n  built: {build: {from: b, os: debian-13, size: 12}}\n"
        "  auto: {build: {from: b, os: debian-13}}\n  there: {file: there.raw}\n"
        f"  absent: {{file: absent.raw}}\n  elsewhere: {{}}\n{HOST}"
    )
    file = read(folder, text)
    assert lines(file, check_site(file).warnings) == [
        "site.yaml:4:29: flavors.small has a disk of 9 GiB, and nova refuses a server with a "
        "larger image: built (12 GiB), there (10 GiB); give it a disk of 12, or use another image "
        "with it",
    ]
