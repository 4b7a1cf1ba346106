"""Objects that are found by their name and known again by mark and id: ours, or another's."""

from __future__ import annotations

from typing import Protocol, TypeVar

from wholecard.cloud.client.errors import GoneError


class Marked(Protocol):
    """An object as it is; `ours` when it carries our mark."""

    @property
    def id(self) -> str:
        """The id that the cloud gave it."""

    @property
    def ours(self) -> bool:
        """Whether it carries our mark."""


Object = TypeVar("Object", bound=Marked)


def id_of(marked: Marked | None) -> str | None:
    """Its id, None where there is none."""
    return None if marked is None else marked.id


def own_id(marked: Marked | None) -> str | None:
    """Its id if it is ours."""
    return id_of(marked) if marked is not None and marked.ours else None


def why_not_ours(marked: Marked, made: str | None) -> str | None:
    """Why it is not the one that was made here; `made` is that one's id, where it is known."""
    if not marked.ours:
        return "Wholecard did not make it"
    if made not in (None, marked.id):
        return f"its id is {marked.id}, not {made}, which Wholecard created"
    return None


def required(marked: Object | None, what: str, holder: str | None) -> Object:
    """The object, if it is ours and has the id `holder`: no other one is ever changed.

    `what` names it ("flavor gpu"); `holder` is None where the id is not known. Raises GoneError.
    """
    if marked is None:
        raise GoneError(f"the {what} is gone", resolution="See who deleted it.")
    wrong = "" if marked.ours else "no longer marked as made by Wholecard"
    if marked.ours and holder not in (None, marked.id):
        wrong = f"now {marked.id}, not {holder}, which Wholecard changed"
    if wrong:
        raise GoneError(f"the {what} is {wrong}", resolution="See who made the new one.")
    return marked
