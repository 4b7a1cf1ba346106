"""Write or remove a file."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class WriteFile:
    """Write `content` to `path` with permission bits `mode`.

    `before` is the text that stood there when the plan was made, None for no file; applying is
    refused where something else stands there by then. A `private` file may hold passwords: its
    text is shown nowhere, and the journal's copy is for its owner alone.
    """

    path: str
    content: str
    mode: int
    before: str | None = None
    before_mode: int | None = None
    private: bool = False

    @property
    def expect_sha256(self) -> str | None:
        """The digest of what must stand there before, None for no file."""
        return None if self.before is None else text_digest(self.before)

    def describe(self) -> str:
        """A unified diff, with the permission bits where they change."""
        if self.private:
            return f"{self.path} is written anew; its text may hold passwords and is not shown"
        lines = []
        if self.before is None or self.mode != self.before_mode:
            lines.append(f"mode {self.mode:04o}")
        lines.append(diff(self.before, self.content, self.path))
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """`{"op": "write-file", ...}` with the fields and `expect_sha256`."""
        fields = {**self.__dict__, "expect_sha256": self.expect_sha256}
        if not self.private:
            del fields["private"]
        return {"op": "write-file", **fields}


def text_digest(text: str) -> str:
    """The SHA-256 of a text as it is written to a file, in hex."""
    return hashlib.sha256(encode(text)).hexdigest()


def encode(text: str) -> bytes:
    """A text as bytes; what was no UTF-8 when it was read comes out as it was."""
    return text.encode("utf-8", "surrogateescape")


def diff(before: str | None, after: str | None, path: str) -> str:
    """A unified diff of two texts of the file `path`; None is no file."""
    lines = difflib.unified_diff(
        (before or "").splitlines(),
        (after or "").splitlines(),
        "/dev/null" if before is None else path,
        "/dev/null" if after is None else path,
        n=2,
        lineterm="",
    )
    return "\n".join(lines)
