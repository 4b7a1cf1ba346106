"""Where nova's notifications are: the URL of RabbitMQ, from a file that others cannot read."""

from __future__ import annotations

import configparser
import stat
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from wholecard.core import UsageError

_EXAMPLE = "Write it as:\n[rabbitmq]\nurl = amqp://USER:PASSWORD@HOST:5672/VHOST"


@dataclass(frozen=True)
class RabbitSettings:
    """`urls` are what kombu reads, one for each broker of a cluster; they hold the password."""

    urls: tuple[str, ...] = field(repr=False)
    ssl: bool = False
    exchange: str = "nova"
    topics: tuple[str, ...] = ("versioned_notifications",)
    queue: str = "wholecard_handover"


def read_settings(path: Path) -> RabbitSettings:
    """The settings in an INI file of ours (`[rabbitmq] url`), or in a nova.conf.

    Of nova.conf `[oslo_messaging_notifications] transport_url` counts, else that of `[DEFAULT]`
    (oslo.messaging, notify/notifier.py). Raises UsageError, with no secret in it.
    """
    parser, mode = _read(path)
    own = parser.get("rabbitmq", "url", fallback=None)
    url = own or _of_nova(parser)
    if not url:
        raise UsageError(f"{path} names no RabbitMQ", resolution=_EXAMPLE)
    _refuse_readable(path, mode, own is not None)
    urls, ssl = _as_amqp(url, path)
    topics = parser.get("notifications", "versioned_notifications_topics", fallback=None)
    names = tuple(name.strip() for name in (topics or "").split(",") if name.strip())
    section, name = ("rabbitmq", "exchange") if own else ("DEFAULT", "control_exchange")
    exchange = parser.get(section, name, fallback=None)
    return RabbitSettings(urls, ssl, exchange or "nova", names or ("versioned_notifications",))


def _read(path: Path) -> tuple[configparser.RawConfigParser, int]:
    """The file, and its mode."""
    parser = configparser.RawConfigParser(
        strict=False, allow_no_value=True, default_section="\0", inline_comment_prefixes=None
    )
    try:
        mode = path.stat().st_mode
        parser.read_string(path.read_text())
    except OSError as error:
        reason = f"cannot read {path}: {error.strerror}"
        raise UsageError(reason, resolution="Name a file: --rabbit FILE.") from error
    except (configparser.Error, UnicodeDecodeError):
        # Its text quotes the line, with the password.
        raise UsageError(f"{path} is not an INI file", resolution=_EXAMPLE) from None
    return parser, mode


def _refuse_readable(path: Path, mode: int, own: bool) -> None:
    # nova.conf belongs to root and nova's group on every distribution.
    forbidden, wanted = (stat.S_IRWXG | stat.S_IRWXO, "600") if own else (stat.S_IRWXO, "640")
    if mode & forbidden:
        raise UsageError(
            f"{path} has a password, and others may read it (mode {stat.S_IMODE(mode):o})",
            resolution=f"chmod {wanted} {path}",
        )


def _of_nova(parser: configparser.RawConfigParser) -> str | None:
    for section in ("oslo_messaging_notifications", "DEFAULT"):
        url = parser.get(section, "transport_url", fallback=None)
        if url:
            return url
    return None


def _as_amqp(url: str, path: Path) -> tuple[tuple[str, ...], bool]:
    """kombu's URLs for one of oslo.messaging's, `rabbit://U:P@H1:5672,U:P@H2:5672/VHOST?ssl=1`."""
    try:
        parts = urlsplit(url)
        hosts = [host for host in parts.netloc.split(",") if host]
    except ValueError:
        hosts = []
    if not hosts or parts.scheme not in ("amqp", "amqps", "rabbit", "kombu", "pyamqp", "memory"):
        raise UsageError(f"{path}: the URL is not one of RabbitMQ", resolution=_EXAMPLE)
    scheme = "memory" if parts.scheme == "memory" else "amqp"
    asked = parse_qs(parts.query).get("ssl", [""])[0].lower()
    ssl = parts.scheme == "amqps" or asked in ("1", "true", "yes", "on")
    # The vhost `/` is written as a second slash (kombu, utils/url.py).
    vhost = parts.path.lstrip("/") or "/"
    return tuple(f"{scheme}://{host}/{vhost}" for host in hosts), ssl
