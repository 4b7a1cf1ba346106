"""The faults that are commonest in the field, driven for real, one at a time.

For each: `nova lint` finds it in the files before anything is started with them; then nova is
started with them and the server fails; `explain` names this cause and nothing else, from the
files alone and from the running cloud. Cards are chosen in Placement, as the site has it, in all
but the case of the filter: with `pci_in_placement` Placement itself leaves hosts without cards out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from openstack.connection import Connection

from support.commands import wholecard
from support.computes import fake_compute
from support.refusals import (
    PF,
    PF_ADDRESS,
    PF_CLASS,
    PLAIN_HOST,
    Fault,
    ask,
    edited,
    explain,
    lint,
    nova_files,
    put,
    restart_roles,
    write_wider_site,
)
from wholecard.cloud.client import servers
from wholecard.cloud.client.connection import connect
from wholecard.cloud.placement.resource_providers import wait_for_providers
from wholecard.guest.proof import hostdev
from wholecard.lab import lab as labs
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.node_spec import GPU_NODE
from wholecard.lab.control import service_settings
from wholecard.lab.lab import Lab
from wholecard.lab.scenario import cloud_plan, emulated_gpu, prove_cards, views
from wholecard.lab.scenario.control_plane import DropIns, write_drop_ins
from wholecard.nova.options import Role
from wholecard.site.load import SiteFile

BOTH: tuple[Role, ...] = ("api", "compute")
# nova-compute reads its aliases where a server is moved: for what is asked here nova-api's count.
NOTHING = Fault(
    {"compute": ((r'(device_spec = .*)"5046"', r'\1"5047"'),)}, ("compute",),
    "g1.card2", "No valid host was found", frozenset({"WC246", "WC252", "WC253"}), "WC310",
)  # fmt: skip
MISSING = Fault(
    {"api": ((r'alias = .*"name": "gpu",.*\n', ""),)}, ("api",),
    "g1.card2", "PCI alias gpu is not defined", frozenset({"WC240"}), "WC303",
)  # fmt: skip
TYPE = Fault(
    dict.fromkeys(BOTH, ((r', "device_type": "type-PF"', ""),)), ("api",),
    "g1.pf1", "No valid host was found", frozenset({"WC254"}), "WC314",
)  # fmt: skip
NUMA = Fault(
    dict.fromkeys(BOTH, ((r'("name": "gpu",.*)}', r'\1, "numa_policy": "required"}'),)), ("api",),
    "g1.near1", "Exhausted all hosts available for retrying", frozenset({"WC260"}), "WC316",
)  # fmt: skip
FILTER = Fault(
    {"scheduler": ((r"enabled_filters = .*\n", ""),)}, ("api", "scheduler", "conductor"),
    "g1.card2", "Claim pci failed", frozenset({"WC236"}), "WC327",
)  # fmt: skip


@pytest.fixture(scope="module")
def lab(lab_folder: LabFolder) -> Iterator[Lab]:
    """The lab, up, with a prepared node."""
    ran = wholecard("lab", "up")
    assert ran.status == 0, ran.stdout + ran.stderr
    yield labs.require_up(lab_folder)
    labs.down(lab_folder)


@pytest.fixture(scope="module")
def conn(lab: Lab) -> Connection:
    """Its cloud."""
    return connect(service_settings.CLOUD, lab.folder.clouds_yaml)


@pytest.fixture(scope="module")
def site(lab: Lab, conn: Connection) -> SiteFile:
    """The lab's site with a card of type-PF; its flavors are in the cloud."""
    file = write_wider_site(lab)
    cloud_plan.offer_site(lab, conn, file)
    return file


@pytest.fixture(scope="module")
def good(lab: Lab, site: SiteFile) -> DropIns:
    """What is rendered from it, for every role."""
    return write_drop_ins(lab, site)


def drive(
    lab: Lab,
    conn: Connection,
    site: SiteFile,
    good: DropIns,
    fault: Fault,
    folder: Path,
    plain: tuple[Path, ...] = (),
) -> None:
    """Lint the files with the fault, start with them, see the server fail, and have it explained.

    The services go on with the fault. `plain` are the files of a host without cards.
    """
    bad = fault.put_into(good)
    files = replace(nova_files(lab, bad, folder), plain=plain)
    assert lint(files, site.path) == fault.lint
    assert explain(("--flavor", fault.flavor), files, site.path) == [fault.explain]
    put(lab, bad)
    restart_roles(lab, fault.restarted)
    refused = ask(conn, fault.flavor)
    asked = ("--server", refused.server) if refused.server else ("--flavor", fault.flavor)
    try:
        rules = explain(asked, files, site.path, lab.folder.clouds_yaml)
    finally:
        if refused.server:
            servers.delete_and_wait(conn, refused.server, prove_cards.DELETE_SECONDS)
    assert re.search(fault.message, refused.message), refused
    assert rules == [fault.explain]


