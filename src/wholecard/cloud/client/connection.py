"""The connection to a cloud of clouds.yaml, with a time-out on every call."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openstack.config import OpenStackConfig
from openstack.connection import Connection

from wholecard.cloud.client.errors import CloudError, api_errors
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
    with _quiet_loader(), api_errors(None, f"read the entry of the cloud {cloud}"):
        loader = OpenStackConfig(config_files=files, load_envvars=False)
        if config_file is not None and loader.config_filename is None:
            raise UsageError(
                f"{config_file} is not a clouds.yaml", resolution="Correct its YAML syntax."
            )
        if cloud not in loader.get_cloud_names():
            raise UsageError(
                f"clouds.yaml has no cloud {cloud}",
                f"It has: {', '.join(sorted(loader.get_cloud_names())) or 'none'}",
                "Name one of them, or the file that has it.",
            )
        region = loader.get_one(cloud=cloud, api_timeout=timeout)
    conn = Connection(config=region)
    with api_errors(conn, f"log in to the cloud {cloud}"):
        # Not conn.authorize(): its exception does not tell a time-out from a refusal.
        if not conn.session.get_token():
            raise CloudError(
                f"cannot log in to the cloud {cloud}: Keystone returned no token",
                resolution="Check the cloud's entry in clouds.yaml.",
            )
    return conn


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
