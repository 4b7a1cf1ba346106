"""Hosts that are alike are checked once: what differs is a name, and the paths of its files.

One host of each kind is checked under names that nothing else has; the results of the others are
these with their own names. Only where nothing of a running cloud is known, for that is every
host's own.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property

from wholecard.explain.check_result import CheckResult, State
from wholecard.explain.evidence.evidence import Evidence, HostEvidence
from wholecard.explain.host_answer import Answer, HostAnswer
from wholecard.nova.conf.later_conf import LaterConf

# Names and paths that look the same wherever they are printed: quoted, or in a command.
_PLAIN = re.compile(r"[A-Za-z0-9_./:@+-]+")
_MARK = "qz7kx"
_NAME, _FACTS, _CONF = f"host-{_MARK}", f"/facts-{_MARK}.json", f"/conf-{_MARK}-{{}}.conf"


@dataclass(frozen=True, slots=True)
class Kind:
    """What makes hosts alike; `own` are the names of this one by those that stand in for them."""

    key: Hashable
    own: tuple[tuple[str, str], ...]


class AlikeAnswer(HostAnswer):
    """A host's answer by that of the model of its kind: results get its names when they are asked.

    Of ten thousand hosts a person is shown some; the others are counted.
    """

    def __init__(self, name: str, model: HostAnswer, kind: Kind) -> None:
        # Not HostAnswer's, which wants the results; the class is frozen.
        self.__dict__.update(name=name, for_cards=model.for_cards, _model=model, _own=kind.own)

    @cached_property
    def checks(self) -> tuple[CheckResult, ...]:
        """The results with this host's names."""
        return tuple(map(self._named, self._model.checks))

    @cached_property
    def failed(self) -> CheckResult | None:
        """The first check that failed."""
        failed = self._model.failed
        return None if failed is None else self._named(failed)

    @cached_property
    def unknown(self) -> tuple[CheckResult, ...]:
        """The checks without the facts that they need."""
        return tuple(map(self._named, self._model.unknown))

    @property
    def unknown_names(self) -> tuple[str, ...]:
        """Their names."""
        return self._model.unknown_names

    @property
    def states(self) -> tuple[tuple[str, State], ...]:
        """Each check's name and how it ended."""
        return self._model.states

    @property
    def answer(self) -> Answer:
        """Whether the host would take the server."""
        return self._model.answer

    def having(self, rule: str) -> tuple[CheckResult, ...]:
        """The results with this rule."""
        return tuple(map(self._named, self._model.having(rule)))

    @property
    def _model(self) -> HostAnswer:
        model: HostAnswer = self.__dict__["_model"]
        return model

    def _named(self, result: CheckResult) -> CheckResult:
        return _named(result, self.__dict__["_own"])


def kind_of_host(evidence: Evidence, host: HostEvidence) -> Kind | None:
    """The host's kind, None for one that is checked by itself."""
    conf = host.conf
    if evidence.refusal is not None or _is_of_cloud(host):
        return None
    if conf is not None and not isinstance(conf, LaterConf):
        return None
    paths = () if conf is None else conf.paths
    own = [(_NAME, host.name), *((_CONF.format(n), path) for n, path in enumerate(paths))]
    if host.facts_source:
        own.append((_FACTS, host.facts_source))
    if not all(_PLAIN.fullmatch(text) for _, text in own):
        return None
    content = None if conf is None else conf.kind
    return Kind((id(host.facts), content, host.zones, bool(host.facts_source)), tuple(own))


def model_of(host: HostEvidence) -> HostEvidence:
    """The host with the names and the paths of none, for the one of its kind that is checked."""
    model = replace(host, name=_NAME, facts_source=_FACTS if host.facts_source else "")
    if not isinstance(host.conf, LaterConf):
        return model
    paths = [_CONF.format(number) for number in range(len(host.conf.paths))]
    return replace(model, conf=host.conf.at(paths))


def _is_of_cloud(host: HostEvidence) -> bool:
    """Whether anything is known that only a running cloud tells."""
    if host.queries or host.refused:
        return True
    of_cloud = (host.service, host.provider_tree, host.taken, host.guests, host.aggregates)
    return any(value is not None for value in of_cloud)


def _named(result: CheckResult, own: tuple[tuple[str, str], ...]) -> CheckResult:
    texts = (result.says, result.fix, result.warning, *result.seen)
    if not any(_MARK in text for text in texts):
        return result
    says, fix, warning, *seen = (_put(text, own) for text in texts)
    return replace(result, says=says, fix=fix, warning=warning, seen=tuple(seen))


def _put(text: str, own: tuple[tuple[str, str], ...]) -> str:
    for stand_in, value in own:
        text = text.replace(stand_in, value)
    return text
