"""The databases of a new cloud: made once, then copied into each lab."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wholecard.lab.base import cache, process
from wholecard.lab.base.folder import LabFolder, key_of, key_of_files
from wholecard.lab.base.ports import choose
from wholecard.lab.control import service_settings
from wholecard.lab.control.services import DATABASES, Control

SECRETS = "secrets.json"
SERVICE = "mariadb-of-seed"
PARTS = ("mysql", "keystone")
# The code that makes the schemas; a change of other code does not make them anew.
MADE_BY = ("control/database_seed.py", "control/database_accounts.py", "control/services.py",
           "inside/prepare.py")  # fmt: skip


def seed_entry(folder: LabFolder, root: Path, environment: Path) -> Path:
    """The folder with MariaDB's files, keystone's keys and the secrets that belong to them."""
    here = Path(__file__).parents[1]
    key = key_of(root.name, environment.name, key_of_files(*(here / name for name in MADE_BY)))

    def build(target: Path) -> None:
        values = service_settings.ServiceSettings(choose(), service_settings.make_secrets())
        control = Control(root, environment, target, folder.run, values.ports, SERVICE)
        service_settings.write_private(target / SECRETS, json.dumps(dict(values.secrets)))
        service_settings.write_all(values, target, environment)
        (target / "log").mkdir()
        keys = [f"keystone/{kind}" for kind in ("fernet", "credential", "receipts")]
        for name in (*keys, "nova", "neutron"):
            (target / name).mkdir(parents=True, mode=0o700)
        try:
            _fill(control, values)
            control.stop_mariadb_cleanly()
        finally:
            process.stop(folder.run, [SERVICE])
        scratch = ("etc", "log", "nova", "neutron", "clouds.yaml")
        for name in (*scratch, *service_settings.CONNECTIONS):
            cache.remove_tree(target / name)

    return cache.entry(folder.cache, "seed", key, build, (SECRETS, "mysql/ibdata1"))


def _fill(control: Control, values: service_settings.ServiceSettings) -> None:
    control.make_databases()
    control.start_mariadb()
    control.sql("".join(f"create database {name} character set utf8mb3;" for name in DATABASES))
    secrets = {"admin": values.secrets["admin"], "keystone_url": values.url("keystone")}
    # nova's migrations take as long as all others together.
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(control.prepare, "nova", {}),
            pool.submit(_fill_others, control, secrets),
        ]
        for filled in both:
            filled.result()


def _fill_others(control: Control, secrets: dict[str, str]) -> None:
    for name in ("keystone", "neutron", "glance", "placement"):
        control.prepare(name, secrets)


def plant(source: Path, run: Path) -> None:
    """Copy databases, keys and images of a seed (or of a saved lab) into a lab's folder."""
    for part in (*PARTS, "glance", "nova", "neutron"):
        cache.remove_tree(run / part)
        if (source / part).is_dir():
            shutil.copytree(source / part, run / part, symlinks=True)
    for name in ("glance/images", "glance/staging", "glance/tasks", "nova/lock", "neutron/lock"):
        (run / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    service_settings.write_private(run / SECRETS, (source / SECRETS).read_text())
