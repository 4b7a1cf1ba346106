"""The story of a lab: what is shown of each step, and what is kept of it."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from wholecard.lab.base import steps
from wholecard.lab.base.process import wait_until
from wholecard.lab.base.steps import Step, Story


def story(*, terminal: bool = False) -> tuple[Story, io.StringIO]:
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
    told, screen = story()
    with told.step("outer") as outer, told.step("inner") as inner:
        inner.note = "two cards"
    assert told.steps == [outer, inner]
    assert outer.seconds is not None
    assert inner.seconds is not None
    assert 0 <= outer.started <= inner.started
    assert inner.started + inner.seconds <= outer.started + outer.seconds <= told.elapsed()
    assert lines(screen) == [["✓", "inner", "two", "cards"], ["✓", "outer"]]


def test_running_step_has_no_time() -> None:
    """A step that goes on has no time yet and has not failed."""
    told, _ = story()
    with told.step("boot") as step:
        assert told.steps == [Step("boot", step.started, None, False, "", [])]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failed_step_is_marked(error: type[BaseException]) -> None:
    """A step that an exception leaves is marked as failed, timed, and the exception goes on."""
    told, screen = story()
    with pytest.raises(error), told.step("outer"), told.step("inner"):
        raise error
    assert [(step.failed, step.seconds is not None) for step in told.steps] == [(True, True)] * 2
    assert lines(screen) == [["✗", "inner"], ["✗", "outer"]]


def test_evidence_is_kept() -> None:
    """What a step saw is kept in its order, whole, also when it fails; it is not printed."""
    told, screen = story()

    def check() -> None:
        with told.step("check") as step:
            step.saw("kernel log", "[    0.0] Linux\n[/dim] \x1b[31m")
            step.saw("kernel log", "")
            raise KeyError

    with pytest.raises(KeyError):
        check()
    assert told.steps[0].evidence == [
        ("kernel log", "[    0.0] Linux\n[/dim] \x1b[31m"), ("kernel log", "")
    ]  # fmt: skip
    assert "Linux" not in screen.getvalue()


def test_two_at_once() -> None:
    """Steps of two threads run side by side; each is printed on a line of its own."""
    told, screen = story()
    both = threading.Barrier(2)

    def side(name: str) -> None:
        for number in range(20):
            both.wait(20)
            with told.step(f"{name} {number}"):
                both.wait(20)

    threads = [threading.Thread(target=side, args=(name,)) for name in ("node", "cloud")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    titles = [f"{name} {number}" for number in range(20) for name in ("node", "cloud")]
    assert sorted(step.title for step in told.steps) == sorted(titles)
    assert sorted(lines(screen)) == sorted(["✓", *title.split()] for title in titles)
    for first, second in zip(told.steps[::2], told.steps[1::2], strict=True):
        assert first.seconds is not None
        assert second.started <= first.started + first.seconds


AWKWARD = ["[Errno 28] No space", "[/red] closed", "[bold]not bold", "card [gpu:2]", "a\\"]


@pytest.mark.parametrize("text", AWKWARD)
@pytest.mark.parametrize("terminal", [False, True])
def test_texts_are_printed_as_they_are(text: str, terminal: bool) -> None:
    """What looks like rich's markup in a title, a note or a message is text."""
    told, screen = story(terminal=terminal)
    with told.shown():
        with told.step(text) as step:
            step.note = f"note {text}"
        told.say(text, title=f"$ {text}")
    shown = screen.getvalue()
    assert shown.count(text) == 4
    assert f"note {text}" in shown
    assert f"$ {text}" in shown


def test_reminder_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal a step that takes long says that it goes on; one that has
    ended does not.
    """
    monkeypatch.setattr(steps, "REMIND_SECONDS", 0.0)
    told, screen = story()
    with told.step("quick"), told.step("[slow]"):
        pass
    with told.step("the [node] boots"), told.shown():
        wait_until(lambda: "…" in screen.getvalue(), timeout=20, what="a reminder", every=0.01)
    reminders = [line for line in lines(screen) if line[0] == "…"]
    assert reminders[0] == ["…", "the", "[node]", "boots"]
    assert not [line for line in reminders if line != reminders[0]]


def test_no_reminder_of_a_quick_step() -> None:
    """Without a terminal a quick step leaves one line, without any control character."""
    told, screen = story()
    with told.shown(), told.step("quick"):
        pass
    assert len(screen.getvalue().splitlines()) == 1
    assert "\x1b" not in screen.getvalue()


def test_terminal_shows_what_runs() -> None:
    """On a terminal a step is shown with its note while it runs, and once when it has ended."""
    told, screen = story(terminal=True)
    with told.shown(), told.step("the [node] boots") as step:
        step.note = "[tcg]"
        wait_until(lambda: "[tcg]" in screen.getvalue(), timeout=20, what="the step", every=0.01)
        assert "the [node] boots" in screen.getvalue()
        assert "✓" not in screen.getvalue()
    assert screen.getvalue().count("✓") == 1


def test_say_stands_above() -> None:
    """A message is printed under its title."""
    told, screen = story()
    told.say("3 cards\n2 findings", title="$ wholecard inspect")
    told.say("that is all")
    assert screen.getvalue() == "\n$ wholecard inspect\n3 cards\n2 findings\nthat is all\n"
