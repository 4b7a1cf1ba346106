"""nova's side of the simulator: run with the Python that has nova, nothing of ours.

Reads a command a line as JSON on standard input and writes one answer a line. `world` makes it;
`begin` starts a move and `step` takes it over its next statement; `run` takes it to its end.
Placement listens on a port of loopback besides, for a repair.
"""

from __future__ import annotations

import datetime
import json
import os
import random
import socketserver
import sys
import threading
import traceback
import uuid
import wsgiref.simple_server
from pathlib import Path

# nova's modules print at import; the answers alone go to standard output.
ANSWERS_TO = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
sys.path.insert(0, str(Path(__file__).parent))

import nova_world  # noqa: E402
from nova_moves import Moves, NoHostError  # noqa: E402
from oslo_utils import timeutils  # noqa: E402

from nova import exception, objects  # noqa: E402

# What nova answers a user or an operator with: the move ends, and nothing of it is wrong here.
REFUSALS = (NoHostError, exception.NovaException)


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        """Nothing is logged."""


class Threads(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Side:
    """The commands."""

    def __init__(self):
        self.world = self.moves = None
        self.begun = {}
        self.number = 0

    def do_world(self, folder, hosts, cards, seed):
        # The same ids in every run of a seed.
        ids = random.Random(f"ids {seed}")
        uuid.uuid4 = lambda: uuid.UUID(int=ids.getrandbits(128), version=4)
        self.world = nova_world.World(folder, hosts, cards)
        self.random = random.Random(seed)
        self.moves = Moves(self.world, self.random.choice)
        server = wsgiref.simple_server.make_server(
            "127.0.0.1", 0, self.ask, server_class=Threads, handler_class=Quiet
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return {"port": server.server_port}

    def ask(self, environ, answer):
        # The clock's override is that of a thread's module, and so this one's too.
        environ.setdefault("HTTP_X_AUTH_TOKEN", "admin")
        return self.world.app(environ, answer)

    def do_begin(self, move, args):
        self.number += 1
        self.begun[self.number] = getattr(self.moves, move)(*args)
        return {"id": self.number, **self.do_step(self.number)}

    def do_step(self, number):
        try:
            return {"at": next(self.begun[number]), "error": ""}
        except StopIteration:
            error = ""
        except REFUSALS as raised:
            error = f"{type(raised).__name__}: {raised}"[:300]
        del self.begun[number]
        return {"at": "", "error": error}

    def do_run(self, move, args):
        made = self.do_begin(move, args)
        stages = []
        while made["at"]:
            stages.append(made["at"])
            made = self.do_step(self.number)
        return {"stages": stages, "error": made["error"]}

    def do_doubt(self):
        """Placement is asked each time from now on; how often its answers were compared."""
        self.world.remembered.doubted = True
        return {"compared": self.world.remembered.compared}

    def do_kill(self, move, args, left):
        """A move, or `periodic` of a host, and nova-compute is killed after so many statements.

        A boot is nova-compute's from `building` on. The service does not start again by itself.
        """
        does = getattr(self.moves, move, None)
        work = does(*args) if does else self.world.computes[args[0]].at_work()
        begins = "building" if move == "boot" else None
        try:
            return {"killed": self.world.life.spend(work, begins, left), "error": ""}
        except REFUSALS as raised:
            return {"killed": False, "error": f"{type(raised).__name__}: {raised}"[:300]}

    def do_periodic(self, hosts):
        errors = {}
        for host in hosts:
            compute = self.world.computes[host]
            if compute.tracker:
                try:
                    compute.periodic()
                except exception.NovaException as raised:
                    errors[host] = f"{type(raised).__name__}: {raised}"[:300]
        return {"errors": errors}

    def do_tick(self, seconds):
        self.world.tick(seconds)
        return {"now": timeutils.utcnow().isoformat()}

    def do_set(self, now):
        """The clock is put to a time, which may be before."""
        self.world.now = datetime.datetime.fromisoformat(now)
        self.world.tick(0)
        return {}

    def do_down(self, host, forced):
        compute = self.world.computes[host]
        compute.tracker = None
        compute.service.forced_down = forced
        compute.service.save()
        return {}

    def do_spec(self, host, spec):
        self.world.computes[host].spec = spec
        return {}

    def do_devices(self, host, devices):
        self.world.computes[host].hypervisor.devices = devices
        return {}

    def do_domains(self, host, domains):
        self.world.computes[host].hypervisor.domains = domains
        return {}

    def do_hosts(self):
        return {
            "now": timeutils.utcnow().isoformat(),
            "hosts": {
                host: {
                    "devices": one.hypervisor.devices, "domains": one.hypervisor.domains,
                    "up": one.tracker is not None, "spec": one.spec,
                }
                for host, one in self.world.computes.items()
            },
        }  # fmt: skip

    def do_servers(self):
        rows = objects.InstanceList.get_by_filters(self.world.context, {"deleted": False})
        return {
            "servers": {
                row.uuid: {"host": row.host, "vm_state": row.vm_state,
                           "task_state": row.task_state, "cards": row.instance_type_id - 1}
                for row in rows
            }
        }  # fmt: skip


def main():
    side = Side()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(side, f"do_{command.pop('do')}")(**command)
        except Exception:  # what breaks here is told there, with where
            answer = {"broken": traceback.format_exc()}
        print(json.dumps(answer), flush=True, file=ANSWERS_TO)


if __name__ == "__main__":
    main()
