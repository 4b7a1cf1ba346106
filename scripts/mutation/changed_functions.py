"""Functions of a running Python are given the code of a changed source."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from enum import Enum
from types import CodeType, FunctionType

Key = tuple[str, str, int]


class Changed(Enum):
    """How far a running Python is as if the changed source had been imported."""

    WHOLLY = "wholly"
    FROM_NOW = "from now on"
    NOT = "not"


class LoadedFunctions:
    """All functions there are, by file, name and first line."""

    def __init__(self, entered: list[str]) -> None:
        """`entered`: `file:function` of what has run already, which cannot be changed any more."""
        self._entered = set(entered)
        self._functions: dict[Key, list[FunctionType]] = {}
        for function in gc.get_objects():
            if isinstance(function, FunctionType):
                self._functions.setdefault(_key(function.__code__), []).append(function)
        self._files = {file for file, _, _ in self._functions}

    def change(self, path: str, old: str, new: str) -> Changed:
        """Give the functions of a file their new code.

        That is not possible where something outside of functions is changed; where one has run
        already, what it did then stays.
        """
        if path not in self._files:
            return Changed.WHOLLY  # Whoever imports it reads the file.
        pairs = list(_pairs(compile(old, path, "exec"), compile(new, path, "exec")))
        if any(after is None for _, after in pairs):
            return Changed.NOT
        changed = Changed.WHOLLY
        for before, after in pairs:
            if after is None or _same(before, after):
                continue
            functions = self._functions.get(_key(before), [])
            if not functions or after.co_freevars != before.co_freevars:
                return Changed.NOT
            for function in functions:
                function.__code__ = after
            if self._has_run(path, before.co_name):
                changed = Changed.FROM_NOW
        return changed

    def _has_run(self, path: str, name: str) -> bool:
        return any(
            name == entered.rpartition(":")[2] and path.endswith("/" + entered.rpartition(":")[0])
            for entered in self._entered
        )


def _key(code: CodeType) -> Key:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _inner(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _same(before: CodeType, after: CodeType) -> bool:
    """Whether two codes do the same, in whichever lines they are."""
    shapes = [
        (
            code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars,
            [(type(c), c) for c in code.co_consts if not isinstance(c, CodeType)],
        )
        for code in (before, after)
    ]  # fmt: skip
    inner = list(zip(_inner(before), _inner(after), strict=False))
    return (
        shapes[0] == shapes[1]
        and len(_inner(before)) == len(_inner(after))
        and all(_same(*pair) for pair in inner)
    )


def _pairs(before: CodeType, after: CodeType) -> Iterator[tuple[CodeType, CodeType | None]]:
    """The outermost functions of a module and of its classes; None after a change around them."""
    inner = list(zip(_inner(before), _inner(after), strict=False))
    bare = [code.replace(co_consts=tuple(None if isinstance(c, CodeType) else c
            for c in code.co_consts)) for code in (before, after)]  # fmt: skip
    if not _same(*bare) or len(_inner(before)) != len(_inner(after)):
        yield before, None
        return
    for one, other in inner:
        # CO_OPTIMIZED: a function, and not the body of a class (inspect, "Code Objects Bit Flags").
        if one.co_flags & 1:
            yield one, other
        else:
            yield from _pairs(one, other)
