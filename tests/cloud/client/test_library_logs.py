"""What the SDK and its libraries log and raise, with nothing secret in it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.openstack_api import PASSWORD
from wholecard.cloud.client.compute_services import compute_services
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.client.library_logs import keep_clean
from wholecard.core import UsageError, WholecardError

if TYPE_CHECKING:
    from support.openstack_api import Api


@pytest.fixture(autouse=True)
def _factory() -> Iterator[None]:
    """Each test begins with logging's own factory."""
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(logging.LogRecord)
    yield
    logging.setLogRecordFactory(before)


@pytest.mark.parametrize(
    "name", ["keystoneauth.identity.generic.base", "openstack", "urllib3.connectionpool",
             "oslo_config.cfg", "stevedore.extension"],
)  # fmt: skip
def test_libraries(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """A secret, a URL's userinfo and an escape are in no record of a library, trace included."""
    keep_clean(["s3cret-word"])
    keep_clean([])
    try:
        int("s3cret-word in a trace")
    except ValueError:
        logging.getLogger(name).warning("%s at http://u:pw@h \x1b[2J", "s3cret-word", exc_info=True)
    assert "*** at http://***@h" in caplog.text
    assert "Traceback" in caplog.text
    assert not [text for text in ("s3cret", "pw@", "\x1b") if text in caplog.text]


def test_others(caplog: pytest.LogCaptureFixture) -> None:
    """Records of other programs are left alone, and one with wrong arguments is no error."""
    keep_clean(["word"])
    logging.getLogger("wholecard.run").warning("a word %d", 1)
    wrong = ("one",)
    logging.getLogger("urllib3").warning("%s %s", *wrong)
    assert caplog.messages == ["a word 1", "%s %s"]


def entry(auth_url: str, rest: str = "password: s3cret-word") -> str:
    """A clouds.yaml with one cloud."""
    ids = "project_name: p, user_domain_id: default, project_domain_id: default"
    return f"clouds: {{a: {{auth: {{auth_url: '{auth_url}', username: u, {rest}, {ids}}}}}}}"


@pytest.mark.parametrize("password", ["s3cret-word", "s3cret/@word", "s3cret"])
def test_url_with_a_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
    password: str,
) -> None:  # fmt: skip
    """A password in auth_url is neither in the error nor in keystoneauth's own warning."""
    file = tmp_path / "clouds.yaml"
    file.write_text(entry(f"http://admin:{password}@127.0.0.1:1/v3", "password: x"))
    with pytest.raises(WholecardError) as caught:
        connect("a", file, timeout=2)
    assert "s3cret" not in str(caught.value) + caplog.text + "".join(capfd.readouterr())


def test_token(api: Api) -> None:
    """A service that repeats the session's token, or what escapes, does not bring it to us."""
    conn = connect("test", api.clouds, timeout=5)
    token = conn.session.get_token()
    body = {"computeFault": {"message": f"no {token} for {PASSWORD}", "code": 500}}
    api.answers["GET /compute/v2.1/os-services"] = (500, body)
    with pytest.raises(CloudError) as caught:
        compute_services(conn)
    assert "no *** for ***" in caught.value.details


ODD = [
    "", "- a", "x", "clouds:", "clouds: {a: }", "clouds: {a: [1]}", "clouds: {a: {auth: }}",
    "clouds: {a: {auth: [1]}}", "clouds: [a]", "clouds: {a: {auth: {auth_url: [s3cret-word]}}}",
    entry("http://127.0.0.1:1", "pasword: s3cret-word"),
    entry("http://127.0.0.1:1", "password: {a: s3cret-word}"),
    entry("http://127.0.0.1:1", "password: [s3cret-word]"),
    "clouds: {a: {regions: [1, {}], auth: {password: s3cret-word}}}",
    "clouds: {a: {auth_type: none-such, auth: {password: s3cret-word}}}",
    "clouds: {a: {api_timeout: never, auth: {password: s3cret-word}}}",
    "clouds: " + "[" * 3000, "clouds:\0", "clouds: {t\xe4: {}}",
    "clouds: !!python/name:os.system x",
    "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n"
                                 for n in range(1, 9)) + "clouds: {a: {auth: *a8}}",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_odd_entry(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    """An entry that the SDK does not expect is one error of ours, without the entry's text."""
    file = tmp_path / "clouds.yaml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(WholecardError) as caught:
        connect("a", file, timeout=2)
    assert "s3cret" not in str(caught.value) + caplog.text


@pytest.mark.parametrize("kind", ["pipe", "device", "huge"])
def test_odd_file(tmp_path: Path, kind: str) -> None:
    """A clouds.yaml that is no plain file, or huge, is refused before the SDK opens it."""
    file = tmp_path / "clouds.yaml"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    else:
        file.touch()
        os.truncate(file, 1 << 40)
    with pytest.raises(UsageError):
        connect("a", file, timeout=2)
