"""`wholecard exporter`: the cards' health and use as metrics for Prometheus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import options
from wholecard.cli.health import (
    Alias,
    CloudName,
    Jobs,
    Local,
    On,
    Sudo,
    Timeout,
    request_of,
)
from wholecard.cli.say import say
from wholecard.cli.signals import terminable

if TYPE_CHECKING:
    from wholecard.health.exporter.reading import Reading
    from wholecard.health.exporter.request import ServeRequest, Serving

# As health/exporter/request.py has it, which --help does not wait for.
_PORT = 10936


def command(
    on: On = None,
    local: Local = False,
    sudo: Sudo = False,
    ssh_config: options.SshConfig = None,
    jobs: Jobs = 16,
    timeout: Timeout = None,
    cloud: CloudName = "",
    clouds_file: options.CloudsFile = None,
    alias: Alias = None,
    listen: Annotated[str, typer.Option("--listen", metavar="ADDRESS", help="Listen on this "
        "address of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="PORT", help="Listen on "
        "this port; 0 takes a free one.")] = _PORT,
    interval: Annotated[float, typer.Option("--interval", min=1, metavar="SECONDS", help="How long "
        "to wait between two readings. A scrape shows the last one and asks nobody.")] = 60.0,
    textfile: Annotated[Path | None, typer.Option("--textfile", metavar="FILE", help="Read once, "
        "write the metrics to this file (NAME.prom) for node_exporter's textfile collector, and "
        "end.")] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Print the Grafana dashboard for "
        "these metrics as JSON, and end.")] = False,
    alerts: Annotated[bool, typer.Option("--alerts", help="Print alert rules for Prometheus as "
        "YAML, and end.")] = False,
) -> None:  # fmt: skip
    """Serve the cards' health and use as metrics for Prometheus.

    Hosts and cloud are read every --interval seconds. A source that fails has wholecard_source_up
    0, and the metrics of all others are still served.

      wholecard exporter --on @hosts --sudo --cloud prod

      wholecard exporter --local --textfile /var/lib/node_exporter/wholecard.prom

    Exit status: 0 stopped, or written; 2 called wrongly, 3 something broke.
    """
    if dashboard or alerts:
        _print_data(dashboard, alerts)
        return
    from wholecard.health.exporter.request import ServeRequest, serve, write_textfile

    health = request_of(
        on, local, sudo, ssh_config, jobs, timeout, cloud, clouds_file, alias
    )  # fmt: skip
    if textfile is not None:
        with terminable():
            _tell_failed(write_textfile(health, textfile), set())
        return
    request = ServeRequest(health, listen, port, interval)
    failed: set[tuple[str, str]] = set()
    try:
        with terminable():
            serve(request, lambda serving: _tell_ready(request, serving),
                  lambda reading: _tell_failed(reading, failed))  # fmt: skip
    except KeyboardInterrupt:
        # This is how it is meant to end.
        say("stopped", err=True)


def _print_data(dashboard: bool, alerts: bool) -> None:
    from wholecard.health.grafana.alerts import alert_rules
    from wholecard.health.grafana.dashboard import dashboard_json

    if dashboard:
        say(dashboard_json())
    if alerts:
        say(alert_rules(), end="")


def _tell_ready(request: ServeRequest, serving: Serving) -> None:
    say(f"serving http://{request.listen}:{serving.port}/metrics", err=True)


def _tell_failed(reading: Reading, failed: set[tuple[str, str]]) -> None:
    """A line when a source begins to fail, and one when it answers again."""
    for state in reading.sources:
        key = (state.source, state.host)
        name = f"{state.source} {state.host}".strip()
        if not state.up and key not in failed:
            failed.add(key)
            say(f"{name}: not read: {state.error}", err=True)
        elif state.up and key in failed:
            failed.discard(key)
            say(f"{name}: read again", err=True)
