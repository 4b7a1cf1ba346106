"""The control plane's configuration: whole, on loopback, private."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from urllib.parse import urlsplit

import jinja2
import pytest
from kombu.utils.url import url_to_parts
from openstack.config import OpenStackConfig
from oslo_config import cfg

from support.tree import grow
from wholecard.lab.base.ports import INNER, PREFERRED
from wholecard.lab.control import service_settings
from wholecard.lab.control.service_settings import ServiceSettings, make_secrets

# No port is the one that the node sees, so that the two cannot be mixed up.
PORTS = {name: port + 1000 for name, port in PREFERRED.items()}
SECRETS = make_secrets()
GIVEN = ServiceSettings(PORTS, SECRETS)
# Templates that are no configuration file of their own.
OTHER = {"parts.j2", "report.html.j2", "page.html.j2", "split.html.j2", "site.yaml.j2"}
# What the node gets.
COMPUTE = "etc/nova-compute/nova.conf"

# oslo.config's options of one file, as {section: {option: [values]}}.
Options = dict[str, dict[str, list[str]]]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """A lab's folder with every file in it, written by a person whose umask forbids nothing."""
    grow(tmp_path / "environment", {"etc/nova/api-paste.ini": ("[composite:osapi]\n", 0o644)})
    (tmp_path / "run").mkdir()
    before = os.umask(0)
    try:
        service_settings.write_all(GIVEN, tmp_path / "run", tmp_path / "environment")
        yield tmp_path / "run"
    finally:
        os.umask(before)


def files(run: Path) -> dict[str, str]:
    return {str(p.relative_to(run)): p.read_text() for p in run.rglob("*") if p.is_file()}


def parse(path: Path) -> Options:
    sections: Options = {}
    cfg.ConfigParser(str(path), sections).parse()
    return sections


def oslo(run: Path) -> dict[str, Options]:
    paths = [path for path in run.rglob("*.conf") if path.name != "rabbitmq.conf"]
    own = (run / "etc").rglob("*.ini")
    return {str(path.relative_to(run)): parse(path) for path in [*paths, *own]}


def test_every_file_is_there(run: Path) -> None:
    """Each service's configuration is where its package would have it; no part is left."""
    assert set(files(run)) == {
        "clouds.yaml", "databases.ini", "databases-repair.ini", "rabbit.ini",
        "etc/mariadb/accounts.sql",
        "etc/glance/glance-api.conf", "etc/keystone/keystone.conf",
        "etc/neutron/neutron.conf", "etc/neutron/plugins/ml2/ml2_conf.ini",
        "etc/nova-api/api-paste.ini", "etc/nova-api/nova.conf", COMPUTE,
        "etc/nova-conductor/nova.conf",
        "etc/nova-scheduler/nova.conf", "etc/placement/placement.conf",
        "etc/rabbitmq/rabbitmq.conf",
    }  # fmt: skip


def test_every_template_is_rendered(run: Path) -> None:
    """There is no template that none of these files comes from."""
    templates = {path.name for path in service_settings.TEMPLATES.glob("*.j2")} - OTHER
    assert templates <= {f"{Path(name).name}.j2" for name in files(run)}


def test_missing_value_is_an_error() -> None:
    """A template that lacks a port or a secret is an error, not an empty value."""
    with pytest.raises(jinja2.UndefinedError):
        ServiceSettings(PORTS, {}).render("rabbitmq.conf.j2")
    with pytest.raises(jinja2.UndefinedError):
        ServiceSettings({"keystone": 1}, SECRETS).render("rabbitmq.conf.j2")
    with pytest.raises(jinja2.UndefinedError):
        GIVEN.render("clouds.yaml.j2")


def test_oslo_config_parses_every_file(run: Path) -> None:
    """oslo.config reads each file, finds options in it, and none that a template left undone."""
    for name, sections in oslo(run).items():
        assert sections, name
        for section, options in sections.items():
            assert re.fullmatch(r"[\w:]+", section), name
            for option, values in options.items():
                assert re.fullmatch(r"\w+", option), name
                assert not [value for value in values if re.search(r"[{}]|\n", value)], name


