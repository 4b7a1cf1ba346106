"""nova.conf for cards, per release and role: golden texts, and what oslo.config makes of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from support.golden import compare
from support.sites import FACTS, site
from wholecard.core import UsageError
from wholecard.core.releases import RELEASES, Release, release
from wholecard.nova.conf.oslo_values import read_values
from wholecard.nova.desired.json_values import PciAlias, PciDeviceSpec
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.desired.scheduler_filters import default_filters, read_enabled_filters
from wholecard.nova.options import ALIAS_KEYS, DEVICE_SPEC_KEYS, OPTIONS, ROLES, Role, find
from wholecard.nova.render.drop_in_file import PciConfig, render, text
from wholecard.nova.render.layouts.cloud import cloud_of

GOLDEN = Path(__file__).parents[1] / "golden"
WRITTEN = ["mitaka", "ocata", "queens", "xena", "zed", "2023.1", "2025.1", "2025.2", "2026.2"]

CARDS = PciConfig(
    device_specs=(PciDeviceSpec("1002", "5046"), PciDeviceSpec("10de", "2330", "0000:41:*.0")),
    aliases=(PciAlias("card", "1002", "5046"), PciAlias("big", "10de", "2330", "type-PF")),
)


def rendered(of: Release) -> dict[Role, str]:
    """Every role's drop-in for the site of two hosts, the compute's for the one with audio."""
    cloud = cloud_of(pci_configs(site(), FACTS, of), of, default_filters(of.nova))
    return {
        role: text(role, cloud.compute("gpu-02") if role == "compute" else cloud.roles[role], of)
        for role in ROLES
    }


@pytest.mark.parametrize("name", WRITTEN)
def test_texts(name: str) -> None:
    """Each role's drop-in for eight H100 a host, word for word."""
    texts = rendered(release(name))
    whole = "\n".join(f"==> {role} <==\n{one}" for role, one in texts.items())
    compare(f"{name}.conf", whole, GOLDEN)


@pytest.mark.parametrize(
    ("of", "chosen", "said"),
    [
        ("2023.1", False, "cannot be tuned for 8 cards"),
        ("2024.1", True, "A request for several cards may find no host"),
        ("2024.2", False, "nova counts and chooses cards itself"),
        ("2024.2", True, "claimed in Placement"),
    ],
)
def test_who_chooses_is_said(of: str, chosen: bool, said: str) -> None:
    """The comment of pci_in_placement says who chooses, and what Placement cannot be tuned for."""
    pci = replace(CARDS, pci_in_placement=chosen, cards_per_host=8, hosts=1)
    written = " ".join(render("api", pci, (), release(of)).replace("\n#", "").split())
    assert said in written
    assert ("cannot be tuned" in written) == (of != "2024.2")


def declared(of: Release) -> cfg.ConfigOpts:
    """The options of the table under their right names alone, strictly typed, without fallbacks."""
    kinds: dict[str, Any] = {
        "multi": cfg.MultiStrOpt, "list": cfg.ListOpt, "boolean": cfg.BoolOpt,
        "integer": cfg.IntOpt, "real": cfg.FloatOpt, "text": cfg.StrOpt,
    }  # fmt: skip
    conf = cfg.ConfigOpts()
    for option in OPTIONS:
        right = option.spelling(of.nova)
        if right:
            group = None if right.section == "DEFAULT" else right.section
            conf.register_opt(kinds[option.kind](right.name), group=group)
    return conf


def assignments(file: Path) -> list[tuple[str, str]]:
    """Section and name of everything that the file sets, by oslo.config's own parser."""
    sections: dict[str, dict[str, Any]] = {}
    cfg.ConfigParser(str(file), sections).parse()
    return [(section, name) for section, options in sections.items() for name in options]


@pytest.mark.parametrize("of", RELEASES, ids=str)
def test_a_release_and_a_role_get_only_what_they_have(of: Release, tmp_path: Path) -> None:
    """Of 22 releases and 5 roles none gets an option, a name or a key that it does not know."""
    for role, written in rendered(of).items():
        file = tmp_path / f"{role}.conf"
        file.write_text(written)
        for section, name in assignments(file):
            found = find(section, name)
            assert found is not None
            option, spelling = found
            assert spelling.state(of.nova) == "right"
            assert option.is_read_by(role, of.nova)
        values = read_values([file], of.nova)
        for name_of, known in (("device_spec", DEVICE_SPEC_KEYS), ("alias", ALIAS_KEYS)):
            for value in next((v for o, v in values.items() if o.name == name_of), ()):
                assert all(known[key] <= of.nova for key in json.loads(value))


@pytest.mark.parametrize("of", RELEASES, ids=str)
def test_oslo_reads_what_was_meant(of: Release, tmp_path: Path) -> None:
    """Under its own types each value is read back: eight cards by ids, one alias, the filters."""
    files = []
    for role, written in rendered(of).items():
        files.append(tmp_path / f"{role}.conf")
        files[-1].write_text(written)
    conf = declared(of)
    conf(args=[], default_config_files=[str(file) for file in files], default_config_dirs=[])
    for option in OPTIONS:
        right = option.spelling(of.nova)
        if right:
            group = conf if right.section == "DEFAULT" else conf[right.section]
            value = group[right.name]
            if option.name == "device_spec":
                assert [json.loads(one) for one in value] == [
                    {"vendor_id": "10de", "product_id": "2330"}
                ]
            if option.name == "alias":
                # The api's and the compute's; nova-compute reads aliases since Newton.
                assert {json.loads(one)["device_type"] for one in value} == {"type-PF"}
                assert len(value) == (1 if of.nova == 13 else 2)
            if option.name == "enabled_filters":
                assert value == [*default_filters(of.nova), "PciPassthroughFilter"]
            if option.name == "report_in_placement":
                assert value is True
            if option.name == "pci_in_placement":
                # Eight cards on a host: not before Placement can be tuned for them.
                assert value is (of.nova >= 30)


