"""A plan of drivers as a person reads it, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wholecard.core.plain_text import plain
from wholecard.core.report_text import WIDTH, findings_text, wrapped
from wholecard.guest.drivers.driver_plan import Choice, DriverPlan
from wholecard.guest.drivers.known_drivers import AS_OF
from wholecard.guest.image.recipe import (
    AddRepository,
    HoldPackages,
    InstallPackages,
    RunInGuest,
    Step,
    WriteGuestFile,
)

_INDENT = " " * len("Driver  ")


def plan_text(plan: DriverPlan, width: int = WIDTH) -> str:
    """The cards, the choice and why, the steps with their reasons, and what prevents it.

    Prose is wrapped at `width` columns.
    """
    return plain("\n".join(_lines(plan, width)))


def plan_json(plan: DriverPlan) -> dict[str, Any]:
    """The same as one object; a file's content is text."""
    return {
        "as_of": AS_OF.isoformat(),
        "system": plan.request.os.name,
        "kernel": plan.kernel,
        "cards": [_card_json(card) for card in plan.request.cards],
        "drivers": [
            {
                "cards": [card.ids for card in choice.cards],
                "driver": choice.text,
                "branch": choice.branch.number if choice.branch else None,
                "modules": choice.flavour,
                "build": choice.packages.build,
                "origin": choice.packages.name,
                "needs": choice.requirement.text if choice.requirement else None,
                "reason": choice.packages.reason,
                "source": choice.packages.source.text,
            }
            for choice in plan.choices
        ],
        "steps": [_step_json(step) for step in plan.steps],
        "findings": [finding.to_json() for finding in plan.findings],
    }


def _lines(plan: DriverPlan, width: int) -> Iterator[str]:
    yield f"System  {plan.request.os.name}{f', kernel {plan.kernel}' if plan.kernel else ''}"
    for card in plan.request.cards:
        yield f"Card    {card.title}"
    for choice in plan.choices:
        yield from _choice_lines(choice, width)
    if plan.steps:
        yield ""
        yield "Steps"
    for number, step in enumerate(plan.steps, 1):
        yield from wrapped(step_text(step), "       ", f"{number:3}. ", width)
        yield from wrapped(step.reason, "     ", "     ", width)
    if plan.findings:
        yield ""
        yield findings_text(plan.findings, width)


def _choice_lines(choice: Choice, width: int) -> Iterator[str]:
    yield ""
    yield from wrapped(choice.text, _INDENT, "Driver  ", width)
    if choice.requirement and choice.branch:
        ends = f"; supported until {choice.branch.ends}" if choice.branch.ends else ""
        text = f"the cards need {choice.requirement.text}{ends}"
        yield from wrapped(text, _INDENT, _INDENT, width)
    yield from wrapped(choice.packages.reason, _INDENT, _INDENT, width)
    source = choice.packages.source
    yield from wrapped(f"source: {source.text} ({source.read})", _INDENT, _INDENT, width)


def step_text(step: Step) -> str:
    """`install nvidia-utils-580-server`: what a step does, in a line."""
    if isinstance(step, AddRepository):
        return f"add the repository {step.name}"
    if isinstance(step, InstallPackages):
        return f"install {' '.join(step.names)}"
    if isinstance(step, HoldPackages):
        return f"hold {' '.join(step.names)}"
    if isinstance(step, WriteGuestFile):
        return f"write {step.path}"
    return f"run {_command(step)}"


def _command(step: RunInGuest) -> str:
    """The command without a script's text, which would fill the screen."""
    return " ".join("…" if len(word) > 60 and " " in word else word for word in step.argv)


def _card_json(card: Any) -> dict[str, Any]:
    generation = card.generation.name if card.generation else None
    return {"ids": card.ids, "name": card.name, "generation": generation}


def _step_json(step: Step) -> dict[str, Any]:
    data: dict[str, Any] = {"kind": _KINDS[type(step)], **step.__dict__}
    if isinstance(step, WriteGuestFile):
        data["content"] = step.content.decode(errors="replace")
        data["mode"] = f"{step.mode:04o}"
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in data.items()
    }


_KINDS: dict[type, str] = {
    AddRepository: "repository",
    InstallPackages: "install",
    HoldPackages: "hold",
    WriteGuestFile: "file",
    RunInGuest: "run",
}
