"""promtool, which reads rules and PromQL as Prometheus does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from wholecard.core import Result, run

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def promtool(*words: str, stdin: str = "") -> Result:
    """Run it; a test fails where `make tools` has not brought it and could."""
    program = shutil.which("promtool") or str(_CACHE / "wholecard/tools/prometheus/promtool")
    if not Path(program).exists():
        if shutil.which("apt-get") is None:
            pytest.skip("promtool is not here, and this is no Debian")
        pytest.fail("promtool is not here: run `make tools`")
    return run([program, *words], timeout=60, stdin=stdin, check=False)
