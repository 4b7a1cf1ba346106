"""The reader of nova.conf: oslo.config's values, and where they stand."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oslo_config import cfg

from wholecard.core import UsageError
from wholecard.core.position import Position
from wholecard.nova.conf.conf_file import LARGEST, MOST_LINES, ConfFile, Problem
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.options import OPTIONS, Option

BY_NAME: dict[str, Option] = {option.name: option for option in OPTIONS}


def conf(*texts: str) -> NovaConf:
    """The configuration in files of these texts, in this order."""
    return NovaConf(
        tuple(ConfFile.parse(text.encode(), f"{n}.conf") for n, text in enumerate(texts, 1))
    )


def test_a_values_characters_have_places() -> None:
    """A character of a value of several lines is found at its own line and column."""
    entry = conf('[pci]\nalias = {"a": 1,\n      "b": 2}\n').files[0].entries[0]
    assert entry.value == '{"a": 1,\n"b": 2}'
    assert [entry.position(0), entry.position(7), entry.position(9), entry.position(15)] == [
        Position(2, 9),
        Position(2, 16),
        Position(3, 7),
        Position(3, 13),
    ]


def test_quotes_around_one_line_do_not_count() -> None:
    """oslo.config takes quotes off a value of one line, and leaves those around several."""
    file = conf("[pci]\nalias = '{}'\nalias = '{\n  }'\n").files[0]
    assert [(entry.value, entry.position(0)) for entry in file.entries] == [
        ("{}", Position(2, 10)),
        ("'{\n}'", Position(3, 9)),
    ]


@pytest.mark.parametrize(
    ("data", "kind", "place"),
    [
        (b"[pci]\nalias\n", "assignment", Position(2, 1)),
        (b"[pci]\n= 1\n", "name", Position(2, 1)),
        (b"[pci]\n  alias = 1\n", "continuation", Position(2, 1)),
        (b"[pci\nalias = 1\n", "bracket", Position(1, 1)),
        (b"[]\n", "section", Position(1, 1)),
        (b"alias = 1\n", "no-section", Position(1, 1)),
        (b"[pci]\n# K\xe4rte\nalias = 1\n", "encoding", Position(2, 4)),
        ("\ufeff[pci]\n".encode(), "mark", Position(1, 1)),
        (b"#" * (LARGEST + 1), "large", Position(1, 1)),
        (b"\n" * (MOST_LINES + 1), "large", Position(1, 1)),
    ],
)
def test_what_nova_stops_at_is_a_problem(data: bytes, kind: str, place: Position) -> None:
    """Each thing at which oslo.config stops is one problem at its place."""
    problems = ConfFile.parse(data, "nova.conf").problems
    assert [(each.kind, each.position) for each in problems] == [(kind, place)]


def test_reading_goes_on_behind_a_problem() -> None:
    """What stands behind a line that nova stops at is read."""
    file = ConfFile.parse(b"nonsense\n[pci\nalias = \xe4\n[x]\ny=1\n")
    assert [(entry.section, entry.name) for entry in file.entries] == [("pci", "alias"), ("x", "y")]
    assert len(file.problems) == 3


def test_a_problem_holds_no_value() -> None:
    """The text of a problem repeats nothing that may be a password."""
    file = ConfFile.parse(b"rabbit://me:secret@host = 1\n[DEFAULT]\nsecret\n  secret\n[secret")
    assert file.problems
    assert "secret" not in str([problem.text for problem in file.problems])


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_count(ends: str) -> None:
    """Lines end as Python's text files have them, and offsets lead back into the file's text."""
    file = ConfFile.parse(ends.join(["[pci]", "", "alias = {}", ""]).encode())
    assert file.entries[0].position() == Position(3, 9)
    assert file.text[file.offset(file.entries[0].position()) :].startswith("{}")


def test_old_names_come_before_new_ones() -> None:
    """Within one file values under a deprecated name stand before those under the right one."""
    found = conf(
        "[pci]\ndevice_spec = 1\npassthrough_whitelist = 2\n[DEFAULT]\n"
        "pci_passthrough_whitelist = 3\n[PCI]\ndevice_spec = 4\n",
        "[pci]\ndevice_spec = 5\n",
    )
    option = BY_NAME["device_spec"]
    assert found.effective(option, 34).values == ("3", "2", "1", "4", "5")
    assert found.effective(option, 13).values == ("3",)


def test_the_last_file_wins() -> None:
    """Of an option that is not repeated the last file's last value counts, with its place."""
    found = conf(
        "[filter_scheduler]\nenabled_filters = A\n", "[filter_scheduler]\nenabled_filters = B,C\n"
    ).effective(BY_NAME["enabled_filters"])
    assert (found.values, str(found.entries[0])) == (
        ("B", "C"),
        "2.conf:2 [filter_scheduler] enabled_filters",
    )


def test_dollars_are_replaced_and_traced() -> None:
    """`$name` takes the value of the section or of DEFAULT, and every character has its origin."""
    found = conf("[DEFAULT]\nhost = gpu-01\n[pci]\nalias = a $host $$b \\$c ${nope} z\n")
    entry = found.find("pci", "alias")[0]
    text = found.substituted(entry)
    assert text.text == "a gpu-01 $b $c ${nope} z"
    assert text.unknown == (("nope", entry.value.index("${nope}")),)
    assert [text.origin(text.text.index(sign)) for sign in "bcz"] == [
        entry.value.index(sign) for sign in ("b", "c", "z")
    ]


