"""The hand-over's own queue, in kombu's transport that has its broker in memory."""

from __future__ import annotations

import json
import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.messaging import Consumer, Producer
from openstack.connection import Connection as Cloud

from support.one_time_cards import Card, Hosts, placement
from support.openstack_api import serving
from wholecard.cloud.client.connection import connect
from wholecard.handover.listener import Listener
from wholecard.handover.rabbit_settings import RabbitSettings
from wholecard.handover.request import HandoverRequest, serve
from wholecard.handover.store import Store

SAMPLES: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden/notifications.json").read_text()
)
URL = "memory://localhost/"
TOPIC = "versioned_notifications.info"


class Nova:
    """nova as a sender: its topic exchange, and the queue that oslo.messaging makes beside it."""

    def __init__(self) -> None:
        self.settings = RabbitSettings(
            (URL,), exchange=f"nova-{uuid.uuid4()}", queue=f"wholecard-{uuid.uuid4()}"
        )
        self._connection = Connection(URL)
        self.channel = self._connection.channel()
        exchange = Exchange(self.settings.exchange, type="topic", durable=False)
        exchange.bind(self.channel).declare()
        self.other = Queue(f"other-{uuid.uuid4()}", exchange, routing_key=TOPIC)
        self.other.bind(self.channel).declare()
        self._producer = Producer(self.channel, exchange)

    def send(self, sample: str | dict[str, Any], routing_key: str = TOPIC) -> None:
        body = SAMPLES[sample] if isinstance(sample, str) else sample
        self._producer.publish(body, routing_key=routing_key, serializer="json")

    def of_others(self) -> int:
        """How many messages another consumer finds in its queue."""
        got: list[Any] = []
        with Consumer(
            self.channel, [self.other], callbacks=[lambda _, message: got.append(message)]
        ):
            try:
                while True:
                    self._connection.drain_events(timeout=0.05)
            except TimeoutError:
                return len(got)


@pytest.fixture
def nova() -> Nova:
    return Nova()


@pytest.fixture
def listener(nova: Nova) -> Iterator[Listener]:
    found = Listener(nova.settings, lambda _: None)
    # The first wait makes the queue: a topic exchange gives nothing to a queue of later.
    assert found.wait(0.05) == ()
    assert found.trouble == ""
    yield found
    found.close()


def test_heard(nova: Nova, listener: Listener) -> None:
    """Ends of servers are heard, all else is not, and other consumers get their own copies."""
    nova.send({"event_type": "instance.create.end", "payload": {}})
    nova.send("instance-delete-end")
    nova.send("instance-evacuate")
    nova.send("instance-delete-end", "notifications.info")
    events = listener.wait(5)
    assert [event.event_type for event in events] == ["instance.delete.end", "instance.evacuate"]
    assert nova.of_others() == 3


def test_acknowledged(nova: Nova, listener: Listener) -> None:
    """What was acted on does not come again. (Memory's broker cannot deliver the rest again.)"""
    nova.send("instance-delete-end")
    assert len(listener.wait(5)) == 1
    listener.acknowledge()
    listener.close()
    second = Listener(nova.settings, lambda _: None)
    assert second.wait(0.05) == ()
    second.close()


def test_malformed(nova: Nova, listener: Listener) -> None:
    """A malformed message stops nothing."""
    nova.send({"oslo.message": "{"})
    nova.send("instance-delete-end")
    assert len(listener.wait(5)) == 1


def test_no_broker() -> None:
    """A broker that does not answer is said, without its password, and waited for."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        paused: list[float] = []
        settings = RabbitSettings((f"amqp://user:s3cr3t-p4ss@127.0.0.1:{port}//",))
        listener = Listener(settings, paused.append)
        assert listener.wait(2) == ()
        assert "Connection refused" in listener.trouble
        assert "s3cr3t" not in listener.trouble
        assert listener.wait(2) == ()
        assert len(paused) == 2
        listener.close()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[tuple[Cloud, Card]]:
    card = Card(host="fake-mini")
    with serving(tmp_path) as api:
        placement(api, card)
        yield connect("test", api.clouds), card


def test_service(nova: Nova, tmp_path: Path, cloud: tuple[Cloud, Card]) -> None:
    """A notification starts a look at once, long before the next interval."""
    conn, card = cloud
    card.used = 1
    ended = threading.Event()
    listener = Listener(nova.settings, ended.wait)
    assert listener.wait(0.05) == ()
    store = Store(tmp_path / "state")

    def freed() -> None:
        card.used = 0
        nova.send("instance-delete-end")

    def pause(seconds: float) -> bool:
        if card.used and store.counters().rounds:
            freed()
        return card.reserved == 0 or ended.wait(seconds)

    with store.held():
        request = HandoverRequest(interval=3600)
        serve(conn, Hosts(), store, request, lambda _: None, listener, pause)
    listener.close()
    counters = store.counters()
    assert (counters.notifications, counters.rounds, counters.given_back) == (1, 2, 1)
