"""What every room's tests share: the helpers `tree`, `nodes` and `golden` can be imported."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# Trees are made on disk, and how long that takes is not ours to say.
settings.register_profile("wholecard", deadline=None)
settings.load_profile("wholecard")
