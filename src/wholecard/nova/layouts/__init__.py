"""What each deployment tool wants of nova's configuration: one small writer for each.

A writer takes a `Cloud` and returns the files that the tool reads, `{relative path: text}`. None
looks at a disk; `files.write` alone does.
"""

from wholecard.nova.layouts.layout import LAYOUTS, Layout, layout

__all__ = ["LAYOUTS", "Layout", "layout"]
