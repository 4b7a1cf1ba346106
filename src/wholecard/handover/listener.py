"""The hand-over's own queue of nova's notifications.

Its queue is its own: the exchange gives each bound queue a copy, so nobody else loses a message.
The exchange is nova's and is not declared here, for a declaration that differs in one argument is
refused (AMQP 0-9-1, 406). While nobody reads, the queue keeps the newest 10,000 messages, and
RabbitMQ removes it after a week: what is lost, the next look at Placement finds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.exceptions import OperationalError
from kombu.message import Message
from kombu.messaging import Consumer

from wholecard.core.secrets import redacted
from wholecard.handover import notifications
from wholecard.handover.notifications import Notification
from wholecard.handover.rabbit_settings import RabbitSettings

# https://www.rabbitmq.com/docs/queues (x-expires in ms, x-max-length in messages)
_ARGUMENTS = {"x-expires": 7 * 24 * 3600 * 1000, "x-max-length": 10_000}
_BATCH = 100
_CONNECT_SECONDS = 5.0
_BACKOFF = (1.0, 5.0, 15.0, 60.0)


class Listener:
    """Reads notifications; reconnects by itself, and never raises for RabbitMQ.

    `pause` waits that many seconds, or shorter if the hand-over is to end.
    """

    def __init__(self, settings: RabbitSettings, pause: Callable[[float], object]) -> None:
        self._settings, self._pause = settings, pause
        self._connection: Connection | None = None
        self._consumer: Consumer | None = None
        self._got: list[Message] = []
        self._events: list[Notification] = []
        self._failures = 0
        self._again = 0.0
        # Why nothing is read now; empty where it is connected.
        self.trouble = ""

    def wait(self, seconds: float) -> tuple[Notification, ...]:
        """Notifications that came within that time; they are kept until `acknowledge`."""
        until = time.monotonic() + seconds
        if self._connection is None and not self._connect():
            self._pause(max(0.0, until - time.monotonic()))
            return ()
        connection = self._connection
        if connection is None:
            return ()
        try:
            self._drain(connection, until)
        except self._faults() as error:
            self._failed(error)
        events, self._events = tuple(self._events), []
        return events

    def acknowledge(self) -> None:
        """They were acted on: RabbitMQ forgets them. What is not acknowledged comes again."""
        got, self._got = self._got, []
        try:
            for message in got:
                message.ack()
        except self._faults() as error:
            self._failed(error)

    def close(self) -> None:
        """End the connection."""
        connection, self._connection, self._consumer = self._connection, None, None
        if connection is not None:
            try:
                connection.release()
            except self._faults():
                return

    def _drain(self, connection: Connection, until: float) -> None:
        while len(self._got) < _BATCH:
            # The first may take its time; what has come already comes with it.
            left = 0.05 if self._got else max(0.05, until - time.monotonic())
            try:
                connection.drain_events(timeout=min(left, 1.0))
            except TimeoutError:
                if self._got or time.monotonic() >= until:
                    return

    def _connect(self) -> bool:
        if time.monotonic() < self._again:
            return False
        settings = self._settings
        connection = Connection(
            list(settings.urls), ssl=settings.ssl, connect_timeout=_CONNECT_SECONDS
        )
        try:
            connection.ensure_connection(max_retries=len(settings.urls), interval_start=0.1)
            exchange = Exchange(settings.exchange, type="topic", no_declare=True)
            channel = connection.channel()
            # nova's .end notifications have the priority INFO.
            for topic in settings.topics:
                queue = Queue(
                    settings.queue, exchange, routing_key=f"{topic}.info", durable=True,
                    queue_arguments=_ARGUMENTS,
                )  # fmt: skip
                queue.bind(channel).declare()
            self._consumer = Consumer(
                channel, [queue], callbacks=[self._take], accept=["json"], prefetch_count=_BATCH
            )
            self._consumer.consume()
        except self._faults(connection) as error:
            self._connection = connection
            self._failed(error)
            return False
        self._connection, self._failures, self.trouble = connection, 0, ""
        return True

    def _take(self, body: Any, message: Message) -> None:
        try:
            event = notifications.read(body)
        except ValueError:
            event = None
        self._got.append(message)
        if event is not None:
            self._events.append(event)

    def _failed(self, error: BaseException) -> None:
        # What was not acknowledged is delivered again.
        self._got.clear()
        self.close()
        self.trouble = redacted(f"RabbitMQ: {error or type(error).__name__}")
        self._again = time.monotonic() + _BACKOFF[min(self._failures, len(_BACKOFF) - 1)]
        self._failures += 1

    def _faults(self, connection: Connection | None = None) -> tuple[type[BaseException], ...]:
        known = connection or self._connection
        errors: tuple[type[BaseException], ...] = (OSError, OperationalError)
        if known is not None:
            errors += (*known.connection_errors, *known.channel_errors)
        return errors
