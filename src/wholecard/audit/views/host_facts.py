"""sysfs and libvirt: what hosts say of themselves, over ssh or in saved files.

A saved file is what `wholecard-host inspect --domains --json` printed, or a snapshot of
`inspect --save`. Over ssh the same command runs on many hosts side by side; nothing asks libvirt's
daemon, so that one that hangs keeps nobody waiting.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wholecard.audit.record import Domain, Mdev, View
from wholecard.audit.views.combined_views import HostFacts, sentence
from wholecard.core import UsageError, WholecardError
from wholecard.core.input_files import parse_json, read_json_input
from wholecard.fleet import Fleet, HostResult, Ssh, Watcher
from wholecard.host.facts.given_devices import GivenDevices, given_from_json, read_given_devices
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.snapshot import SUFFIXES, open_snapshot

_WORDS = ("inspect", "--domains", "--json")
_NO_DOMAINS = (
    "Its facts have no domains: write them with `wholecard-host inspect --domains --json`."
)


@dataclass(frozen=True)
class SavedFacts:
    """A `FactsView` of files, by the hypervisor's host name. A bad file is that host's `unread`."""

    files: Mapping[str, Path]

    def facts(self, hosts: Sequence[str]) -> Mapping[str, HostFacts]:
        """See `FactsView`."""
        return {host: _saved(self.files[host]) for host in hosts if host in self.files}


@dataclass(frozen=True)
class FleetFacts:
    """A `FactsView` over ssh.

    `names` are the hosts' names for ssh where they differ from the hypervisor's; `timeout` is in
    seconds for each host, None for the fleet's own. A host that does not answer is `unread`.
    """

    ssh: Ssh
    names: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 16
    timeout: float | None = None
    watcher: Watcher = field(default_factory=Watcher)

    def facts(self, hosts: Sequence[str]) -> Mapping[str, HostFacts]:
        """See `FactsView`. Raises KeyboardInterrupt after Ctrl-C, when every ssh has ended."""
        if not hosts:
            return {}
        asked = {host: self.names.get(host, host) for host in hosts}
        fleet = Fleet(tuple(dict.fromkeys(asked.values())), self.ssh, self.jobs, self.timeout)
        results = {result.host: result for result in fleet.run(_WORDS, self.watcher)}
        if fleet.interrupted:
            raise KeyboardInterrupt
        return {host: _answered(results[name]) for host, name in asked.items()}


@dataclass(frozen=True)
class FactsInOrder:
    """A `FactsView` of several: the first that has something of a host counts."""

    sources: tuple[SavedFacts | FleetFacts, ...]

    def facts(self, hosts: Sequence[str]) -> Mapping[str, HostFacts]:
        """See `FactsView`."""
        found: dict[str, HostFacts] = {}
        for source in self.sources:
            missing = [host for host in hosts if host not in found]
            found.update(source.facts(missing))
        return found


def _saved(path: Path) -> HostFacts:
    try:
        if path.name.endswith(SUFFIXES):
            with open_snapshot(path) as root:
                return _facts(inspect(root), read_given_devices(root))
        return _of_json(read_json_input(path))
    except OSError as error:
        return _unread(f"Cannot read {path}: {error.strerror or error}.")
    except (ValueError, KeyError) as error:
        return _unread(f"{path} has no host's facts: {_words(error)}.")
    except WholecardError as error:
        return _unread(sentence(error.brief))


def _answered(result: HostResult) -> HostFacts:
    if result.error is not None:
        return _unread(sentence(result.error.brief))
    try:
        data = parse_json(result.stdout)
        error = data.get("error") if isinstance(data, dict) else None
        if result.status != 0 or error:
            brief = error.get("brief") if isinstance(error, dict) else None
            return _unread(sentence(f"{result.host}: inspect failed: {brief or result.status}"))
        return _of_json(data)
    except (ValueError, KeyError) as error:
        return _unread(f"{result.host} gave no facts: {_words(error)}.")
    except UsageError as error:
        return _unread(sentence(error.brief))


def _of_json(data: Any) -> HostFacts:
    host = Host.from_json(data)
    if "domains" not in data:
        return HostFacts(host, unread={View.LIBVIRT: _NO_DOMAINS})
    return _facts(host, given_from_json(data))


def _facts(host: Host, given: GivenDevices) -> HostFacts:
    mdevs = tuple(Mdev(row.uuid, row.parent, row.type_id, row.active) for row in given.mdevs)
    if given.domains is None:
        unread = {View.LIBVIRT: given.unread or "libvirt's domains could not be read."}
        return HostFacts(host, None, mdevs, unread)
    domains = tuple(
        Domain(row.uuid, row.name, row.state, row.hostdevs, row.mdevs) for row in given.domains
    )
    return HostFacts(host, domains, mdevs)


def _unread(reason: str) -> HostFacts:
    return HostFacts(unread={View.SYSFS: reason, View.LIBVIRT: reason})


def _words(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    if isinstance(error, json.JSONDecodeError):
        return "it is not JSON"
    return str(error)[:200]
