"""Faults in the configuration of a lab that runs: written, started with, and taken back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import yaml
from openstack.connection import Connection

from support.commands import Ran, wholecard
from wholecard.cloud.client import servers
from wholecard.cloud.client.errors import CloudError
from wholecard.lab.base.node_spec import GPU_NODE
from wholecard.lab.control import service_settings
from wholecard.lab.lab import Lab
from wholecard.lab.scenario import emulated_gpu, prove_cards
from wholecard.lab.scenario.control_plane import DROP_IN, DropIns, drop_in_path
from wholecard.lab.scenario.restart import restart
from wholecard.lab.scenario.site_file import site_path
from wholecard.nova.options import Role
from wholecard.site.load import SiteFile, read_site

PLAIN_HOST = "plain-01"
# The emulated 82576: its VFs are unused, and nova reports it as type-PF all the same.
PF = ("8086", "10c9")
PF_ADDRESS = "0000:03:00.0"
PF_CLASS = "CUSTOM_PCI_8086_10C9"
# A server is asked for and has to fail within this; an emulated node under load is slow.
FAIL_SECONDS = 1200
SERVICES: Mapping[Role, str] = {
    "api": "nova-api", "scheduler": "nova-scheduler", "conductor": "nova-conductor",
    "compute": "nova-compute", "placement": "placement",
}  # fmt: skip

Edits = Mapping[Role, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Files:
    """Copies of the files of nova's roles; `plain` are those of the host without cards."""

    by_role: Mapping[Role, tuple[Path, ...]]
    plain: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Fault:
    """One fault, and how it shows.

    `edits` are for each role regular expressions and their replacements; each must
    match. `restarted` are the roles whose services have to read it to fail. `message` is a regular
    expression of what nova says of the server. `lint` are the rules of the fault and of what
    follows from it, `explain` is the one rule of the cause.
    """

    edits: Edits
    restarted: tuple[Role, ...]
    flavor: str
    message: str
    lint: frozenset[str]
    explain: str

    def put_into(self, drop_ins: DropIns) -> DropIns:
        """The drop-ins with the fault. Raises LookupError where an edit matches nothing."""
        return {role: edited(text, self.edits.get(role, ())) for role, text in drop_ins.items()}


def edited(text: str, edits: tuple[tuple[str, str], ...]) -> str:
    """The text with every edit made. Raises LookupError where one matches nothing."""
    for pattern, new in edits:
        text, count = re.subn(pattern, new, text)
        if not count:
            raise LookupError(f"{pattern!r} is not in\n{text}")
    return text


def write_wider_site(lab: Lab) -> SiteFile:
    """The lab's site with the SR-IOV function as a third kind, and flavors that ask for it."""
    data = yaml.safe_load(site_path(lab).read_text())
    vendor, product = PF
    data["cards"]["pf"] = {
        "extra_function": True,
        "match": [{"vendor": vendor, "product": product}],
    }
    data["flavors"] |= {
        "g1.pf1": {"ram": 256, "vcpus": 1, "cards": {"pf": 1}},
        "g1.near1": {"ram": 256, "vcpus": 1, "cards": {"gpu": 1}, "numa_nodes": 1},
    }
    path = site_path(lab).with_name("refusals.yaml")
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return read_site(path)


def put(lab: Lab, drop_ins: DropIns) -> None:
    """Write every role's drop-in into the lab's folder, for the services' next start."""
    for role, text in drop_ins.items():
        service_settings.write_private(drop_in_path(lab, role), text)


def restart_roles(lab: Lab, roles: tuple[Role, ...]) -> None:
    """Restart the services of these roles on what is written now."""
    restart(lab, [SERVICES[role] for role in roles])


def nova_files(lab: Lab, drop_ins: DropIns, folder: Path) -> Files:
    """The files of each of nova's roles as they are on their hosts, copied below `folder`."""
    by_role: dict[Role, tuple[Path, ...]] = {}
    for role, text in drop_ins.items():
        if role != "placement":
            files = (folder / role / "nova.conf", folder / role / DROP_IN)
            service_settings.write_private(files[0], lab.settings.nova_conf(role))
            service_settings.write_private(files[1], text)
            by_role[role] = files
    return Files(by_role)


@dataclass(frozen=True)
class Refused:
    """A server that nova refused: its id, empty where the API refused it, and nova's message."""

    server: str
    message: str


def ask(conn: Connection, flavor: str) -> Refused:
    """Ask nova for a server that it has to refuse. Raises AssertionError where it is ACTIVE.

    Whatever else nova says, no server of the test holds a card afterwards.
    """
    try:
        outcome = servers.boot(conn, "refused", flavor, emulated_gpu.IMAGE, FAIL_SECONDS)
    except servers.ServerTimeoutError as error:
        servers.delete_and_wait(conn, error.server_id, prove_cards.DELETE_SECONDS)
        raise
    except CloudError as error:
        if error.http_status != HTTPStatus.BAD_REQUEST:
            raise
        return Refused("", error.details)
    if outcome.status != "ERROR":
        servers.delete_and_wait(conn, outcome.id, prove_cards.DELETE_SECONDS)
    assert outcome.status == "ERROR", outcome
    return Refused(outcome.id, outcome.fault)


def lint(files: Files, site: Path) -> set[str]:
    """The rules of what `wholecard nova lint` finds in the files of all roles."""
    options = [f"--conf={role}={file}" for role, paths in files.by_role.items() for file in paths]
    ran = wholecard("nova", "lint", "--site", str(site), "--format", "json", *options, timeout=600)
    return {each["rule"] for each in _findings(ran)}


def explain(
    request: tuple[str, ...], files: Files, site: Path, clouds: Path | None = None
) -> list[str]:
    """The rules of what `wholecard explain` says of the hosts for cards, from files and facts.

    With `clouds` the running cloud is asked too. A host without cards, where the files or the
    cloud know of it, is reported as a note and left out here.
    """
    options = [f"--conf=api={file}" for file in files.by_role["api"]]
    options += [f"--conf=scheduler={file}" for file in files.by_role["scheduler"]]
    options += [f"--conf=compute@{GPU_NODE.name}={file}" for file in files.by_role["compute"]]
    options += [f"--conf=compute@{PLAIN_HOST}={file}" for file in files.plain]
    if clouds is not None:
        options += ["--cloud", service_settings.CLOUD, "--clouds-file", str(clouds)]
    ran = wholecard(
        "explain", *request, "--image", emulated_gpu.IMAGE, "--site", str(site), "--json", *options,
        timeout=600,
    )  # fmt: skip
    findings = _findings(ran)
    notes = [each for each in findings if each["severity"] == "note"]
    assert {each["subject"] for each in notes} <= {PLAIN_HOST}, ran.stdout
    return [each["rule"] for each in findings if each not in notes]


def _findings(ran: Ran) -> list[dict[str, str]]:
    assert ran.status in (0, 1), ran.stdout + ran.stderr
    findings: list[dict[str, str]] = json.loads(ran.stdout)["findings"]
    return findings
