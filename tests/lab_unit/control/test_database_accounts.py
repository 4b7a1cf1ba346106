"""The accounts that audit and repair use: what each may do, and the files that name them."""

from __future__ import annotations

import re
from configparser import ConfigParser

import pytest
from sqlalchemy.engine import make_url

from wholecard.lab.control.database_accounts import (
    ACCOUNTS,
    READABLE,
    READER,
    REPAIRER,
    Account,
    accounts_sql,
    databases_ini,
)

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
def test_file_names_every_database(file: str, account: Account) -> None:
    """A file has the URL of the cell's, Placement's and nova-api's database for its account."""
    text = ConfigParser()
    text.read_string(databases_ini(account, 13306, SECRETS[account.name]))
    urls = {section: make_url(text[section]["connection"]) for section in text.sections()}
    assert {name: url.database for name, url in urls.items()} == {
        "cell cell1": "nova", "placement": "placement", "api": "nova_api",
    }  # fmt: skip
    for url in urls.values():
        assert (url.host, url.port, url.drivername) == ("127.0.0.1", 13306, "mysql+pymysql")
        assert (url.username, url.password) == (account.name, SECRETS[account.name])
