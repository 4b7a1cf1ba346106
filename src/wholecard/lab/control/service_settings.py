"""The services' configuration files, written from templates into the lab's folder."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from wholecard.lab.base.ports import INNER, LOOPBACK, OUTER_ADDRESS
from wholecard.lab.control.database_accounts import ACCOUNTS, accounts_sql, databases_ini
from wholecard.transaction.atomic_files import write_atomically

TEMPLATES = Path(__file__).parents[1] / "templates"
CONTROL_HOST = "lab-control"
USERS = ("nova", "glance", "placement", "neutron")
CLOUD = "wholecard-lab"
# Where a service that listens to nova's notifications finds the broker.
RABBIT_INI = "rabbit.ini"
# Files in a lab's folder with which other programs connect to it beside clouds.yaml; for what.
CONNECTIONS = {
    **{file: f"databases, {account.purpose}" for file, account in ACCOUNTS.items()},
    RABBIT_INI: "nova's notifications",
}


@dataclass(frozen=True)
class ServiceSettings:
    """What every configuration file of a lab is made from: its ports and its secrets."""

    ports: Mapping[str, int]
    secrets: Mapping[str, str]

    def url(self, service: str) -> str:
        """Where a service answers on the machine itself."""
        return f"http://{LOOPBACK}:{self.ports[service]}"

    def render(self, template: str, **more: object) -> str:
        """The text of one file."""
        return _environment().get_template(template).render(
            ports=self.ports, secrets=self.secrets, url=self.url, database=database,
            keystone=self.url("keystone"), **more,
        )  # fmt: skip

    def nova_conf(self, role: str) -> str:
        """nova.conf without anything about cards, which is in Wholecard's own drop-in.

        A node's has no host and no address: each node knows its own (`IDENTITY` in
        parts/root_filesystem.py), so that all have the same file.
        """
        if role == "compute":
            service = {
                "role": role, "host": "", "address": "", "interface": "internal",
                "state": "/var/lib/nova", "logs": "/var/log/nova",
                "rabbitmq": f"{OUTER_ADDRESS}:{INNER['rabbitmq']}",
                "keystone": node_url("keystone"), "glance": node_url("glance"),
            }  # fmt: skip
        else:
            service = {
                "role": role, "host": CONTROL_HOST, "address": LOOPBACK, "interface": "public",
                "state": "/lab/nova", "logs": "/lab/log",
                "rabbitmq": f"{LOOPBACK}:{self.ports['rabbitmq']}",
                "keystone": self.url("keystone"), "glance": self.url("glance"),
            }  # fmt: skip
        return self.render("nova.conf.j2", service=service)


def node_url(service: str) -> str:
    """Where a service answers for a node."""
    return f"http://{OUTER_ADDRESS}:{INNER[service]}"


def database(name: str) -> str:
    """The URL of a database for the services: by socket, as root."""
    return f"mysql+pymysql://root@localhost/{name}?unix_socket=/lab/mysql.sock&charset=utf8mb4"


def make_secrets() -> dict[str, str]:
    """A password of its own for each user of the lab, new with each set of databases."""
    accounts = [account.name for account in ACCOUNTS.values()]
    return {name: secrets.token_hex(24) for name in ("admin", "rabbitmq", *USERS, *accounts)}


def load_secrets(path: Path) -> dict[str, str]:
    """The passwords kept at `path`."""
    return dict(json.loads(path.read_text()))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(path, text.encode(), 0o600)


def write_all(settings: ServiceSettings, run: Path, environment: Path) -> None:
    """Write every service's configuration below `run/etc`, as its package would in `/etc`."""
    etc = run / "etc"
    for service, name in (("keystone", "keystone.conf"), ("placement", "placement.conf"),
                          ("glance", "glance-api.conf"), ("neutron", "neutron.conf")):  # fmt: skip
        write_private(etc / service / name, settings.render(f"{name}.j2"))
    write_private(etc / "neutron/plugins/ml2/ml2_conf.ini", settings.render("ml2_conf.ini.j2"))
    for role in ("api", "scheduler", "conductor", "compute"):
        write_private(etc / f"nova-{role}/nova.conf", settings.nova_conf(role))
    paste = (environment / "etc/nova/api-paste.ini").read_text()
    write_private(etc / "nova-api/api-paste.ini", paste)
    write_private(etc / "rabbitmq/rabbitmq.conf", settings.render("rabbitmq.conf.j2"))
    write_private(etc / "mariadb/accounts.sql", accounts_sql(settings.secrets))
    for file, account in ACCOUNTS.items():
        password = settings.secrets[account.name]
        write_private(run / file, databases_ini(account, settings.ports["mariadb"], password))
    write_private(run / RABBIT_INI, settings.render("rabbit.ini.j2"))
    clouds = run / "clouds.yaml"
    write_private(clouds, settings.render("clouds.yaml.j2", path=clouds))


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
    )
