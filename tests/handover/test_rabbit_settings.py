"""The broker's URL comes from a file that others cannot read, and appears nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from wholecard.core import UsageError
from wholecard.handover.rabbit_settings import read_settings

SECRET = "s3cr3t-p4ss"


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "rabbit.ini"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "urls", "ssl"),
    [
        ("[rabbitmq]\nurl = amqp://u:p@h:5672/nova\n", ("amqp://u:p@h:5672/nova",), False),
        ("[rabbitmq]\nurl = amqps://u:p@h/\n", ("amqp://u:p@h//",), True),
        ("[DEFAULT]\ntransport_url = rabbit://u:p%2F@a:1,u:q@b:2/v?ssl=1\n",
         ("amqp://u:p%2F@a:1/v", "amqp://u:q@b:2/v"), True),
        ("[DEFAULT]\ntransport_url = rabbit://u:p@a\n[oslo_messaging_notifications]\n"
         "transport_url = rabbit://u:p@b/\n", ("amqp://u:p@b//",), False),
    ],
)  # fmt: skip
def test_urls(tmp_path: Path, text: str, urls: tuple[str, ...], ssl: bool) -> None:
    """Our own file, and nova.conf as oslo.messaging reads it: clusters, vhosts, TLS."""
    settings = read_settings(written(tmp_path, text))
    assert (settings.urls, settings.ssl) == (urls, ssl)


def test_nova_conf(tmp_path: Path) -> None:
    """nova.conf has the exchange and the topics too, and device_spec lines are no obstacle."""
    text = (
        "[DEFAULT]\ntransport_url = rabbit://u:p@a/\ncontrol_exchange = nova2\n"
        "[notifications]\nversioned_notifications_topics = one, two\n"
        '[pci]\ndevice_spec = {"vendor_id": "10de"}\ndevice_spec = {"vendor_id": "1002"}\n'
    )
    settings = read_settings(written(tmp_path, text, 0o640))
    assert (settings.exchange, settings.topics) == ("nova2", ("one", "two"))


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (f"[rabbitmq]\nurl = amqp://u:{SECRET}@h/\n", 0o640, "others may read it (mode 640)"),
        (f"[DEFAULT]\ntransport_url = rabbit://u:{SECRET}@h/\n", 0o644, "others may read it"),
        (f"[rabbitmq]\nurl = http://u:{SECRET}@h/\n", 0o600, "not one of RabbitMQ"),
        ("[rabbitmq]\n", 0o600, "names no RabbitMQ"),
        (f"url = amqp://u:{SECRET}@h/\n", 0o600, "is not an INI file"),
        (f"[rabbitmq]\nurl = amqp://u:{SECRET}@[h/\n", 0o600, "not one of RabbitMQ"),
    ],
)
def test_refused(tmp_path: Path, text: str, mode: int, words: str) -> None:
    """A file that others can read, or without a URL, is refused without its secret."""
    with pytest.raises(UsageError) as raised:
        read_settings(written(tmp_path, text, mode))
    assert words in str(raised.value)
    assert SECRET not in f"{raised.value} {raised.value.__cause__!r}"


def test_missing(tmp_path: Path) -> None:
    """A file that does not exist is a wrong call."""
    with pytest.raises(UsageError, match="cannot read"):
        read_settings(tmp_path / "none")


def test_shown(tmp_path: Path) -> None:
    """The settings as text have no secret."""
    settings = read_settings(written(tmp_path, f"[rabbitmq]\nurl = amqp://u:{SECRET}@h/\n"))
    assert SECRET not in repr(settings)
