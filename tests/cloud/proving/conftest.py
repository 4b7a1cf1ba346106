"""A cloud whose guests report."""

from __future__ import annotations

import pytest

from support.openstack_api import Api
from support.proof_cloud import ProofCloud, proof_cloud


@pytest.fixture
def proving(api: Api) -> ProofCloud:
    """A cloud whose guests report one H100, until a test has other guests."""
    return proof_cloud(api)
