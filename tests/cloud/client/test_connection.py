"""Logging in: time-outs, refusals, and nothing secret in what is said."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wholecard.cloud.client.clouds_file import refuse_remote_profile
from wholecard.cloud.client.compute_services import compute_services
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.errors import CloudError, api_errors, redact, secrets_of
from wholecard.core import UsageError

if TYPE_CHECKING:
    from support.openstack_api import Api


def test_login(api: Api) -> None:
    """A cloud of the file is logged in to at once, whatever stands in the environment."""
    connect("test", api.clouds, timeout=5)
    assert "POST /v3/auth/tokens" in api.asked


def test_environment_is_not_looked_at(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """`OS_*` variables change neither the cloud nor the API version."""
    monkeypatch.setenv("OS_COMPUTE_API_VERSION", "2.37")
    monkeypatch.setenv("OS_CLOUD", "another")
    monkeypatch.setenv("OS_AUTH_URL", "http://127.0.0.1:1/")
    assert connect("test", api.clouds, timeout=5).compute.default_microversion is None


@pytest.mark.timeout(30)
def test_silent_keystone_times_out(api: Api) -> None:
    """A Keystone that takes the request and says nothing ends the call after the time-out."""
    api.answers["POST /v3/auth/tokens"] = api.hang
    with pytest.raises(CloudError, match="no answer in time"):
        connect("test", api.clouds, timeout=0.5)


def test_silent_nova_times_out(api: Api) -> None:
    """The time-out holds for each later call, too."""
    conn = connect("test", api.clouds, timeout=0.5)
    api.answers["GET /compute/v2.1/os-services"] = api.hang
    with pytest.raises(CloudError, match="cannot list nova's services: no answer in time"):
        compute_services(conn)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "the request was refused"),
        (403, "it is not allowed"),
        (404, "it does not exist"),
        (409, "it conflicts"),
        (413, "too large, or over quota"),
        (418, "HTTP 418"),
        (500, r"the service failed \(HTTP 500\)"),
    ],
)
def test_statuses_become_words(api: Api, status: int, words: str) -> None:
    """Each HTTP status becomes a CloudError that keeps the service's words and the status."""
    conn = connect("test", api.clouds, timeout=5)
    body = {"computeFault": {"message": "nova's own words", "code": status}}
    api.answers["GET /compute/v2.1/os-services"] = (status, body)
    with pytest.raises(CloudError, match=words) as caught:
        compute_services(conn)
    assert caught.value.http_status == status
    assert "nova's own words" in caught.value.details
    assert caught.value.resolution


def test_refused_login(api: Api) -> None:
    """Wrong credentials are named as such, without the credentials."""
    body = {"error": {"code": 401, "message": f"not with password {api.clouds.name}"}}
    api.answers["POST /v3/auth/tokens"] = (401, body)
    with pytest.raises(CloudError, match="the credentials were refused") as caught:
        connect("test", api.clouds, timeout=5)
    assert "pa55" not in str(caught.value)


def test_password_is_cut_out(api: Api) -> None:
    """A service that repeats the password does not bring it into our error."""
    conn = connect("test", api.clouds, timeout=5)
    (password,) = secrets_of(conn)
    body = {"computeFault": {"message": f"bad: {password}", "code": 500}}
    api.answers["GET /compute/v2.1/os-services"] = (500, body)
    with pytest.raises(CloudError) as caught:
        compute_services(conn)
    assert password not in str(caught.value)
    assert "bad: ***" in caught.value.details


def test_nobody_there(tmp_path: Path) -> None:
    """A Keystone that does not run is named as such."""
    file = tmp_path / "clouds.yaml"
    file.write_text(
        "clouds: {a: {auth: {auth_url: 'http://127.0.0.1:1/v3', username: u, password: s3cret,"
        " project_name: p, user_domain_id: default, project_domain_id: default}}}"
    )
    with pytest.raises(CloudError, match="answers at this address"):
        connect("a", file, timeout=2)


