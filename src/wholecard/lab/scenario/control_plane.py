"""The control plane: its services started, its catalog, the drop-ins for the cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from openstack.connection import Connection

from wholecard.cloud.client.connection import connect
from wholecard.lab.base.steps import Story
from wholecard.lab.control import database_seed, service_settings
from wholecard.lab.control.identity_catalog import register
from wholecard.lab.control.services import APIS, DAEMONS
from wholecard.lab.lab import Lab
from wholecard.lab.scenario.site_file import cards_config
from wholecard.nova.desired.scheduler_filters import read_enabled_filters
from wholecard.nova.render.drop_in_file import ROLES, Role, render
from wholecard.site.load import SiteFile

DROP_IN = "nova.conf.d/50-wholecard.conf"
PLACEMENT_DROP_IN = "placement.conf.d/50-wholecard.conf"
# What Wholecard renders, by role.
DropIns = Mapping[Role, str]
# These have no configuration for cards, so they need not wait for the nodes' facts.
CARDLESS = ("keystone", "glance", "neutron")


def conf_paths(lab: Lab, role: Role) -> tuple[Path, Path]:
    """A role's own file and its drop-in, in the lab's folder; a node has copies of compute's."""
    etc = lab.folder.run / "etc"
    if role == "placement":
        return etc / "placement/placement.conf", etc / f"placement/{PLACEMENT_DROP_IN}"
    return etc / f"nova-{role}/nova.conf", etc / f"nova-{role}" / DROP_IN


def drop_in_path(lab: Lab, role: Role) -> Path:
    """A role's drop-in in the lab's folder."""
    return conf_paths(lab, role)[1]


def write_configuration(lab: Lab) -> None:
    """Every configuration file of the lab, nova-compute's too, without anything about cards."""
    service_settings.write_all(lab.settings, lab.folder.run, lab.parts.environment)


def write_drop_ins(lab: Lab, file: SiteFile) -> DropIns:
    """Write every role's drop-in, rendered from the site; UsageError for what nova would refuse."""
    config = cards_config(file)
    filters = read_enabled_filters([lab.folder.run / "etc/nova-scheduler/nova.conf"])
    texts = {role: render(role, config, filters, file.release) for role in ROLES}
    for role, text in texts.items():
        service_settings.write_private(drop_in_path(lab, role), text)
    return texts


def start_cloud(
    lab: Lab, story: Story, seed: Path, drop_ins: Future[DropIns] | None = None
) -> Connection:
    """Start everything on a copy of the databases in `seed`; `drop_ins` as for `start_services`."""
    control = lab.control
    with story.step("cloud: databases, RabbitMQ"):
        database_seed.plant(seed, lab.folder.run)
        with ThreadPoolExecutor(2) as pool:
            starts = [pool.submit(control.start_mariadb), pool.submit(control.start_rabbitmq)]
            for start in starts:
                start.result()
    return start_services(lab, story, drop_ins)


def start_services(lab: Lab, story: Story, drop_ins: Future[DropIns] | None = None) -> Connection:
    """Start the OpenStack services that do not run, wait for them, correct users and catalog.

    Services that read about cards wait for `drop_ins`; None where these are written already.
    """
    with story.step("cloud: keystone, glance, neutron"):
        _start(lab, CARDLESS)
    # Before nova's daemons: one whose user does not exist yet ends (seen, HTTP 401).
    with story.step("cloud: users and endpoints in Keystone"):
        register(connect(service_settings.CLOUD, lab.folder.clouds_yaml), lab.settings)
    if drop_ins is not None:
        drop_ins.result()
    with story.step("cloud: placement, nova, with the rendered files") as step:
        # A daemon asks Placement when it starts, and may end where that does not answer yet.
        _start(lab, tuple(APIS))
        _start(lab, tuple(DAEMONS))
        listening = [f"127.0.0.1:{lab.settings.ports[name]} {name}" for name in APIS]
        step.saw("listening", "\n".join(listening))
    # A token has the catalog of the moment it was made: only a new one has the new endpoints.
    return connect(service_settings.CLOUD, lab.folder.clouds_yaml)


def _start(lab: Lab, names: Sequence[str]) -> None:
    """Start those that do not run, in parallel, and wait until each answers."""
    starters = {
        name: lab.control.start_api if name in APIS else lab.control.start_daemon for name in names
    }
    with ThreadPoolExecutor(len(starters)) as pool:
        for started in [pool.submit(start, name) for name, start in starters.items()]:
            started.result()
