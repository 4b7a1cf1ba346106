"""The control plane: RabbitMQ, MariaDB and OpenStack's services, each a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from wholecard.core import RunError
from wholecard.guest.image.sandbox import PATH, Mount, Sandbox
from wholecard.lab.base import process
from wholecard.lab.base.errors import LabError, log_tail
from wholecard.lab.base.ports import LOOPBACK
from wholecard.lab.parts.python_environment import INSIDE

DATABASES = ("keystone", "placement", "glance", "neutron", "nova_api", "nova", "nova_cell0")
PYTHON = f"{INSIDE}/bin/python"
SCRIPTS = Path(__file__).parents[1] / "inside"

# Service, its WSGI module, its configuration folder.
APIS = {
    "keystone": ("keystone.wsgi.api", "keystone"),
    "placement": ("placement.wsgi.api", "placement"),
    "glance": ("glance.wsgi.api", "glance"),
    "neutron": ("neutron.wsgi.api", "neutron"),
    "nova-api": ("nova.wsgi.osapi_compute", "nova-api"),
}
DAEMONS = {"nova-conductor": "nova-conductor", "nova-scheduler": "nova-scheduler"}

MARIADB = ["mariadbd", "--no-defaults", "--user=root", "--datadir=/lab/mysql",
           "--socket=/lab/mysql.sock", "--max-connections=300",
           "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=32M",
           "--innodb-buffer-pool-size=128M", "--performance-schema=OFF"]  # fmt: skip


@dataclass(frozen=True)
class Control:
    """The control plane of one lab, all in the folder `run`, which its programs see as `/lab`.

    `owner` is the run folder that marks the lab's processes; it differs from `run` only while a
    set of databases is made for the cache, by a MariaDB of another name (`mariadb`).
    """

    root: Path
    environment: Path
    run: Path
    owner: Path
    ports: Mapping[str, int] = field(default_factory=dict)
    mariadb: str = "mariadb"

    @property
    def logs(self) -> Path:
        """One log per service."""
        return self.run / "log"

    def inside(self, configuration: str = "") -> Sandbox:
        """The root with the environment, the lab's folder and one service's configuration."""
        mounts = [
            Mount(self.environment, INSIDE),
            Mount(self.run, "/lab", writable=True),
            Mount(SCRIPTS, "/opt/tools"),
        ]
        if configuration:
            package = "nova" if configuration.startswith("nova-") else configuration
            mounts.append(Mount(self.run / "etc" / configuration, f"/etc/{package}"))
        environment = {"PATH": f"{INSIDE}/bin:{PATH}", "PYTHONDONTWRITEBYTECODE": "1"}
        return Sandbox(self.root, tuple(mounts), environment=environment)

    # MariaDB

    def make_databases(self) -> None:
        """An empty MariaDB in `run/mysql`."""
        data = self.run / "mysql"
        if data.exists():
            shutil.rmtree(data)
        data.mkdir(mode=0o700)
        self.inside().run(
            ["mariadb-install-db", "--no-defaults", "--user=root", "--datadir=/lab/mysql",
             "--auth-root-authentication-method=normal", "--skip-test-db",
             "--innodb-log-file-size=32M"], timeout=600,
        )  # fmt: skip

    def start_mariadb(self) -> None:
        """Start MariaDB where it does not run and wait until it answers.

        A lab's listens on loopback too, for the accounts of `database_accounts`.
        """
        log = self.logs / "mariadb.log"
        if self.mariadb in process.running(self.owner):
            return
        network = ["--skip-networking"]
        if self.owner == self.run:
            network = [
                f"--bind-address={LOOPBACK}", f"--port={self.ports['mariadb']}",
                "--skip-name-resolve", "--init-file=/lab/etc/mariadb/accounts.sql",
            ]  # fmt: skip
        command = [*MARIADB, *network]
        service = process.start(self.inside(), self.owner, self.mariadb, command, log)
        process.wait_until(
            self._mariadb_answers, timeout=600, what="MariaDB answers", service=service, log=log
        )

    def _mariadb_answers(self) -> bool:
        # A socket's address holds 108 bytes at most, a folder's path may be longer.
        folder = os.open(self.run, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(5)
                connection.connect(f"/proc/self/fd/{folder}/mysql.sock")
                return bool(connection.recv(1))
        except OSError:
            return False
        finally:
            os.close(folder)

    def sql(self, statements: str, timeout: float = 30) -> list[list[str]]:
        """Run statements; rows of the answer as lists of texts, the header first."""
        answer = self.inside().run(
            ["mariadb", "--no-defaults", "--batch", "-S", "/lab/mysql.sock", "-u", "root"],
            timeout=timeout, stdin=statements,
        )  # fmt: skip
        return [line.split("\t") for line in answer.stdout.splitlines()]

    def stop_mariadb_cleanly(self, timeout: float = 60) -> None:
        """End MariaDB by SIGTERM, so that its files need no recovery."""
        service = process.running(self.owner).get(self.mariadb)
        if service is None:
            return
        for member in service.processes:
            if member.name() == "mariadbd":
                member.send_signal(signal.SIGTERM)
        process.wait_until(
            lambda: self.mariadb not in process.running(self.owner),
            timeout=timeout, what="MariaDB ends", log=self.logs / "mariadb.log",
        )  # fmt: skip

    def prepare(self, service: str, secrets: Mapping[str, str]) -> None:
        """Fill a service's database; the secrets are passed by standard input, where no `ps` is."""
        configuration = "nova-api" if service == "nova" else service
        try:
            self.inside(configuration).run(
                [PYTHON, "-W", "ignore", "/opt/tools/prepare.py", service],
                timeout=300, stdin=json.dumps(dict(secrets)),
            )  # fmt: skip
        except RunError as error:
            raise LabError(
                f"{service}'s database could not be made",
                f"{error.details}\n{log_tail(self.logs / f'{service}.log')}",
                "Run `wholecard lab down`, then the command again.",
            ) from error  # fmt: skip

    # RabbitMQ

    def start_rabbitmq(self) -> None:
        """Start RabbitMQ where it does not run and wait until it answers AMQP."""
        log = self.logs / "rabbitmq.log"
        home = self.run / "rabbitmq"
        service = None
        if "rabbitmq" not in process.running(self.owner):
            if home.exists():
                shutil.rmtree(home)
            home.mkdir(mode=0o700)
            (home / "enabled_plugins").write_text("[].\n")
            inside = replace(self.inside(), environment=self._rabbitmq_environment())
            service = process.start(inside, self.owner, "rabbitmq",
                                    ["/usr/lib/rabbitmq/bin/rabbitmq-server"], log)  # fmt: skip
        process.wait_until(
            lambda: speaks_amqp(self.ports["rabbitmq"]), timeout=600, what="RabbitMQ answers",
            service=service, log=log,
        )  # fmt: skip

    def _rabbitmq_environment(self) -> dict[str, str]:
        """Everything on loopback: AMQP, Erlang's distribution, epmd (RabbitMQ, "Networking")."""
        # One scheduler thread, and none of them spins while it waits: two cores run everything.
        beam = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"
        return {
            "HOME": "/lab/rabbitmq",
            "RABBITMQ_NODENAME": "wholecard@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(self.ports["rabbitmq"]),
            "RABBITMQ_DIST_PORT": str(self.ports["rabbitmq-dist"]),
            "ERL_EPMD_PORT": str(self.ports["epmd"]),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                f"{beam} -kernel inet_dist_use_interface {{127,0,0,1}}",
            "RABBITMQ_CONFIG_FILE": "/lab/etc/rabbitmq/rabbitmq",
            "RABBITMQ_CONF_ENV_FILE": "/lab/etc/rabbitmq/none.env",
            "RABBITMQ_ENABLED_PLUGINS_FILE": "/lab/rabbitmq/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": "/lab/rabbitmq/mnesia",
            "RABBITMQ_LOG_BASE": "/lab/rabbitmq/log",
        }  # fmt: skip

    def queues(self) -> dict[str, int]:
        """Each queue of the broker with the number of its consumers; raises RunError."""
        inside = replace(self.inside(), environment=self._rabbitmq_environment())
        command = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "list_queues", "name", "consumers",
                   "--silent"]  # fmt: skip
        rows = inside.run(command, timeout=600).stdout.splitlines()
        return {name: int(count) for name, _, count in (row.partition("\t") for row in rows)
                if count.isdigit()}  # fmt: skip

    # OpenStack

    def start_api(self, name: str) -> None:
        """Start one API where it does not run and wait until it answers HTTP."""
        module, configuration = APIS[name]
        port = self.ports[name]
        command = [PYTHON, "-W", "ignore", "/opt/tools/serve.py", str(port), module]
        self._start_and_wait(name, configuration, command, lambda: answers_http(port))

    def start_daemon(self, name: str) -> None:
        """Start nova-conductor or nova-scheduler where it does not run; wait until it takes calls.

        It listens only on RabbitMQ. Before that it asks Placement, and it ends where Placement does
        not answer: that its process was started does not say that it works.
        """
        command = [f"{INSIDE}/bin/{name}"]
        self._start_and_wait(
            name, DAEMONS[name], command, lambda: self.queues().get(topic(name), 0) > 0, every=2.0
        )

    def _start_and_wait(
        self, name: str, configuration: str, command: list[str], ready: Callable[[], bool],
        every: float = 0.1,
    ) -> None:  # fmt: skip
        log = self.logs / f"{name}.out"
        service = None
        if name not in process.running(self.owner):
            service = process.start(self.inside(configuration), self.owner, name, command, log)
        process.wait_until(
            ready, timeout=600, what=f"{name} answers", service=service, log=log, every=every
        )


def topic(daemon: str) -> str:
    """The queue on which nova-conductor or nova-scheduler takes calls."""
    return daemon.removeprefix("nova-")


def speaks_amqp(port: int) -> bool:
    """Whether a broker answers AMQP 0-9-1's protocol header on this loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(connection.recv(7))
    except OSError:
        return False


def answers_http(port: int) -> bool:
    """Whether an HTTP service answers anything but a server's error on this loopback port."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