def test_every_option_has_a_comment() -> None:
    """Each kind of option stands below a comment that says why it is there."""
    for of in RELEASES:
        for written in rendered(of).values():
            lines = written.splitlines()
            for before, line in zip(lines, lines[1:], strict=False):
                option = line.split(" = ")[0]
                if " = " in line and not line.startswith("#") and not before.startswith(option):
                    assert before.startswith("# ")


def test_comments_are_not_too_wide() -> None:
    """Comments fit on a page; only values are as long as they are."""
    for written in rendered(release("34")).values():
        assert all(len(line) <= 98 for line in written.splitlines() if line.startswith("#"))


def test_a_role_that_reads_nothing_is_told_so() -> None:
    """Before 2023.1 and without tuning a conductor has nothing to read about cards."""
    written = render("conductor", CARDS_OLD, (), release("zed"))
    assert written.endswith("#\n# This service reads no option about cards in this release.\n")


CARDS_OLD = PciConfig((), (PciAlias("card", "1002", "5046", numa_policy=None),))


def test_a_drop_in_adds_to_device_specs_that_are_there(tmp_path: Path) -> None:
    """nova collects repeated options over files: a drop-in adds, it does not replace."""
    there, ours = tmp_path / "nova.conf", tmp_path / "ours.conf"
    there.write_text('[pci]\ndevice_spec = {"vendor_id": "8086"}\n')
    ours.write_text(render("compute", CARDS, ()))
    values = {option.name: value for option, value in read_values([there, ours], 34).items()}
    assert len(values["device_spec"]) == 3


def test_a_dollar_sign_survives(tmp_path: Path) -> None:
    """oslo.config's `$` substitution does not reach into a device_spec."""
    file = tmp_path / "nova.conf"
    file.write_text(
        render("compute", PciConfig((PciDeviceSpec("1002", "5046", "0000:01:00$"),), ()), ())
    )
    (value,) = next(v for o, v in read_values([file], 34).items() if o.name == "device_spec")
    assert json.loads(value)["address"] == "0000:01:00$"


def test_rendering_again_changes_nothing(tmp_path: Path) -> None:
    """The scheduler's drop-in, read back and rendered anew, is the same text."""
    file = tmp_path / "nova.conf"
    file.write_text(render("scheduler", CARDS, default_filters(34)))
    assert render("scheduler", CARDS, read_enabled_filters([file])) == file.read_text()


CLASS_ONLY = PciAlias("card", resource_class="CUSTOM_X", numa_policy=None)
ONE_USE = PciDeviceSpec("1002", "5046", one_time_use=True)
TWICE = (PciAlias("card", "1002", "5046"), PciAlias("card", "1002", "5047"))
MIXED = (PciAlias("card", "1002", "5046"), PciAlias("card", "1002", "5047", "type-PF"))
REFUSED: list[tuple[str, str, PciConfig, str]] = [
    ("34", "has several specs, but nova accepts only one", PciConfig((), TWICE), "two specs and "
     "Placement"),
    ("34", "needs report_in_placement", PciConfig((), (), False, True), "not reported"),
    ("34", "one_time_use needs", PciConfig((ONE_USE,), (), False, False), "not reported"),
    ("31", "has no one_time_use", PciConfig((ONE_USE,), ()), "too old a release"),
    ("34", "two values of device_type", PciConfig((), MIXED, False, False), "mixed types"),
    ("34", "only a resource class", PciConfig((), (CLASS_ONLY,), True, False), "no Placement"),
    ("26", "has no resource_class in alias", PciConfig((), (CLASS_ONLY,)), "too old for aliases"),
    ("16", "has no numa_policy", PciConfig((), TWICE[:1]), "no policies before Queens"),
    ("22", "no NUMA policy socket",
     PciConfig((), (PciAlias("c", "1002", "5046", numa_policy="socket"),)), "before Wallaby"),
]  # fmt: skip


@pytest.mark.parametrize(("of", "said", "pci", "why"), REFUSED, ids=[one[3] for one in REFUSED])
def test_what_nova_refuses_is_refused(of: str, said: str, pci: PciConfig, why: str) -> None:
    """What nova of that release would not start with, or not know, is never written."""
    with pytest.raises(UsageError, match=said):
        render("compute", pci, (), release(of))


def test_two_specs_of_an_alias_are_well_without_placement() -> None:
    """nova takes several specs of one alias where it chooses cards itself."""
    assert "5047" in render("api", PciConfig((), TWICE, pci_in_placement=False), ())


def test_an_unknown_role_is_refused() -> None:
    """A role that nova does not have is called so."""
    with pytest.raises(UsageError, match="no role 'metal'"):
        render("metal", CARDS, ())  # type: ignore[arg-type]
