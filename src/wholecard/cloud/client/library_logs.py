"""What the libraries log about a cloud, without its secrets and without control characters.

keystoneauth's warnings quote URLs with their passwords, and services their requests' tokens. Every
record of these libraries is cleaned when it is made, so no handler sees another one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from wholecard.core.plain_text import plain
from wholecard.core.secrets import without_secrets

LIBRARIES = ("keystoneauth", "keystoneclient", "openstack", "urllib3", "requests", "oslo",
             "stevedore", "dogpile")  # fmt: skip

Factory = Callable[..., logging.LogRecord]


class CleanRecords:
    """A factory of log records that knows secrets; `logging` has one factory."""

    def __init__(self, make: Factory) -> None:
        self._make = make
        self._secrets: set[str] = set()

    def learn(self, secrets: Iterable[str]) -> None:
        """Cut these out from now on."""
        self._secrets.update(secrets)

    def __call__(self, *arguments: Any, **named: Any) -> logging.LogRecord:
        """The record, cleaned where one of the libraries made it."""
        record = self._make(*arguments, **named)
        if record.name.partition(".")[0].partition("_")[0].startswith(LIBRARIES):
            record.msg, record.args = self.clean(_message(record)), ()
            if record.exc_info:
                text = logging.Formatter().formatException(record.exc_info)
                record.exc_text, record.exc_info = self.clean(text), None
        return record

    def clean(self, text: str) -> str:
        """The text without the secrets and control characters."""
        return plain(without_secrets(text, self._secrets))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        # A wrong number of arguments is the library's fault; logging would print its own trace.
        return str(record.msg)


def keep_clean(secrets: Iterable[str]) -> None:
    """From now on the libraries log nothing that has one of these secrets."""
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, CleanRecords):
        factory = CleanRecords(factory)
        logging.setLogRecordFactory(factory)
    factory.learn(secrets)
