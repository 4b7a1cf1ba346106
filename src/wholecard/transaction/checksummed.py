"""The journal's own files: JSON with a checksum, so that a damaged file is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, TypeVar

from wholecard.core import WholecardError

DAMAGE = (
    "Nothing was changed. Restore the journal's folder from a backup of the host. Or restore the "
    "files by hand from its folder `before`, then move the journal's folder away."
)

_T = TypeVar("_T")


def pack(data: Mapping[str, Any]) -> bytes:
    """`data` as JSON with its checksum."""
    return json.dumps({**data, "sum": _sum(data)}, indent=1).encode()


def unpack(path: Path, build: Callable[[dict[str, Any]], _T], damage: str = DAMAGE) -> _T:
    """What `build` makes of the packed data at `path`.

    Raises WholecardError where it cannot be read, is not what was written, or `build` raises
    KeyError, TypeError, ValueError or AttributeError; `damage` is then its resolution.
    """
    try:
        return build(_checked(json.loads(path.read_bytes())))
    except PermissionError as error:
        raise WholecardError(f"cannot read {path}", str(error), "Run it as root.") from error
    except OSError as error:
        raise WholecardError(f"cannot read {path}", str(error), damage) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WholecardError(f"{path} is damaged", f"{error!r}", damage) from error


def _checked(data: dict[str, Any]) -> dict[str, Any]:
    if data.pop("sum") != _sum(data):
        raise ValueError("its content is not what was written")
    return data


def _sum(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