def test_a_folder_is_read_by_name(tmp_path: Path) -> None:
    """Of a folder every *.conf is read in the order of its names, and nothing else."""
    folder = tmp_path / "nova.conf.d"
    folder.mkdir()
    for name in ("20.conf", "10.conf", ".hidden.conf", "30.conf.bak"):
        (folder / name).write_text("[pci]\n")
    paths = [Path(file.path).name for file in NovaConf.read([folder]).files]
    assert paths == ["10.conf", "20.conf"]


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    """A path where nothing is was a wrong call."""
    with pytest.raises(UsageError, match="is not a file"):
        NovaConf.read([tmp_path / "nova.conf"])


LINES = st.lists(
    st.sampled_from([
        "[pci]", "[PCI]", "[DEFAULT]", "[default]", "[filter_scheduler]", "", "# comment", "; c",
        "device_spec = 1", "device_spec: two", "passthrough_whitelist = 'x'", "pci_alias = {",
        "alias = '{", "  }'", "\t more", "  # not a comment", "enabled_filters = A, B,", "alias =",
        "alias = \"", "pci_passthrough_whitelist=3", "scheduler_default_filters = Z",
        "report_in_placement = Yes", "device_spec = $$a \\$b $$", "alias = a $host x ${host}y",
        "host = h", "alias = ''", "enabled_filters = ,,A ,B", "alias\u00a0= \u2003x\u2003",
    ]),
    max_size=14,
)  # fmt: skip


def options() -> list[tuple[str, Any]]:
    """The table's options as oslo.config registers them."""
    kinds = {"multi": cfg.MultiStrOpt, "list": cfg.ListOpt, "boolean": cfg.BoolOpt}
    return [
        (
            each.spellings[0].section,
            kinds[each.kind](
                each.name,
                deprecated_opts=[
                    cfg.DeprecatedOpt(old.name, group=old.section) for old in each.spellings[1:]
                ],
            ),
        )
        for each in OPTIONS
        if each.kind in kinds
    ]


def by_oslo(paths: list[Path]) -> dict[str, Any] | None:
    """What oslo.config itself reads, None where it refuses a file; no value that it refuses."""
    parsed = cfg.ConfigOpts()
    for section, option in options():
        parsed.register_opt(option, group=section)
    parsed.register_opt(cfg.StrOpt("host"))
    try:
        parsed(args=[], default_config_files=[str(path) for path in paths], default_config_dirs=[])
    except cfg.ConfigFileParseError:
        return None
    found: dict[str, Any] = {}
    for section, option in options():
        # A boolean that is none is no fault of the file's form.
        with contextlib.suppress(cfg.ConfigFileValueError):
            found[option.name] = parsed[section][option.name]
    return found


@settings(max_examples=300)
@given(first=LINES, second=LINES)
def test_it_reads_what_oslo_config_reads(
    tmp_path_factory: pytest.TempPathFactory, first: list[str], second: list[str]
) -> None:
    """Two files have the values that oslo.config has, and problems exactly where it refuses."""
    folder = tmp_path_factory.mktemp("conf")
    paths = [folder / "1.conf", folder / "2.conf"]
    for path, lines in zip(paths, (first, second), strict=True):
        path.write_text("[DEFAULT]\nhost = q\n" + "\n".join(lines) + "\n")
    wanted = by_oslo(paths)
    found = NovaConf.read(paths)
    assert bool(found.problems) == (wanted is None)
    if wanted is None:
        return
    for option in OPTIONS:
        if option.name in wanted:
            assert read(found, option) == wanted[option.name], option.name


def read(found: NovaConf, option: Option) -> Any:
    """An option's value in the form in which oslo.config gives it."""
    effective = found.effective(option)
    if not effective.is_set:
        return None
    if option.kind == "boolean":
        return effective.boolean()
    if option.kind == "multi":
        return [found.substituted(entry).text for entry in effective.entries]
    return list(effective.values)


def test_a_problem_is_plain_data() -> None:
    """A problem compares by its fields, so that findings made of it do."""
    assert ConfFile.parse(b"x").problems == [
        Problem("assignment", "nova.conf", Position(1, 1), "neither '=' nor ':' on this line")
    ]


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    """A pipe that nobody may ever write to is refused, not waited for."""
    pipe = tmp_path / "nova.conf"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="is not a file"):
        NovaConf.read([pipe])


def test_an_endless_file_is_large() -> None:
    """Of a file without end as much is read as a nova.conf can have."""
    (file,) = NovaConf.read([Path("/dev/zero")]).files
    assert [problem.kind for problem in file.problems] == ["large"]


def test_how_much_is_read(tmp_path: Path) -> None:
    """Of a file only a few MiB are read: nova's own sample with every option has 600 KiB."""
    assert LARGEST <= 8 << 20
    file = tmp_path / "nova.conf"
    file.touch()
    os.truncate(file, 1 << 40)
    assert [problem.kind for problem in ConfFile.read(file).problems] == ["large"]
