"""The control plane's side of the way: services up, catalog, nova.conf for the cards."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from openstack.connection import Connection

from wholecard.cloud.connection import connect
from wholecard.lab import seed, settings
from wholecard.lab.control import APIS, DAEMONS
from wholecard.lab.gpu import PCI
from wholecard.lab.lab import Lab
from wholecard.lab.register import register
from wholecard.lab.steps import Story
from wholecard.nova.filters import read_enabled_filters
from wholecard.nova.render import Role, render

DROP_IN = "nova.conf.d/50-wholecard.conf"
OUTER_ROLES: tuple[Role, ...] = ("api", "scheduler", "conductor")


def write_configuration(lab: Lab) -> dict[str, str]:
    """Every configuration file of the control plane; returns Wholecard's drop-ins by role."""
    run = lab.place.run
    settings.write_all(lab.settings, run, lab.parts.environment)
    texts: dict[str, str] = {}
    for role in OUTER_ROLES:
        folder = run / f"etc/nova-{role}"
        filters = read_enabled_filters([folder / "nova.conf"])
        texts[role] = render(role, PCI, filters)
        settings.write_private(folder / DROP_IN, texts[role])
    texts["compute"] = render("compute", PCI, ())
    return texts


def start_cloud(lab: Lab, story: Story, planted: Path) -> Connection:
    """Bring the control plane up on the databases of `planted` until everything answers."""
    control = lab.control
    with story.step("cloud: databases, RabbitMQ"):
        seed.plant(planted, lab.place.run)
        with ThreadPoolExecutor(2) as pool:
            waiting = [pool.submit(control.start_mariadb), pool.submit(control.start_rabbitmq)]
            for one in waiting:
                one.result()
    return start_services(lab, story)


def start_services(lab: Lab, story: Story) -> Connection:
    """Start what does not run of OpenStack, wait until it answers, mend the catalog."""
    control = lab.control
    with story.step("cloud: keystone, placement, glance, neutron, nova") as step:
        with ThreadPoolExecutor(len(APIS) + len(DAEMONS)) as pool:
            waiting = [pool.submit(control.start_api, name) for name in APIS]
            waiting += [pool.submit(control.start_daemon, name) for name in DAEMONS]
            for one in waiting:
                one.result()
        step.saw("listening", "\n".join(f"127.0.0.1:{lab.settings.ports[n]} {n}" for n in APIS))
    with story.step("cloud: users and endpoints in Keystone"):
        register(connect(settings.CLOUD, lab.place.clouds_yaml), lab.settings)
    # A token carries the catalog of its moment: only a new one knows the new endpoints.
    return connect(settings.CLOUD, lab.place.clouds_yaml)
