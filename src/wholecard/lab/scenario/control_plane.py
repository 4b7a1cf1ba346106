"""The control plane's side of the way: services up, catalog, the drop-ins for the cards."""

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
# These know nothing of cards: they need not wait until the node's are known.
CARDLESS = ("keystone", "glance", "neutron")


def conf_paths(lab: Lab, role: Role) -> tuple[Path, Path]:
    """A role's own file and its drop-in, in the lab's folder; the node has copies of compute's."""
    etc = lab.place.run / "etc"
    if role == "placement":
        return etc / "placement/placement.conf", etc / f"placement/{PLACEMENT_DROP_IN}"
    return etc / f"nova-{role}/nova.conf", etc / f"nova-{role}" / DROP_IN


def drop_in_path(lab: Lab, role: Role) -> Path:
    """A role's drop-in in the lab's folder."""
    return conf_paths(lab, role)[1]


def write_configuration(lab: Lab) -> None:
    """Every configuration file of the lab, nova-compute's too, without anything about cards."""
    service_settings.write_all(lab.settings, lab.place.run, lab.parts.environment)


def write_drop_ins(lab: Lab, file: SiteFile) -> DropIns:
    """Render every role's drop-in from the site and write it into the lab's folder.

    Raises UsageError for what nova would not take.
    """
    config = cards_config(file)
    filters = read_enabled_filters([lab.place.run / "etc/nova-scheduler/nova.conf"])
    texts = {role: render(role, config, filters, file.release) for role in ROLES}
    for role, text in texts.items():
        service_settings.write_private(drop_in_path(lab, role), text)
    return texts


def start_cloud(
    lab: Lab, story: Story, planted: Path, drop_ins: Future[DropIns] | None = None
) -> Connection:
    """Bring the control plane up on the databases of `planted` until everything answers.

    `drop_ins` is as for `start_services`.
    """
    control = lab.control
    with story.step("cloud: databases, RabbitMQ"):
        database_seed.plant(planted, lab.place.run)
        with ThreadPoolExecutor(2) as pool:
            waiting = [pool.submit(control.start_mariadb), pool.submit(control.start_rabbitmq)]
            for one in waiting:
                one.result()
    return start_services(lab, story, drop_ins)


def start_services(lab: Lab, story: Story, drop_ins: Future[DropIns] | None = None) -> Connection:
    """Start what does not run of OpenStack, wait until it answers, mend users and catalog.

    What reads about cards starts when `drop_ins` are written; without it they are there.
    """
    with story.step("cloud: keystone, glance, neutron"):
        _start(lab, CARDLESS)
    # Before nova's daemons: one whose user is not there yet ends (seen, HTTP 401).
    with story.step("cloud: users and endpoints in Keystone"):
        register(connect(service_settings.CLOUD, lab.place.clouds_yaml), lab.settings)
    if drop_ins is not None:
        drop_ins.result()
    with story.step("cloud: placement, nova, with the rendered files") as step:
        # A daemon asks Placement when it starts, and may end where that does not answer yet.
        _start(lab, tuple(APIS))
        _start(lab, tuple(DAEMONS))
        step.saw("listening", "\n".join(f"127.0.0.1:{lab.settings.ports[n]} {n}" for n in APIS))
    # A token carries the catalog of its moment: only a new one knows the new endpoints.
    return connect(service_settings.CLOUD, lab.place.clouds_yaml)


def _start(lab: Lab, names: Sequence[str]) -> None:
    """Start those that do not run, side by side, and wait until each answers."""
    starters = {
        name: lab.control.start_api if name in APIS else lab.control.start_daemon for name in names
    }
    with ThreadPoolExecutor(len(starters)) as pool:
        for one in [pool.submit(start, name) for name, start in starters.items()]:
            one.result()