@pytest.mark.parametrize("role", ["api", "scheduler", "conductor"])
def test_sections_of_the_control_planes_nova(run: Path, role: str) -> None:
    """The control plane's nova.conf has databases and clients, nothing of libvirt or cards."""
    sections = parse(run / f"etc/nova-{role}/nova.conf")
    assert set(sections) == {
        "DEFAULT", "oslo_concurrency", "oslo_messaging_rabbit", "oslo_messaging_notifications",
        "notifications", "vnc", "glance", "api", "api_database", "database",
        "keystone_authtoken", "placement", "neutron", "service_user",
        {"api": "keystone"}.get(role, role),
    }  # fmt: skip
    assert sections["DEFAULT"]["host"] == ["lab-control"]


def test_sections_of_the_nodes_nova(run: Path) -> None:
    """A node's nova.conf knows no database, and reaches the rest by what the node sees."""
    sections = parse(run / COMPUTE)
    assert set(sections) == {
        "DEFAULT", "oslo_concurrency", "oslo_messaging_rabbit", "oslo_messaging_notifications",
        "notifications", "vnc", "glance", "libvirt", "workarounds", "privsep_osbrick",
        "vif_plug_ovs_privileged", "vif_plug_linux_bridge_privileged", "nova_sys_admin",
        "keystone_authtoken", "placement", "neutron", "service_user",
    }  # fmt: skip
    assert sections["libvirt"]["virt_type"] == ["kvm"]
    assert sections["placement"]["valid_interfaces"] == ["internal"]
    assert sections["service_user"]["send_service_user_token"] == ["true"]


def test_nodes_share_one_file(run: Path) -> None:
    """nova.conf of the nodes names none of them: each says in a file of its own who it is."""
    options = parse(run / COMPUTE)
    assert not {"host", "my_ip"} & set(options["DEFAULT"])
    assert options["libvirt"]["live_migration_inbound_addr"] == ["$my_ip"]


@pytest.mark.parametrize("role", ["api", "scheduler", "conductor", "compute"])
def test_every_role_sends_versioned_notifications(run: Path, role: str) -> None:
    """Every service of nova sends notifications to the broker, in the versioned format alone."""
    options = parse(run / f"etc/nova-{role}/nova.conf")
    assert options["oslo_messaging_notifications"] == {"driver": ["messagingv2"]}
    assert options["notifications"] == {"notification_format": ["versioned"]}


def test_url_for_a_listener(run: Path) -> None:
    """rabbit.ini has the broker's URL, with the virtual host `/`, as kombu reads it."""
    file = ConfigParser()
    file.read(run / "rabbit.ini")
    url = url_to_parts(file["rabbitmq"]["url"])
    assert (url.scheme, url.hostname, url.port) == ("amqp", "127.0.0.1", PORTS["rabbitmq"])
    assert (url.username, url.password) == ("wholecard", SECRETS["rabbitmq"])
    assert url.path == "/"


@pytest.mark.parametrize(
    ("name", "user"),
    [("nova-api/nova.conf", "nova"), ("glance/glance-api.conf", "glance"),
     ("placement/placement.conf", "placement"), ("neutron/neutron.conf", "neutron")],
)  # fmt: skip
def test_each_service_has_its_own_user(run: Path, name: str, user: str) -> None:
    """A service's token is had with its own user and password at keystone's port."""
    section = parse(run / "etc" / name)["keystone_authtoken"]
    assert section["username"] == [user]
    assert section["password"] == [SECRETS[user]]
    assert section["auth_url"] == [f"http://127.0.0.1:{PORTS['keystone']}/v3"]


def hosts(text: str) -> set[str]:
    """Host and port of each URL; a database's is the path of its socket."""
    addresses = set()
    for url in re.findall(r"[\w+]+://[^\s,]+", text):
        parts = urlsplit(url)
        socket = re.search(r"unix_socket=([^&]+)", parts.query)
        addresses.add(socket.group(1) if socket else parts.netloc.rpartition("@")[2])
    return addresses


def test_control_plane_is_on_loopback(run: Path) -> None:
    """Every URL of the control plane is on loopback at a port of this lab; databases are
    sockets.
    """
    allowed = {f"127.0.0.1:{port}" for port in PORTS.values()} | {"/lab/mysql.sock"}
    seen = set()
    for name, text in files(run).items():
        if name != COMPUTE:
            assert hosts(text) <= allowed, name
            seen |= hosts(text)
    assert "/lab/mysql.sock" in seen
    services = ("keystone", "glance", "rabbitmq")
    assert {f"127.0.0.1:{PORTS[name]}" for name in services} <= seen


