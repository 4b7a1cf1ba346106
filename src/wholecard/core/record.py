"""Frozen records: what `dataclasses` gives, without what importing it costs.

`inspect` runs on whole fleets and is measured as a whole process. Importing `dataclasses` brings
`inspect`, `ast`, `dis` and `re` and takes longer than the interpreter's own start; building a
class by generated source takes another half millisecond each. Type checkers see the real
`dataclass`, and `dataclasses.replace`, `fields` and `asdict` work on these records, for the
fields are described to them when they ask.
"""

from __future__ import annotations

__all__ = ["assembled", "dataclass", "replace"]

# Not typing's, whose import costs as much as ten of our files; checkers know it by its name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass, replace
    from typing import Any, TypeVar

    Record = TypeVar("Record")

    def assembled(cls: type[Record], fields: dict[str, Any]) -> Record: ...  # noqa: D103
else:

    def dataclass(*, frozen, order=False):
        """Make a class with annotated fields a frozen record; `order` compares as tuples do.

        Not supported, and not needed here: `field()`, inheritance of fields, mutable records.
        """
        if not frozen:
            raise TypeError("records are frozen")

        def record_class(cls):
            names = tuple(cls.__annotations__)
            cls.__init__ = _init(cls, names)
            cls.__dataclass_fields__ = _Fields()
            for method in (_repr, _eq, _hash, _setattr, _delattr):
                setattr(cls, f"__{method.__name__[1:]}__", method)
            if order:
                cls.__lt__ = _lt
            return cls

        return record_class

    def assembled(cls, fields):
        """A record that keeps `fields`, all of its fields in their order: nothing is checked."""
        record = object.__new__(cls)
        object.__setattr__(record, "__dict__", fields)
        return record

    def replace(record, **changes):
        """The record with some fields changed, as `dataclasses.replace` does it."""
        return record.__class__(**{**record.__dict__, **changes})

    _MISSING = object()

    def _init(cls, names):
        # Every name in its order, so that a record's __dict__ has its fields in theirs.
        start = {name: cls.__dict__.get(name, _MISSING) for name in names}
        required = tuple(name for name in names if start[name] is _MISSING)
        count = len(names)

        def init(self, *values, **named):
            data = self.__dict__
            data.update(start)
            if values:
                data.update(zip(names, values))
            data.update(named)
            if len(data) != count or len(values) > count:
                unknown = sorted(set(named) - set(names))
                raise TypeError(f"{cls.__name__} has no such fields: {unknown or len(values)}")
            if values and named and not set(names[: len(values)]).isdisjoint(named):
                raise TypeError(f"{cls.__name__}: a field was given twice")
            for name in required:
                if data[name] is _MISSING:
                    raise TypeError(f"{cls.__name__} needs the field {name}")

        return init

    class _Fields:
        """The fields as `dataclasses` describes them, made when it asks."""

        def __get__(self, instance, owner):
            import dataclasses

            names = owner.__annotations__
            body = {name: owner.__dict__[name] for name in names if name in owner.__dict__}
            twin = type(owner.__name__, (), {**body, "__annotations__": dict(names)})
            described = dataclasses.dataclass(frozen=True)(twin).__dataclass_fields__
            owner.__dataclass_fields__ = described
            return described

    def _repr(self):
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{self.__class__.__qualname__}({fields})"

    def _eq(self, other):
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self.__dict__ == other.__dict__

    def _lt(self, other):
        if other.__class__ is not self.__class__:
            return NotImplemented
        return tuple(self.__dict__.values()) < tuple(other.__dict__.values())

    def _hash(self):
        return hash(tuple(self.__dict__.values()))

    def _setattr(_self, name, _value):
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def _delattr(_self, name):
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot delete field {name!r}")
