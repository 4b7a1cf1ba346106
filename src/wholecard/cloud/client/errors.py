"""The cloud's errors as one type, in our words, with nothing secret in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import keystoneauth1.exceptions as keystone
import requests.exceptions
from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.core import WholecardError

# Up to the last @: a password may contain / and @. Rather too much is cut than too little.
_URL_SECRET = re.compile(r"://\S*@")
# nova's 400 about a project (nova/api/openstack/identity.py): Keystone does not know it, or
# Keystone could not be asked, which is temporary and should have been a 503.
NO_PROJECT = "is not a valid project"
_NO_KEYSTONE = "unable to find Keystone service endpoint"
# The answers where an object is gone, or where something prevents its change. 401 and 403 are not
# among them: another user may be allowed what this one is not.
_LASTING = frozenset({400, 404, 409})
_SECRET_KEY = re.compile(r"password|secret|token|passcode", re.IGNORECASE)


class CloudError(WholecardError):
    """An OpenStack API refused, or did not answer. `http_status` is None where none came.

    `lasting` tells whether a change was refused and will be refused again.
    """

    def __init__(
        self,
        brief: str,
        details: str = "",
        resolution: str = "",
        http_status: int | None = None,
        lasting: bool = False,
    ) -> None:
        super().__init__(brief, details, resolution)
        self.http_status = http_status
        self.lasting = lasting


class GoneError(CloudError):
    """An object that was to be changed does not exist any more."""


@contextmanager
def api_errors(conn: Connection | None, doing: str, resolution: str = "") -> Iterator[None]:
    """Turn whatever the SDK raises inside the block into CloudError.

    `doing` completes the sentence "cannot ..." ("list the flavors"). The secrets of the
    connection and the userinfo of URLs are cut out of the text; the SDK's own exception is not
    chained, because its text may still have them.
    """
    try:
        yield
    except WholecardError:
        raise
    except (sdk.SDKException, keystone.ClientException, requests.exceptions.RequestException) as e:
        reason, advice, status = _explain(e)
        details = redact(str(e), secrets_of(conn))
        raise CloudError(
            f"cannot {doing}: {reason}", details, resolution or advice, status, _lasts(e, status)
        ) from None


@contextmanager
def answer_read(conn: Connection | None, doing: str, resolution: str = "") -> Iterator[None]:
    """`api_errors` for a block that reads an answer itself: a malformed one is CloudError too.

    A proxy's page with status 200, half an answer or one without its keys is the service's fault
    and not our bug. Nothing else belongs in the block.
    """
    with api_errors(conn, doing, resolution):
        try:
            yield
        except (WholecardError, keystone.ClientException, requests.exceptions.RequestException):
            # Some of these are ValueErrors as well; `api_errors` has words for them.
            raise
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise CloudError(
                f"cannot {doing}: the answer does not have the API's format",
                redact(f"{type(error).__name__}: {error}", secrets_of(conn)),
                resolution or "Check what answers at the service's URL: a proxy, another program.",
            ) from None


# The first class that fits counts; reason and advice.
_BY_CLASS: tuple[tuple[tuple[type[Exception], ...], tuple[str, str]], ...] = (
    ((keystone.ConnectTimeout, requests.exceptions.Timeout),
     ("no answer in time", "Check that the service runs and is not overloaded.")),
    ((keystone.ConnectFailure, requests.exceptions.ConnectionError),
     ("no service answers at this address", "Check that the service runs, and its address in "
         "Keystone's catalog.")),
    ((keystone.DiscoveryFailure,),
     ("no service with this API answers at this address", "Check that the service runs at its "
         "URL.")),
    ((keystone.MissingRequiredOptions, keystone.MissingAuthPlugin),
     ("the credentials are incomplete", "Complete the cloud's entry in clouds.yaml.")),
    ((sdk.EndpointNotFound, keystone.EndpointNotFound),
     ("the catalog has no such service", "Register its endpoint in Keystone.")),
)  # fmt: skip

_BY_STATUS = {
    400: ("the request was refused", "The details have the reason."),
    401: ("the credentials were refused", "Check the cloud's entry in clouds.yaml."),
    403: ("it is not allowed", "Use a user with the role for it, or raise the quota."),
    404: ("it does not exist", "It was deleted in the meantime, or its name or id is wrong."),
    409: ("it conflicts with the current state", "Check that state and try again."),
    413: ("it is too large, or over quota", "Raise the quota or request less."),
}


def _explain(error: Exception) -> tuple[str, str, int | None]:
    """Reason, advice and HTTP status of an exception of the SDK or of what it is built on."""
    for classes, (reason, advice) in _BY_CLASS:
        if isinstance(error, classes):
            return reason, advice, None
    status = getattr(error, "status_code", None) or getattr(error, "http_status", None)
    if not isinstance(status, int):
        return "it failed", "The details are the message of the service or the SDK.", None
    if status >= 500:
        return f"the service failed (HTTP {status})", "Its own log has the reason.", status
    other = (f"HTTP {status}", "The details are the service's message.")
    return (*_BY_STATUS.get(status, other), status)


def _lasts(error: Exception, status: int | None) -> bool:
    """Whether an API refused a change for good; a refused read comes from a proxy."""
    request = getattr(getattr(error, "response", None), "request", None)
    reading = getattr(request, "method", None) in ("GET", "HEAD")
    return status in _LASTING and not reading and _NO_KEYSTONE not in str(error)


def secrets_of(conn: Connection | None) -> tuple[str, ...]:
    """The secret values of the cloud's entry, to be cut out of any text; empty without one."""
    if conn is None:
        return ()
    auth = conn.config.config.get("auth") or {}
    return tuple(str(value) for key, value in auth.items() if _SECRET_KEY.search(key) and value)


def words_of(conn: Connection, error: sdk.HttpException) -> str:
    """The service's own message of a refusal, in one line with nothing secret in it."""
    return " ".join(redact(str(error.details or error), secrets_of(conn)).split())


def redact(text: str, secrets: tuple[str, ...] = ()) -> str:
    """The text with each secret and each URL's user and password replaced by `***`."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _URL_SECRET.sub("://***@", text)