def test_node_sees_one_address(run: Path) -> None:
    """Every URL of the node's nova.conf is at the one address that QEMU carries to loopback."""
    assert hosts((run / COMPUTE).read_text()) == {
        f"10.0.2.100:{INNER[name]}" for name in ("keystone", "glance", "rabbitmq")
    }  # fmt: skip
    assert {service_settings.node_url(name) for name in INNER} == {
        f"http://10.0.2.100:{port}" for port in INNER.values()
    }  # fmt: skip


def test_no_other_address(run: Path) -> None:
    """No file names another address: no listener is on all of them, and RabbitMQ's is loopback."""
    for name, text in files(run).items():
        addresses = set(re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text))
        assert addresses <= ({"10.0.2.100"} if name == COMPUTE else {"127.0.0.1"}), name
        # Once it is named to be removed.
        rest = text.replace("'root'@'::1'", "")
        assert not re.search(r"(?<![\w:])::(?![\w:])|\[::", rest), name
    rabbitmq = files(run)["etc/rabbitmq/rabbitmq.conf"]
    listeners = re.findall(r"^listeners\..*", rabbitmq, re.MULTILINE)
    assert listeners == [f"listeners.tcp.default = 127.0.0.1:{PORTS['rabbitmq']}"]


def test_no_file_is_readable_by_others(run: Path) -> None:
    """Every file has mode 0600, whatever the umask; so no secret is anybody else's to read."""
    modes = {name: (run / name).stat().st_mode & 0o777 for name in files(run)}
    assert set(modes.values()) == {0o600}
    with_secrets = {name for name, text in files(run).items()
                    if any(secret in text for secret in SECRETS.values())}  # fmt: skip
    assert {"clouds.yaml", COMPUTE, "etc/rabbitmq/rabbitmq.conf", "etc/mariadb/accounts.sql",
            *service_settings.CONNECTIONS} <= with_secrets  # fmt: skip


@pytest.mark.filterwarnings("ignore:Support for InfluxDB")
def test_clouds_yaml(run: Path) -> None:
    """openstacksdk finds the administrator in clouds.yaml; its head says how it is used."""
    path = run / "clouds.yaml"
    configuration = OpenStackConfig(config_files=[str(path)], secure_files=[], load_envvars=False)
    cloud = configuration.get_one(cloud=service_settings.CLOUD).config
    assert cloud["auth"]["auth_url"] == f"http://127.0.0.1:{PORTS['keystone']}/v3"
    assert cloud["auth"]["username"] == "admin"
    assert cloud["auth"]["password"] == SECRETS["admin"]
    assert (cloud["region_name"], cloud["interface"]) == ("RegionOne", "public")
    assert f"OS_CLIENT_CONFIG_FILE={path}\n" in path.read_text()


def test_secrets_are_new_each_time() -> None:
    """Each user has a password of its own, of 48 hexadecimal digits, new with each call."""
    first, second = make_secrets(), make_secrets()
    assert set(first) == {"admin", "rabbitmq", "nova", "glance", "placement", "neutron",
                          "wholecard_read", "wholecard_repair"}  # fmt: skip
    assert len({*first.values(), *second.values()}) == 2 * len(first)
    for secret in first.values():
        assert len(secret) == 48
        assert set(secret) <= set(string.hexdigits)


def test_secrets_are_loaded_as_they_were(tmp_path: Path) -> None:
    """Passwords that were kept are the same afterwards."""
    path = grow(tmp_path, {"secrets.json": '{"admin": "a", "nova": "b"}'}) / "secrets.json"
    assert service_settings.load_secrets(path) == {"admin": "a", "nova": "b"}


def test_private_file_takes_the_old_ones_place(tmp_path: Path) -> None:
    """A file is replaced whole, in a folder that only its owner enters; neither the old one's mode
    nor what a killed write left matters.
    """
    path = tmp_path / "etc/nova/nova.conf"
    service_settings.write_private(path, "one\n")
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o644)
    grow(path.parent, {".nova.conf.wholecard-new": ("half", 0o666)})
    service_settings.write_private(path, "two\n")
    assert [each.name for each in path.parent.iterdir()] == ["nova.conf"]
    assert path.read_text() == "two\n"
    assert path.stat().st_mode & 0o777 == 0o600