@pytest.mark.parametrize("key", ["profile", "cloud"])
@pytest.mark.parametrize("start", ["http://", "//u:s3cret@"])
def test_remote_profile(api: Api, tmp_path: Path, key: str, start: str) -> None:
    """A profile that is a URL is refused, and nothing is fetched from there."""
    file = tmp_path / "remote.yaml"
    url = start + api.url.partition("//")[2]
    file.write_text(f"clouds: {{a: {{{key}: '{url}', auth: {{username: u, password: s3cret}}}}}}")
    with pytest.raises(UsageError, match=r"would be fetched from 127\.0") as caught:
        connect("a", file, timeout=2)
    assert "clouds-public.yaml" in caught.value.resolution
    assert "s3cret" not in str(caught.value)
    assert api.asked == []


def test_vendors_remote_profile() -> None:
    """A profile of the SDK that is only a URL is refused, unless clouds-public.yaml has it."""
    with pytest.raises(UsageError, match=r"would be fetched from ovhcloud\.com"):
        refuse_remote_profile("a", {"profile": "ovh"}, ())
    refuse_remote_profile("a", {"profile": "ovh"}, ("ovh",))


@pytest.mark.parametrize("entry", [None, [], {"profile": None}, {"profile": "none"}])
def test_no_profile(entry: object) -> None:
    """An odd entry, or one with an unknown profile, is left to the SDK."""
    refuse_remote_profile("a", entry, ())


def test_named_profile(api: Api, tmp_path: Path) -> None:
    """A profile that the SDK has in its own files is read from there."""
    file = tmp_path / "named.yaml"
    text = api.clouds.read_text().replace("    region_name: R\n", "    profile: elastx\n")
    file.write_text(text)
    assert connect("test", file, timeout=5).config.get_region_name() == "se-sto"


def test_missing_file_and_cloud(api: Api, tmp_path: Path) -> None:
    """A file that is missing, or that lacks the cloud, is the caller's error."""
    with pytest.raises(UsageError, match="does not exist"):
        connect("test", tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="has no cloud other") as caught:
        connect("other", api.clouds)
    assert "test" in caught.value.details


def test_no_clouds_file_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any clouds.yaml the error does not offer the cloud that the SDK makes itself."""
    monkeypatch.setattr("openstack.config.loader.CONFIG_FILES", [])
    monkeypatch.setattr("wholecard.cloud.client.connection.CONFIG_FILES", ["/none/clouds.yaml"])
    with pytest.raises(UsageError, match=r"no clouds\.yaml with the cloud test") as caught:
        connect("test")
    assert caught.value.details == "Looked for: /none/clouds.yaml"


def test_broken_file_is_not_quoted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A YAML error does not bring the line with the password into an error or a log."""
    file = tmp_path / "clouds.yaml"
    file.write_text("clouds:\n  a:\n    auth: {password: s3cret: [}\n")
    with caplog.at_level(logging.DEBUG), pytest.raises(UsageError, match="not a clouds") as caught:
        connect("a", file)
    assert "s3cret" not in str(caught.value) + caplog.text


@pytest.mark.parametrize(
    ("text", "secrets", "clean"),
    [
        ("nothing", (), "nothing"),
        ("http://u:p@h/ and p", (), "http://***@h/ and p"),
        ("ab abc", ("ab", "abc"), "*** ***"),
        ("http://u:p@ss@word@h:1/x and p", (), "http://***@h:1/x and p"),
        ("http://u:p/a@ss@h/x, ftp://v:q@i", (), "http://***@h/x, ftp://***@i"),
        ("http://h/x and a@b", (), "http://h/x and a@b"),
    ],
)
def test_redact(text: str, secrets: tuple[str, ...], clean: str) -> None:
    """Secrets and the userinfo of URLs are replaced, the rest stays."""
    assert redact(text, secrets) == clean


def test_our_own_errors_pass() -> None:
    """An error that is ours already is not wrapped again, and a bug of ours is not hidden."""
    with pytest.raises(UsageError), api_errors(None, "x"):
        raise UsageError("mine")
    with pytest.raises(ZeroDivisionError), api_errors(None, "x"):
        _ = 1 / 0