def test_nothing_is_said_against_what_is_rendered(
    lab: Lab, site: SiteFile, good: DropIns, tmp_path: Path
) -> None:
    """`nova lint` and `explain` have nothing against the rendered files."""
    files = nova_files(lab, good, tmp_path)
    assert lint(files, site.path) == set()
    for flavor in ("g1.card2", "g1.card1", "g1.pf1", "g1.near1"):
        assert explain(("--flavor", flavor), files, site.path) == []


def test_a_spec_that_matches_nothing(
    lab: Lab, conn: Connection, site: SiteFile, good: DropIns, tmp_path: Path
) -> None:
    """A device_spec with an id that the host does not have gives no card to Placement."""
    drive(lab, conn, site, good, NOTHING, tmp_path)


@pytest.fixture(scope="module")
def restored(lab: Lab, conn: Connection, good: DropIns) -> DropIns:
    """The rendered files in force, and every function of the site free in Placement."""
    put(lab, good)
    restart_roles(lab, BOTH)
    wait_for_providers(
        conn,
        lambda providers: (
            cloud_plan.all_free(providers)
            and sum(cloud_plan.free_units(each, PF_CLASS) for each in providers) == 1
        ),
        60,
    )
    return good


@pytest.mark.parametrize("fault", [MISSING, TYPE, NUMA], ids=["missing", "type-PF", "NUMA"])
def test_a_fault_in_an_alias(
    lab: Lab, conn: Connection, site: SiteFile, restored: DropIns, tmp_path: Path, fault: Fault
) -> None:
    """An alias that nova-api lacks, that asks for another type, whose policy cannot be met."""
    try:
        drive(lab, conn, site, restored, fault, tmp_path)
    finally:
        put(lab, restored)


def test_a_card_of_type_pf_reaches_its_server(
    lab: Lab, conn: Connection, restored: DropIns
) -> None:
    """With the rendered alias nova finds the card as type-PF and gives it."""
    restart_roles(lab, ("api",))
    rows = {row.ids: row.dev_type for row in views.device_rows(lab.control)}
    assert rows[":".join(PF)] == "type-PF"
    outcome = servers.boot(conn, "pf", "g1.pf1", emulated_gpu.IMAGE, prove_cards.ACTIVE_SECONDS)
    assert outcome.status == "ACTIVE", outcome
    (card,) = hostdev.parse(views.domain_xml(lab.node(GPU_NODE.name), outcome.id))
    assert card.host == PF_ADDRESS
    servers.delete_and_wait(conn, outcome.id, prove_cards.DELETE_SECONDS)


def test_the_filter_is_not_enabled(
    lab: Lab, conn: Connection, site: SiteFile, restored: DropIns, tmp_path: Path
) -> None:
    """Without PciPassthroughFilter a larger host without cards is chosen, and refuses.

    One attempt is like a cloud with more such hosts than attempts. With the filter the same
    server goes to the node.
    """
    modest: dict[Role, str] = {
        role: edited(text, ((r"pci_in_placement = true", "pci_in_placement = false"),))
        if "pci_in_placement" in text
        else text
        for role, text in restored.items()
    }
    modest["conductor"] = edited(
        modest["conductor"], ((r"max_attempts = \d+", "max_attempts = 1"),)
    )
    with fake_compute(lab, conn, PLAIN_HOST) as plain:
        drive(lab, conn, site, modest, FILTER, tmp_path, (plain,))
        put(lab, modest)
        restart_roles(lab, ("scheduler",))
        outcome = servers.boot(
            conn, "placed", FILTER.flavor, emulated_gpu.IMAGE, prove_cards.ACTIVE_SECONDS
        )
        servers.delete_and_wait(conn, outcome.id, prove_cards.DELETE_SECONDS)
    assert (outcome.status, outcome.host) == ("ACTIVE", GPU_NODE.name)
