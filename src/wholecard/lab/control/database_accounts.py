"""Who may ask the lab's databases over TCP, and the files that tell `wholecard audit` so.

The services use MariaDB's socket as root. An audit comes as in any other cloud: over TCP, with an
account that only reads, and a repair with a second one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wholecard.lab.base.ports import LOOPBACK

# Sections of the files, as an audit knows them, and the database that each names.
SECTIONS = {"cell cell1": "nova", "placement": "placement", "api": "nova_api"}
READABLE = ("nova", "nova_api", "nova_cell0", "placement")


@dataclass(frozen=True)
class Account:
    """An account of MariaDB: its name, which is also its secret's, and what it may write."""

    name: str
    purpose: str
    grants: tuple[str, ...] = ()


READER = Account("wholecard_read", "an account that only reads")
REPAIRER = Account(
    "wholecard_repair", "an account that may also change nova's rows of PCI devices",
    # A repair changes and deletes rows, and a rollback puts deleted ones back.
    ("INSERT, UPDATE, DELETE ON nova.pci_devices",),
)  # fmt: skip
# By the file that names the account, in the lab's folder.
ACCOUNTS = {"databases.ini": READER, "databases-repair.ini": REPAIRER}


def accounts_sql(secrets: Mapping[str, str]) -> str:
    """What MariaDB runs before it takes connections: a statement a line (`--init-file`).

    The root that mariadb-install-db makes has no password: over TCP it must not exist.
    """
    lines = [f"DROP USER IF EXISTS 'root'@'{LOOPBACK}', 'root'@'::1';"]
    for account in ACCOUNTS.values():
        user = f"'{account.name}'@'{LOOPBACK}'"
        lines.append(f"CREATE OR REPLACE USER {user} IDENTIFIED BY '{secrets[account.name]}';")
        grants = (*(f"SELECT ON {name}.*" for name in READABLE), *account.grants)
        lines += [f"GRANT {grant} TO {user};" for grant in grants]
    return "\n".join([*lines, ""])


def databases_ini(account: Account, port: int, password: str) -> str:
    """The file with the databases' URLs for one account, for `wholecard audit`."""
    lines = [f"# Written by `wholecard lab up`: {account.purpose}."]
    for section, database in SECTIONS.items():
        url = f"mysql+pymysql://{account.name}:{password}@{LOOPBACK}:{port}/{database}"
        lines += [f"[{section}]", f"connection = {url}"]
    return "\n".join([*lines, ""])
