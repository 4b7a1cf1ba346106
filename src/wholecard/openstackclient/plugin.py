"""What openstackclient asks of a plugin; every `openstack` command imports this file.

Source: python-openstackclient, doc/source/contributor/plugins.rst, "Client module".
"""

from __future__ import annotations

import argparse
from typing import Any

API_NAME = "gpu"
# By it openstackclient chooses the group of entry points: openstack.gpu.v1.
DEFAULT_API_VERSION = "1"
API_VERSION_OPTION = "os_gpu_api_version"
API_VERSIONS = ("1",)


def make_client(instance: Any) -> Any:
    """There is no API of its own: the commands use the SDK's connection."""
    return instance.sdk_connection


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """No global option is added."""
    return parser
