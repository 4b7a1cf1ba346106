"""The accounts that audit and repair use: what each may do, and the files that name them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wholecard.audit.views.databases_file import read_databases
from wholecard.lab.control.database_accounts import (
    ACCOUNTS,
    READABLE,
    READER,
    REPAIRER,
    Account,
    accounts_sql,
    databases_ini,
)
from wholecard.lab.control.service_settings import write_private

SECRETS = {"wholecard_read": "r" * 48, "wholecard_repair": "w" * 48, "admin": "a" * 48}


def grants(account: Account) -> set[str]:
    """What an account is granted, as the statements say it."""
    return set(re.findall(rf"GRANT (.*) TO '{account.name}'@'127.0.0.1';", accounts_sql(SECRETS)))


def test_reader_only_reads() -> None:
    """An audit's account reads nova's and Placement's databases and writes nothing."""
    assert grants(READER) == {f"SELECT ON {name}.*" for name in READABLE}


def test_repairer_writes_one_table() -> None:
    """A repair's account reads the same, and writes nova's rows of PCI devices alone."""
    assert grants(REPAIRER) - grants(READER) == {"INSERT, UPDATE, DELETE ON nova.pci_devices"}
    assert grants(READER) < grants(REPAIRER)


def test_every_account_has_its_password_and_comes_from_loopback() -> None:
    """Each account exists for loopback alone, and the root without a password not over TCP.

    MariaDB reads a statement a line.
    """
    lines = accounts_sql(SECRETS).splitlines()
    assert lines[0] == "DROP USER IF EXISTS 'root'@'127.0.0.1', 'root'@'::1';"
    assert all(re.fullmatch(r"(DROP|CREATE|GRANT) .*;", line) for line in lines)
    for account in ACCOUNTS.values():
        identified = f"'{account.name}'@'127.0.0.1' IDENTIFIED BY '{SECRETS[account.name]}';"
        assert f"CREATE OR REPLACE USER {identified}" in lines
    assert SECRETS["admin"] not in "".join(lines)


@pytest.mark.parametrize(("file", "account"), ACCOUNTS.items())
def test_audit_reads_the_file(tmp_path: Path, file: str, account: Account) -> None:
    """An audit finds the cell's, Placement's and nova-api's database in it, with its account."""
    path = tmp_path / file
    write_private(path, databases_ini(account, 13306, SECRETS[account.name]))
    found = read_databases(path)
    (name, cell), placement, api = found.cells[0], found.placement, found.api
    assert (len(found.cells), name) == (1, "cell1")
    assert placement is not None
    assert api is not None
    assert [each.url.database for each in (cell, placement, api)] == [
        "nova", "placement", "nova_api",
    ]  # fmt: skip
    for url in (cell.url, placement.url, api.url):
        assert (url.host, url.port, url.drivername) == ("127.0.0.1", 13306, "mysql+pymysql")
        assert (url.username, url.password) == (account.name, SECRETS[account.name])
