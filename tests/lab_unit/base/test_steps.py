"""The story of a lab: what is shown of each step, and what is kept of it."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from wholecard.lab.base import steps
from wholecard.lab.base.process import wait_until
from wholecard.lab.base.steps import LabStep, Story


def new_story(*, terminal: bool = False) -> tuple[Story, io.StringIO]:
    """A story and what it prints."""
    screen = io.StringIO()
    console = Console(file=screen, width=100, force_terminal=terminal, color_system=None)
    return Story(console), screen


def lines(screen: io.StringIO) -> list[list[str]]:
    """The words of each printed line, without the times."""
    return [line.rpartition(" s")[0].split()[:-1] + line.rpartition(" s")[2].split()
            for line in screen.getvalue().splitlines()]  # fmt: skip


def test_steps_stand_in_their_order() -> None:
    """Steps are kept in the order of their beginning, with times that fit into each other."""
    story, screen = new_story()
    with story.step("outer") as outer, story.step("inner") as inner:
        inner.note = "two cards"
    assert story.steps == [outer, inner]
    assert outer.seconds is not None
    assert inner.seconds is not None
    assert 0 <= outer.started <= inner.started
    assert inner.started + inner.seconds <= outer.started + outer.seconds <= story.elapsed()
    assert lines(screen) == [["✓", "inner", "two", "cards"], ["✓", "outer"]]


def test_running_step_has_no_time() -> None:
    """A step that goes on has no time yet and has not failed."""
    story, _ = new_story()
    with story.step("boot") as step:
        assert story.steps == [LabStep("boot", step.started, None, False, "", [])]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failed_step_is_marked(error: type[BaseException]) -> None:
    """A step that an exception leaves is marked as failed, timed, and the exception goes on."""
    story, screen = new_story()
    with pytest.raises(error), story.step("outer"), story.step("inner"):
        raise error
    assert [(step.failed, step.seconds is not None) for step in story.steps] == [(True, True)] * 2
    assert lines(screen) == [["✗", "inner"], ["✗", "outer"]]


def test_evidence_is_kept() -> None:
    """What a step saw is kept in its order, whole, also when it fails; it is not printed."""
    story, screen = new_story()

    def check() -> None:
        with story.step("check") as step:
            step.saw("kernel log", "[    0.0] Linux\n[/dim] \x1b[31m")
            step.saw("kernel log", "")
            raise KeyError

    with pytest.raises(KeyError):
        check()
    assert story.steps[0].evidence == [
        ("kernel log", "[    0.0] Linux\n[/dim] \x1b[31m"), ("kernel log", "")
    ]  # fmt: skip
    assert "Linux" not in screen.getvalue()


def test_two_at_once() -> None:
    """Steps of two threads run side by side; each is printed on a line of its own."""
    story, screen = new_story()
    both = threading.Barrier(2)

    def side(name: str) -> None:
        for number in range(20):
            both.wait(20)
            with story.step(f"{name} {number}"):
                both.wait(20)

    threads = [threading.Thread(target=side, args=(name,)) for name in ("node", "cloud")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    titles = [f"{name} {number}" for number in range(20) for name in ("node", "cloud")]
    assert sorted(step.title for step in story.steps) == sorted(titles)
    assert sorted(lines(screen)) == sorted(["✓", *title.split()] for title in titles)
    for first, second in zip(story.steps[::2], story.steps[1::2], strict=True):
        assert first.seconds is not None
        assert second.started <= first.started + first.seconds


AWKWARD = ["[Errno 28] No space", "[/red] closed", "[bold]not bold", "card [gpu:2]", "a\\"]


@pytest.mark.parametrize("text", AWKWARD)
@pytest.mark.parametrize("terminal", [False, True])
def test_texts_are_printed_as_they_are(text: str, terminal: bool) -> None:
    """What looks like rich's markup in a title, a note or a message is text."""
    story, screen = new_story(terminal=terminal)
    with story.shown():
        with story.step(text) as step:
            step.note = f"note {text}"
        story.say(text, title=f"$ {text}")
    printed = screen.getvalue()
    assert printed.count(text) == 4
    assert f"note {text}" in printed
    assert f"$ {text}" in printed


def test_reminder_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal a step that takes long says that it goes on; one that has
    ended does not.
    """
    monkeypatch.setattr(steps, "REMIND_SECONDS", 0.0)
    story, screen = new_story()
    with story.step("quick"), story.step("[slow]"):
        pass
    with story.step("the [node] boots"), story.shown():
        wait_until(lambda: "…" in screen.getvalue(), timeout=20, what="a reminder", every=0.01)
    reminders = [line for line in lines(screen) if line[0] == "…"]
    assert reminders[0] == ["…", "the", "[node]", "boots"]
    assert not [line for line in reminders if line != reminders[0]]


def test_no_reminder_of_a_quick_step() -> None:
    """Without a terminal a quick step leaves one line, without any control character."""
    story, screen = new_story()
    with story.shown(), story.step("quick"):
        pass
    assert len(screen.getvalue().splitlines()) == 1
    assert "\x1b" not in screen.getvalue()


def test_terminal_shows_what_runs() -> None:
    """On a terminal a step is shown with its note while it runs, and once when it has ended."""
    story, screen = new_story(terminal=True)
    with story.shown(), story.step("the [node] boots") as step:
        step.note = "[tcg]"
        wait_until(lambda: "[tcg]" in screen.getvalue(), timeout=20, what="the step", every=0.01)
        assert "the [node] boots" in screen.getvalue()
        assert "✓" not in screen.getvalue()
    assert screen.getvalue().count("✓") == 1


def test_say_stands_above() -> None:
    """A message is printed under its title."""
    story, screen = new_story()
    story.say("3 cards\n2 findings", title="$ wholecard inspect")
    story.say("that is all")
    assert screen.getvalue() == "\n$ wholecard inspect\n3 cards\n2 findings\nthat is all\n"
