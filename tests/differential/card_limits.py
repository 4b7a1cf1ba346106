"""Limits of cards, as rendered for nova and planned for Keystone, before real nova's own code.

`make renew-nova` keeps the answers of the first nova that counts cards.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from differential.environments import python_of
from support.sites import FACTS, H100_SECOND, eight, site
from wholecard.cloud.operations.quotas import LimitPlace, RegisterLimit, SetLimit
from wholecard.cloud.planning.current import CurrentCloud
from wholecard.cloud.planning.desired import desired_cloud
from wholecard.cloud.planning.plan import plan
from wholecard.core.capabilities import Capability
from wholecard.core.releases import release
from wholecard.host.facts.host import Host
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.desired.required_options import required_options
from wholecard.site.model import Site

__all__ = ["LimitCase", "cases", "nova_answers", "recorded"]

NOVASIDE = Path(__file__).parent / "limitside.py"
CARDS_COUNTED = Capability.CARDS_COUNTED.since
ANSWERS = Path(__file__).parent / "golden" / f"limits-{CARDS_COUNTED}.json"

GPU = {"match": [{"vendor": "10de", "product": "2330"}]}
OF_IDS = "CUSTOM_PCI_10DE_2330"
QUOTA = {"p": {"instances": 4, "cards": {"gpu": 2}}}
ROOM = {"servers": -1}


@dataclass(frozen=True)
class LimitCase:
    """A server and its project's limits, as limitside.py reads them.

    `cards` are the resource classes that nova has to count for it, `refused` whether the limits
    have to refuse it.
    """

    name: str
    question: Mapping[str, Any]
    cards: Mapping[str, int]
    refused: bool


def cases() -> list[LimitCase]:
    """Sites of each way to a resource class, with room and without; sites without a count."""
    two_models = {"gpu-01": eight(audio=False), "gpu-02": eight(audio=False, ids=H100_SECOND)}
    two_products = {"match": [*GPU["match"], {"vendor": "10de", "product": "2331"}]}
    twins = {
        name: {"match": [{**GPU["match"][0], "hosts": [host]}]}
        for name, host in (("gpu", "gpu-01"), ("other", "gpu-02"))
    }
    own = {"gpu": {**GPU, "resource_class": "CUSTOM_H100"}}
    return [
        *_counted("one product", site({"gpu": GPU}, quotas=QUOTA), FACTS, OF_IDS),
        *_counted("a class of its own", site(own, quotas=QUOTA), FACTS, "CUSTOM_H100"),
        *_counted("two products", site({"gpu": two_products}, quotas=QUOTA), two_models,
                  "CUSTOM_GPU"),
        *_counted("two kinds of one product", site(twins, quotas=QUOTA), FACTS, "CUSTOM_GPU"),
        *_uncounted(),
    ]  # fmt: skip


def _counted(
    name: str, made: Site, facts: Mapping[str, Host], resource_class: str
) -> Iterator[LimitCase]:
    """nova counts the site's `gpu` under this class: a limit of 2 holds, and none is 0."""
    question = _question(made, facts)
    one, two = {resource_class: 1}, {resource_class: 2}
    yield LimitCase(f"{name}: nothing in use", question, one, refused=False)
    yield LimitCase(f"{name}: one of two in use", {**question, "used": one}, one, refused=False)
    yield LimitCase(f"{name}: two of two in use", {**question, "used": two}, one, refused=True)
    more = {**question, "asked": "gpu:2", "used": one}
    yield LimitCase(f"{name}: one left and two asked for", more, two, refused=True)
    others = {**question, "used": {"CUSTOM_OTHER": 8}}
    yield LimitCase(f"{name}: other cards in use", others, one, refused=False)
    bare = {**question, "registered": ROOM, "limits": {}}
    yield LimitCase(f"{name}: no registered limit", bare, one, refused=True)
    if resource_class != OF_IDS:
        wrong = {f"class:{OF_IDS}": -1}
        limited = {**bare, "registered": {**ROOM, **wrong}, "limits": {f"class:{OF_IDS}": 2}}
        yield LimitCase(f"{name}: a limit of the ids' class", limited, one, refused=True)


def _uncounted() -> Iterator[LimitCase]:
    """Sites whose limit of cards has no effect, whatever Keystone says."""
    limits = {"registered": {**ROOM, f"class:{OF_IDS}": 0}, "limits": {f"class:{OF_IDS}": 0}}
    for name, more, cards in (
        ("nova's own quotas", {"quota_driver": "db"}, {OF_IDS: 1}),
        ("not in Placement",
         {"quota_driver": "unified", "nova": {"report_in_placement": False}}, {}),
    ):  # fmt: skip
        question = _question(site({"gpu": GPU}, quotas=QUOTA, **more), FACTS)
        yield LimitCase(f"{name}: a limit of 0", {**question, **limits}, cards, refused=False)


def _question(made: Site, facts: Mapping[str, Host]) -> dict[str, Any]:
    """A server with one card under what is rendered and planned for the site; nothing in use."""
    of = release(str(CARDS_COUNTED))
    config = next(iter(pci_configs(made, facts, of).values()))
    options = {
        each.option.name: list(each.values) for each in required_options("api", config, (), of)
    }
    found = CurrentCloud(projects={"p": "p"}, limit_place=LimitPlace("nova", None))
    asked = desired_cloud(made, facts, of)
    actions = [action.do for action in plan(asked, found).plan.actions]
    registers = [each for each in actions if isinstance(each, RegisterLimit)]
    limits = {
        resource: int(value)
        for each in actions
        if isinstance(each, SetLimit)
        for resource, _, value in each.changes
        if value is not None
    }
    return {
        "aliases": options["alias"],
        "pci_in_placement": options["pci_in_placement"] == ["true"],
        "driver": next(iter(options.get("driver", ())), None),
        "resource_list": options.get("unified_limits_resource_list"),
        "asked": "gpu:1",
        "registered": {each.resource: each.default for each in registers},
        "limits": limits,
        "used": {},
        "servers": 0,
    }


def nova_answers(timeout: float = 300) -> list[Any]:
    """Real nova's answers to all cases. Raises CalledProcessError where its side breaks."""
    ended = subprocess.run(
        [str(python_of(CARDS_COUNTED)), "-W", "ignore", str(NOVASIDE)],
        input="".join(json.dumps(case.question) + "\n" for case in cases()),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    if ended.returncode:
        raise subprocess.CalledProcessError(ended.returncode, ended.args, stderr=ended.stderr)
    return [json.loads(line) for line in ended.stdout.splitlines()]


def recorded() -> dict[str, Any]:
    """The kept questions and answers, by the name of their case."""
    kept: dict[str, Any] = json.loads(ANSWERS.read_text())
    return kept


if __name__ == "__main__":
    answers = {
        case.name: {"question": case.question, "answer": answer}
        for case, answer in zip(cases(), nova_answers(), strict=True)
    }
    ANSWERS.write_text(json.dumps(answers, indent=1, sort_keys=True) + "\n")
    print(f"nova {CARDS_COUNTED}: {len(answers)} answers in {ANSWERS}")
