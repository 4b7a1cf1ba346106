"""Regular expressions from configuration files: which ones can be matched in a short time."""

from __future__ import annotations

import re
import warnings
from re import _parser  # type: ignore[attr-defined]  # the only parser that reads what re reads
from typing import Any

# A pattern for a field of four digits at most. Reading one this long takes some milliseconds.
LONGEST = 2000
# The most paths a match may have; Python tries some ten million a second.
MOST_PATHS = 100_000
# Reading a set with (?i) takes a step for every character in it.
LARGEST_SET = 200_000

_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})


class DangerousPatternError(Exception):
    """Matching or compiling this pattern could take hours."""


def compiled(pattern: str, longest_subject: int) -> re.Pattern[str]:
    """`pattern` compiled, after a check that matching it ends soon.

    `longest_subject` is the length of the longest text it will be matched against. Raises
    re.error where Python cannot compile it and DangerousPatternError where it must not.
    A pattern that compiles means what it means to nova: nothing about it is changed.
    """
    if len(pattern) > LONGEST:
        raise DangerousPatternError(f"it is {len(pattern)} characters long")
    with warnings.catch_warnings():
        # Python's warnings about a pattern are in nova's log already.
        warnings.simplefilter("ignore")
        try:
            tree = _parser.parse(pattern)
            if _paths(tree, longest_subject) > MOST_PATHS:
                raise DangerousPatternError("its repeats can be combined in too many ways")
            return re.compile(pattern)
        except (OverflowError, RecursionError) as error:
            raise re.error(str(error) or type(error).__name__, pattern) from None


def cost(pattern: str, longest_subject: int) -> int:
    """How many steps matching a pattern that compiled may take, for a text of that length."""
    return max(1, _paths(_parser.parse(pattern), longest_subject))


def _paths(tree: Any, length: int) -> int:
    """An upper bound of the ways to match `tree` from one position of a text of `length`."""
    paths = 1
    for operation, argument in tree:
        paths *= _paths_of(str(operation), argument, length)
        if paths > MOST_PATHS:
            break
    return paths


def _paths_of(name: str, argument: Any, length: int) -> int:
    if name in _REPEATS:
        least, most, body = argument
        return _repeat_paths(least, most, body, length)
    if name == "BRANCH":
        return sum(_paths(branch, length) for branch in argument[1])
    if name == "GROUPREF_EXISTS":
        _, yes, no = argument
        return _paths(yes, length) + (_paths(no, length) if no else 1)
    if name in {"SUBPATTERN", "ASSERT", "ASSERT_NOT", "ATOMIC_GROUP"}:
        return _paths(argument if name == "ATOMIC_GROUP" else argument[-1], length)
    if name == "IN":
        _check_set(argument)
    return 1


def _repeat_paths(least: int, most: int, body: Any, length: int) -> int:
    """Ways of a repeat: the sum over its numbers of rounds.

    Beyond its least number a round that matches nothing ends the repeat, so at most `length`
    rounds follow; rounds that each take a character are at most as many as the text has.
    """
    rounds = min(most, least + length)
    if body.getwidth()[0] > 0:
        rounds = min(rounds, length)
    once = _paths(body, length)
    total = 0
    for count in range(min(least, rounds), rounds + 1):
        if count > 64 and once > 1:
            return MOST_PATHS + 1
        total += once**count
        if total > MOST_PATHS:
            break
    # Python makes all rounds that take nothing, even where there is only one way.
    return max(total, min(least, rounds))


def _check_set(items: Any) -> None:
    ranges = [argument for operation, argument in items if str(operation) == "RANGE"]
    size = sum(last - first + 1 for first, last in ranges)
    if size > LARGEST_SET:
        raise DangerousPatternError(f"a set of it has {size} characters")
