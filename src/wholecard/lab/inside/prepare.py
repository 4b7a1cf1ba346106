"""prepare.py SERVICE: everything a service's database needs, in one interpreter.

Runs with the lab's OpenStack environment. Importing nova costs seconds under load, so its
commands run in one process, through the manage modules' own entry points. Secrets come by
standard input as JSON: `{"admin": ..., "keystone_url": ...}`.
"""

import json
import os
import sys
import traceback


def nova() -> None:
    os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"
    sys.argv = ["nova-manage"]
    # First: it decides on nova's threading, which forbids eventlet to whatever comes later.
    from nova.cmd import manage
    from nova import config, objects

    config.parse_args(sys.argv)
    objects.register_all()
    done(manage.ApiDbCommands().sync())
    cell0 = manage.CONF.database.connection.replace("/nova?", "/nova_cell0?")
    done(manage.CellV2Commands().map_cell0(cell0))
    # The broker's address is filled in from each service's own transport_url.
    broker = "{scheme}://{username}:{password}@{hostname}:{port}/{path}"
    done(manage.CellV2Commands().create_cell(name="cell1", transport_url=broker))
    done(manage.DbCommands().sync())


def keystone() -> None:
    secrets = json.load(sys.stdin)
    os.environ["OS_BOOTSTRAP_PASSWORD"] = secrets["admin"]
    from keystone.cmd import cli

    def command(*words: str) -> None:
        # keystone's configuration is global: each command gets a fresh copy of this process.
        child = os.fork()
        if child == 0:
            status = 1
            try:
                cli.main(["keystone-manage", *words])
                status = 0
            except SystemExit as error:
                status = int(bool(error.code))
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        done(os.waitpid(child, 0)[1])

    owner = ("--keystone-user", "root", "--keystone-group", "root")
    command("db_sync")
    command("fernet_setup", *owner)
    command("credential_setup", *owner)
    url = secrets["keystone_url"] + "/v3"
    command("bootstrap", "--bootstrap-region-id", "RegionOne", "--bootstrap-public-url", url,
            "--bootstrap-internal-url", url, "--bootstrap-admin-url", url)


def glance() -> None:
    from glance.cmd import manage

    sys.argv = ["glance-manage", "db_sync"]
    done(manage.main())


def placement() -> None:
    from placement.cmd import manage

    sys.argv = ["placement-manage", "db", "sync"]
    done(manage.main())


def neutron() -> None:
    from neutron.db.migration import cli

    sys.argv = ["neutron-db-manage", "--config-file", "/etc/neutron/neutron.conf",
                "--config-file", "/etc/neutron/plugins/ml2/ml2_conf.ini", "upgrade", "heads"]
    done(cli.main())


def done(status: object) -> None:
    if status:
        sys.exit(f"failed: {status!r}")


if __name__ == "__main__":
    {f.__name__: f for f in (nova, keystone, glance, placement, neutron)}[sys.argv[1]]()
