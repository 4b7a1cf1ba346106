"""The exporter as a call: serve until stopped, or write one file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from wholecard.core import UsageError, WholecardError
from wholecard.health.exporter.collector import CardCollector
from wholecard.health.exporter.reading import Reading, Sources
from wholecard.health.request import HealthRequest, this_month
from wholecard.transaction.atomic_files import write_atomically

# The range that Prometheus' list of default ports began with, 9100 to 9999, is taken; its further
# entries follow one another from 10000 on (github.com/prometheus/prometheus/wiki,
# Default-port-allocations).
PORT = 10936
# Another user's node_exporter reads the file.
_MODE = 0o644


@dataclass(frozen=True)
class ServeRequest:
    """What is read, where it is served, and every how many seconds it is read again."""

    health: HealthRequest
    listen: str = "127.0.0.1"
    port: int = PORT
    interval: float = 60.0


@dataclass
class Serving:
    """A running exporter: the port that it has, and the newest reading."""

    port: int
    newest: Reading | None = None
    stopped: threading.Event = field(default_factory=threading.Event)


def serve(
    request: ServeRequest,
    on_ready: Callable[[Serving], None] = lambda _: None,
    on_reading: Callable[[Reading], None] = lambda _: None,
) -> None:
    """Serve until `Serving.stopped` is set, or until KeyboardInterrupt.

    Readings happen here, in the caller's thread; scrapes are answered by others from the newest.
    `on_ready` is called when the port is open, `on_reading` after each reading. Raises UsageError
    where nothing is to be read, WholecardError where the port cannot be had.
    """
    _require_sources(request.health)
    sources = Sources(request.health)
    with _listening(request) as serving:
        on_ready(serving)
        while not serving.stopped.is_set():
            serving.newest = sources.read()
            on_reading(serving.newest)
            serving.stopped.wait(request.interval)


def write_textfile(health: HealthRequest, file: Path) -> Reading:
    """Read once and write the metrics for node_exporter's textfile collector, whole or not at all.

    Card-seconds count from the first of this month. Raises UsageError for a name that
    node_exporter does not read, WholecardError where the file cannot be written.
    """
    _require_sources(health)
    if file.suffix != ".prom":
        # prometheus/node_exporter, collector/textfile.go.
        raise UsageError(
            f"{file} does not end in .prom",
            resolution="node_exporter reads only such files; name it wholecard.prom.",
        )
    reading = Sources(health, this_month()).read()
    data = generate_latest(_registry(lambda: reading))
    try:
        write_atomically(file, data, _MODE)
    except OSError as error:
        raise WholecardError(
            f"cannot write {file}: {error.strerror}",
            resolution="Name a file in the folder of --collector.textfile.directory.",
        ) from error
    return reading


def _require_sources(health: HealthRequest) -> None:
    if not (health.hosts or health.local or health.cloud):
        raise UsageError(
            "nothing is to be read",
            resolution="Name hosts (--on gpu-01,gpu-02), this machine (--local), or a cloud "
            "(--cloud NAME).",
        )


@contextmanager
def _listening(request: ServeRequest) -> Iterator[Serving]:
    serving = Serving(request.port)
    registry = _registry(lambda: serving.newest)
    try:
        server, thread = start_http_server(request.port, request.listen, registry)
    except (OSError, OverflowError) as error:
        raise WholecardError(
            f"cannot listen on {request.listen}:{request.port}: {error}",
            resolution="Name another port: --port PORT, or an address of this machine: --listen.",
        ) from error
    serving.port = server.server_port
    try:
        yield serving
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _registry(newest: Callable[[], Reading | None]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(CardCollector(newest))
    return registry
