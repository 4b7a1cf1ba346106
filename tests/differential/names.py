"""The text of `wholecard/nova/match/standard.py`: run with the Python of nova 34's environment.

PYTHON tests/differential/names.py > src/wholecard/nova/match/standard.py
"""

import importlib.metadata

import os_resource_classes
import os_traits


def listed(name, values):
    lines = "\n".join(f'        "{value}",' for value in sorted(values))
    return f"{name}: Final = frozenset(\n    [\n{lines}\n    ]\n)"


def version(package):
    return f"{package} {importlib.metadata.version(package)}"


HEAD = f'''"""The names Placement knows by itself: all others are made custom ones.

Source: {version("os-traits")} and {version("os-resource-classes")}; written by
`tests/differential/names.py` from the packages that nova 34 uses. An older cloud knows fewer:
there a name that is too new becomes a custom one.
"""

from __future__ import annotations

from typing import Final

__all__ = ["RESOURCE_CLASSES", "TRAITS"]
'''

print(HEAD)
print(listed("RESOURCE_CLASSES", os_resource_classes.STANDARDS))
print()
print(listed("TRAITS", os_traits.get_traits()))
