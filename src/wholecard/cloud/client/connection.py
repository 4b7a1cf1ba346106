"""The connection to a cloud of clouds.yaml, with a time-out on every call."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keystoneauth1.exceptions as keystone
import requests.exceptions
from openstack.config import OpenStackConfig
from openstack.config.loader import CONFIG_FILES, SECURE_FILES, VENDOR_FILES
from openstack.connection import Connection

from wholecard.cloud.client.bounded_answers import bound
from wholecard.cloud.client.clouds_file import refuse_odd_files, refuse_remote_profile
from wholecard.cloud.client.endpoint_origins import EndpointOrigins
from wholecard.cloud.client.errors import CloudError, answer_read, api_errors, hidden_of
from wholecard.cloud.client.library_logs import keep_clean
from wholecard.core import UsageError

API_TIMEOUT = 60.0


def connect(
    cloud: str = "wholecard-lab", config_file: Path | None = None, timeout: float = API_TIMEOUT
) -> Connection:
    """An authenticated connection to the cloud of that name.

    `config_file` is one clouds.yaml; without it the SDK's own search is used (the current folder,
    `~/.config/openstack`, `/etc/openstack`). `OS_*` variables are not read here: the caller names
    the cloud, and `OS_COMPUTE_API_VERSION` would break the SDK. `timeout` is in seconds, for each
    API call.

    Raises UsageError when the file or the cloud's entry is missing, CloudError when Keystone does
    not answer or refuses.
    """
    if config_file is not None and not config_file.is_file():
        raise UsageError(f"{config_file} does not exist", resolution="Name a clouds.yaml.")
    files = [str(config_file)] if config_file is not None else None
    refuse_odd_files([*(files or CONFIG_FILES), *SECURE_FILES, *VENDOR_FILES])
    keep_clean(())
    doing = f"read the entry of the cloud {cloud}"
    with _quiet_loader(), api_errors(None, doing), _entry_errors(doing):
        loader = OpenStackConfig(config_files=files, load_envvars=False)
        if config_file is not None and loader.config_filename is None:
            raise UsageError(
                f"{config_file} is not a clouds.yaml", resolution="Correct its YAML syntax."
            )
        if cloud not in loader.get_cloud_names():
            if loader.config_filename is None:
                # The SDK then has one cloud of its own making, `defaults`.
                raise UsageError(
                    f"there is no clouds.yaml with the cloud {cloud}",
                    f"Looked for: {', '.join(dict.fromkeys(CONFIG_FILES))}",
                    "Name the file: --clouds-file FILE. Kolla-Ansible's is /etc/kolla/clouds.yaml.",
                )
            raise UsageError(
                f"clouds.yaml has no cloud {cloud}",
                f"It has: {', '.join(sorted(loader.get_cloud_names())) or 'none'}",
                "Name one of them, or the file that has it.",
            )
        # The reader of clouds-public.yaml has no public name.
        public = (loader._load_vendor_file()[1] or {}).get("public-clouds") or {}
        refuse_remote_profile(cloud, loader.cloud_config["clouds"][cloud], public)
        region = loader.get_one(cloud=cloud, api_timeout=timeout)
    with api_errors(None, doing), _entry_errors(doing):
        conn = Connection(config=region)
        keep_clean(hidden_of(conn))
        bound(conn.session, timeout, EndpointOrigins(conn))
    doing = f"log in to the cloud {cloud}"
    with answer_read(
        conn, doing, "Check the cloud's entry in clouds.yaml, and what answers there."
    ):
        # Not conn.authorize(): its exception does not tell a time-out from a refusal.
        if not conn.session.get_token():
            raise CloudError(
                f"cannot log in to the cloud {cloud}: Keystone returned no token",
                resolution="Check the cloud's entry in clouds.yaml.",
            )
    keep_clean(hidden_of(conn))
    return conn


def adopt(conn: Connection, timeout: float = API_TIMEOUT) -> Connection:
    """A connection that another program has opened, with the bounds and clean logs of ours.

    openstackclient's has no time-out: `timeout` is in seconds, for each API call.
    """
    keep_clean(hidden_of(conn))
    if conn.session.timeout is None:
        conn.session.timeout = timeout
    bound(conn.session, timeout, EndpointOrigins(conn))
    return conn


@contextmanager
def _entry_errors(doing: str) -> Iterator[None]:
    """What the SDK makes of an entry that it does not expect; its text may quote a password."""
    try:
        yield
    except (TypeError, ValueError, AttributeError, LookupError, RecursionError, OSError) as error:
        if isinstance(error, (keystone.ClientException, requests.exceptions.RequestException)):
            raise
        raise CloudError(
            f"cannot {doing}: it is not as the SDK expects it",
            f"The SDK says only {type(error).__name__}.",
            "Check the entry: the keys below auth and their spelling, and that each is a text.",
        ) from None


@contextmanager
def _quiet_loader() -> Iterator[None]:
    """Suppress the loader's warnings: for a YAML error they quote the line, with its password."""
    log = logging.getLogger("openstack.config")
    before = log.disabled
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = before
