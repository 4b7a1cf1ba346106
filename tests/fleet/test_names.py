"""The hosts that a person names."""

from __future__ import annotations

from pathlib import Path

import pytest

from wholecard.core import UsageError
from wholecard.fleet import read_names


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["gpu-01"], ("gpu-01",)),
        (["a,b", "c"], ("a", "b", "c")),
        (["b, a,", "a"], ("b", "a")),
        (["root@gpu_1.example.org"], ("root@gpu_1.example.org",)),
        (["192.0.2.7,2001:db8::1,fe80::1%eth0,me@::1"],
         ("192.0.2.7", "2001:db8::1", "fe80::1%eth0", "me@::1")),
    ],
)  # fmt: skip
def test_names(given: list[str], names: tuple[str, ...]) -> None:
    """Lists, repeated options, users and addresses give hosts, each once, in the order asked."""
    assert read_names(given) == names


def test_file(tmp_path: Path) -> None:
    """A file has a host per line; comments and empty lines are none."""
    (tmp_path / "hosts").write_text("gpu-01\n\n# racks\n  gpu-02  # spare\n")
    assert read_names([f"a,@{tmp_path}/hosts"]) == ("a", "gpu-01", "gpu-02")


@pytest.mark.parametrize(
    "name",
    ["-oProxyCommand=id", "root@-x", "a b", "a;b", "$(id)", "`id`", "a|b", "a'b", "a\nb", "@", "a@",
     "user@@host", "host:22", "ssh://host", "é", "../x", "@/no/such/file"],
)  # fmt: skip
def test_hostile(name: str) -> None:
    """What could be an option, a word of a shell or no name at all is refused."""
    with pytest.raises(UsageError) as caught:
        read_names([name])
    assert caught.value.resolution


def test_none() -> None:
    """A list without a host is an error."""
    with pytest.raises(UsageError, match="no host named"):
        read_names([","])


def test_hostile_line(tmp_path: Path) -> None:
    """A file's lines are judged as the words of the command line are; bytes are no text."""
    (tmp_path / "hosts").write_text("gpu-01\n-oProxyCommand=id\n")
    with pytest.raises(UsageError, match="not a host's name"):
        read_names([f"@{tmp_path}/hosts"])
    (tmp_path / "hosts").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="it is not text"):
        read_names([f"@{tmp_path}/hosts"])
