"""The ways in which a host is changed: a file written, a tool run, a driver bound."""

from __future__ import annotations

from typing import Any, TypeVar, Union

from wholecard.core import Action, Plan, UsageError, WholecardError
from wholecard.host.operations.bind_driver import BindDriver
from wholecard.host.operations.load_module import LoadModule
from wholecard.host.operations.run_tool import TOOL_TIMEOUT, RunTool
from wholecard.host.operations.write_file import WriteFile, encode
from wholecard.pci import Address

HostOperation = Union[WriteFile, RunTool, LoadModule, BindDriver]


def operation_of(action: Action) -> HostOperation:
    """The action's operation, which in a host's plan is one of ours. Raises WholecardError."""
    if isinstance(action.do, (WriteFile, RunTool, LoadModule, BindDriver)):
        return action.do
    raise WholecardError(f"{action.kind} {action.subject} is not a change of a host")


def plan_from_json(data: dict[str, Any]) -> Plan:
    """The inverse of `Plan.to_json` for a host's plan.

    Raises WholecardError for an operation that this release does not know, and ValueError,
    TypeError or KeyError for what is no plan.
    """
    actions = (
        Action(
            kind=_text(entry["kind"]),
            subject=_text(entry["subject"]),
            reason=_text(entry["reason"]),
            do=_operation(dict(entry["do"])),
            undo=_text(entry["undo"]),
        )
        for entry in data["actions"]
    )
    return Plan(tuple(actions), _is(data["reboot_needed"], bool))


def _operation(data: dict[str, Any]) -> HostOperation:
    op = data.pop("op")
    if op == "write-file":
        data.pop("expect_sha256")
        _path(data["path"])
        encode(_text(data["content"]))
        _is(data["mode"], int)
        _is(data["before"] or "", str)
        _is(data["before_mode"] or 0, int)
        _is(data.get("private", False), bool)
        return WriteFile(**data)
    if op == "run-tool":
        return RunTool(
            _texts(data["argv"]),
            tuple(_path(pattern) for pattern in _texts(data["outputs"])),
            float(data.get("timeout", TOOL_TIMEOUT)),
            _texts(data.get("again", [])),
        )
    if op == "load-module":
        return LoadModule(_text(data["module"]))
    if op == "bind-driver":
        for key in ("address", "driver", "vendor", "device"):
            _text(data[key])
        for key in ("former_driver", "former_override"):
            _is(data[key] or "", str)
        return BindDriver(**{**data, "address": _address(data["address"])})
    raise WholecardError(
        f"unknown operation {op!r}", resolution="Use the release of Wholecard that wrote it."
    )


_T = TypeVar("_T")


def _is(value: Any, kind: type[_T]) -> _T:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _text(value: Any) -> str:
    return _is(value, str)


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(_text(value) for value in _is(values, list))


def _address(text: str) -> str:
    try:
        return str(Address.parse(text))
    except UsageError as error:
        raise ValueError(error.brief) from error


def _path(value: Any) -> str:
    path = _text(value)
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path!r} is no absolute path")
    return path
