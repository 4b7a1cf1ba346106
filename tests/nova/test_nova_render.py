"""The drop-ins: golden text, and what oslo.config makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from oslo_config import cfg

from wholecard.core import UsageError
from wholecard.nova.cards import PciAlias, PciDeviceSpec
from wholecard.nova.filters import NOVA_DEFAULT_FILTERS, read_enabled_filters
from wholecard.nova.render import ROLES, PciConfig, Role, render

CARDS = PciConfig(
    device_specs=(PciDeviceSpec("1002", "5046"), PciDeviceSpec("10de", "2330", "0000:41:*.0")),
    aliases=(PciAlias("card", "1002", "5046"), PciAlias("big", "10de", "2330", "type-PF")),
)

COMPUTE = """\
# Written by wholecard for nova-compute (2026.2, nova 34).
# Changes made here by hand are lost when it is rendered again.

[pci]
# The functions that this host may give to servers; the companions of a card are bound
# to vfio-pci and stay out of this list, or nova would hand them out one by one.
device_spec = {"vendor_id": "1002", "product_id": "5046"}
device_spec = {"vendor_id": "10de", "product_id": "2330", "address": "0000:41:*.0"}
# What a flavor may ask for with pci_passthrough:alias. nova-api translates it when a
# server is created, nova-compute when one is moved or resized: both need the same lines.
alias = {"name": "card", "vendor_id": "1002", "product_id": "5046", "device_type": "type-PCI", \
"numa_policy": "preferred"}
alias = {"name": "big", "vendor_id": "10de", "product_id": "2330", "device_type": "type-PF", \
"numa_policy": "preferred"}
# Each function becomes a resource provider in Placement. It cannot be turned off again.
report_in_placement = true
"""

SCHEDULER = """\
# Written by wholecard for nova-scheduler (2026.2, nova 34).
# Changes made here by hand are lost when it is rendered again.

[filter_scheduler]
# The filters that stood here before, in their order, with PciPassthroughFilter at the
# end: without it a server that asks for a card is sent to hosts that have none free.
enabled_filters = ComputeFilter,MyOwnFilter,PciPassthroughFilter
# Cards are chosen and claimed in Placement. nova-api, nova-scheduler and nova-conductor
# must agree on it, and every compute must report its cards before.
pci_in_placement = true
"""


def parsed(*texts: str, folder: Path) -> cfg.ConfigOpts:
    """The options as nova declares them, read from these files in this order."""
    conf = cfg.ConfigOpts()
    conf.register_opts(
        [
            cfg.MultiStrOpt("alias", default=[]),
            cfg.MultiStrOpt("device_spec", default=[]),
            cfg.BoolOpt("report_in_placement", default=False),
        ],
        group="pci",
    )
    conf.register_opts(
        [
            cfg.ListOpt("enabled_filters", default=list(NOVA_DEFAULT_FILTERS)),
            cfg.BoolOpt("pci_in_placement", default=False),
        ],
        group="filter_scheduler",
    )
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"{number}.conf")
        files[-1].write_text(text)
    conf(args=[], default_config_files=[str(file) for file in files], default_config_dirs=[])
    return conf


def test_compute_text() -> None:
    """nova-compute's drop-in, word for word."""
    assert render("compute", CARDS, ()) == COMPUTE


def test_scheduler_text() -> None:
    """nova-scheduler's drop-in, word for word, keeps a filter of the operator's own."""
    assert render("scheduler", CARDS, ("ComputeFilter", "MyOwnFilter")) == SCHEDULER


@pytest.mark.parametrize(
    ("role", "options"),
    [
        ("api", {"alias", "pci_in_placement"}),
        ("scheduler", {"enabled_filters", "pci_in_placement"}),
        ("conductor", {"pci_in_placement"}),
        ("compute", {"device_spec", "alias", "report_in_placement"}),
    ],
)
def test_a_role_gets_only_what_it_reads(role: Role, options: set[str]) -> None:
    """No drop-in sets an option that its role does not read."""
    lines = render(role, CARDS, NOVA_DEFAULT_FILTERS).splitlines()
    assert {line.split(" = ")[0] for line in lines if " = " in line} == options


def test_every_option_has_a_comment() -> None:
    """Each kind of option stands below a comment that says why it is there."""
    for role in ROLES:
        lines = render(role, CARDS, NOVA_DEFAULT_FILTERS).splitlines()
        for before, line in zip(lines, lines[1:], strict=False):
            option = line.split(" = ")[0]
            if " = " in line and not before.startswith(option):
                assert before.startswith("# ")


def test_oslo_reads_what_was_meant(tmp_path: Path) -> None:
    """oslo.config reads the compute's and scheduler's drop-ins back as the same values."""
    conf = parsed(
        render("compute", CARDS, ()),
        render("scheduler", CARDS, NOVA_DEFAULT_FILTERS),
        folder=tmp_path,
    )
    assert [json.loads(text) for text in conf.pci.device_spec] == [
        json.loads(spec.to_json()) for spec in CARDS.device_specs
    ]
    assert [json.loads(text)["name"] for text in conf.pci.alias] == ["card", "big"]
    assert conf.pci.report_in_placement
    assert conf.filter_scheduler.pci_in_placement
    assert conf.filter_scheduler.enabled_filters == [*NOVA_DEFAULT_FILTERS, "PciPassthroughFilter"]


def test_a_drop_in_adds_to_device_specs_that_are_there(tmp_path: Path) -> None:
    """nova collects repeated options over files: a drop-in adds, it does not replace."""
    there = '[pci]\ndevice_spec = {"vendor_id": "8086"}\n'
    conf = parsed(there, render("compute", CARDS, ()), folder=tmp_path)
    assert len(conf.pci.device_spec) == 3


def test_a_dollar_sign_survives(tmp_path: Path) -> None:
    """oslo.config's `$` substitution does not reach into a device_spec."""
    odd = PciConfig((PciDeviceSpec("1002", "5046", "0000:01:00$"),), ())
    conf = parsed(render("compute", odd, ()), folder=tmp_path)
    assert json.loads(conf.pci.device_spec[0])["address"] == "0000:01:00$"


def test_rendering_again_changes_nothing(tmp_path: Path) -> None:
    """The scheduler's drop-in, read back and rendered anew, is the same text."""
    file = tmp_path / "nova.conf"
    file.write_text(render("scheduler", CARDS, NOVA_DEFAULT_FILTERS))
    assert render("scheduler", CARDS, read_enabled_filters([file])) == file.read_text()


def test_what_nova_refuses_is_refused() -> None:
    """Two specs of one alias with placement are refused, without it they are well."""
    twice = (PciAlias("card", "1002", "5046"), PciAlias("card", "1002", "5047"))
    with pytest.raises(UsageError, match="one spec per alias"):
        render("api", PciConfig((), twice), ())
    assert "5047" in render("api", PciConfig((), twice, pci_in_placement=False), ())


def test_placement_needs_reports() -> None:
    """Choosing cards in Placement without reporting them there is refused."""
    with pytest.raises(UsageError, match="needs report_in_placement"):
        render("conductor", PciConfig((), (), report_in_placement=False), ())
