"""What nova of a release makes of its configuration files, for the options of our table.

Read by oslo.config itself: the last file counts, repeated options add up, old names count as long
as that release reads them, `$name` is replaced.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wholecard.core import WholecardError
from wholecard.core.input_files import refuse_odd
from wholecard.nova.conf.conf_file import LARGEST
from wholecard.nova.options import (
    OPTIONS,
    OPTIONS_OF_A_TYPE,
    Option,
    Spelling,
    by_name,
    of_type,
)

if TYPE_CHECKING:
    from oslo_config import cfg

# An option's values as texts; an option that no file sets is missing.
Values = Mapping[Option, tuple[str, ...]]


def read_values(files: Sequence[Path], major: int) -> Values:
    """The values that the files set, in the order in which nova reads them.

    A list's values are its items; a single value is one. Types are not checked: a value that nova
    would refuse is read as it is.

    Raises WholecardError when a file is missing, unreadable or not in oslo.config's format.
    """
    # Late: lint has a reader of its own, and this library takes longer than all its checks.
    from oslo_config import cfg  # noqa: PLC0415

    conf = cfg.ConfigOpts()
    known = _registered(conf, OPTIONS, major)
    # A deprecated name is a finding of lint; without this oslo.config would log a line for it.
    logger = logging.getLogger("oslo_config.cfg")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        for file in files:
            refuse_odd(file, LARGEST)
        conf(args=[], default_config_files=[str(file) for file in files], default_config_dirs=[])
        known += _registered(conf, _of_types(conf, major), major)
        values = {option: _value(conf, right) for option, right in known}
    except (cfg.Error, OSError, UnicodeError, ValueError, RecursionError) as error:
        circle = isinstance(error, RecursionError)
        raise WholecardError(
            "cannot read nova's configuration",
            "An option's value refers to itself." if circle else str(error),
            "Name the files that the service itself reads, in their order.",
        ) from error
    finally:
        logger.disabled = was_disabled
    return {option: value for option, value in values.items() if value is not None}


def _registered(
    conf: cfg.ConfigOpts, options: Iterable[Option], major: int
) -> list[tuple[Option, Spelling]]:
    """Those of the options that the release has, declared to oslo.config."""
    from oslo_config import cfg  # noqa: PLC0415 - as above

    known = [(option, right) for option in options if (right := option.spelling(major))]
    for option, right in known:
        kind = {"multi": cfg.MultiStrOpt, "list": cfg.ListOpt}.get(option.kind, cfg.StrOpt)
        old = [
            cfg.DeprecatedOpt(spelling.name, group=spelling.section)
            for spelling in option.deprecated_spellings(major)
        ]
        group = None if right.section == "DEFAULT" else right.section
        conf.register_opt(kind(right.name, deprecated_opts=old), group=group)
    return known


def _of_types(conf: cfg.ConfigOpts, major: int) -> list[Option]:
    """The options of the sections of all enabled types of mediated devices."""
    types = _value(conf, by_name("enabled_mdev_types").spelling(major)) or ()
    return [of_type(option, name) for name in types for option in OPTIONS_OF_A_TYPE]


def _value(conf: cfg.ConfigOpts, right: Spelling | None) -> tuple[str, ...] | None:
    if right is None:
        return None
    value = _replaced(conf, right)
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(value)


def _replaced(conf: cfg.ConfigOpts, right: Spelling) -> str | list[str] | None:
    """An option's value; what it takes from an option that is not in our table, nova has.

    Such a `$name` is replaced where a file sets the name, and stays as it is written elsewhere.
    """
    from oslo_config import cfg  # noqa: PLC0415 - as above

    while True:
        try:
            options = conf if right.section == "DEFAULT" else conf[right.section]
            value: str | list[str] | None = options[right.name]
        except cfg.NoSuchGroupError as unknown:
            conf.register_group(cfg.OptGroup(unknown.group_name))
        except cfg.NoSuchOptError as unknown:
            # oslo.config asks for `SECTION.NAME` last (cfg.py, StrSubWrapper), and replaces in a
            # default too, where `$$` is a `$`.
            section, _, name = unknown.opt_name.rpartition(".")
            option = cfg.StrOpt(name, default=f"$${unknown.opt_name}")
            if not conf.register_opt(option, group=section or None):
                raise
        else:
            return value
