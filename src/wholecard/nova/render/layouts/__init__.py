"""The files of each deployment tool for nova's configuration: one small module for each.

Its `files` takes a `Cloud` and returns the files that the tool reads, `{relative path: text}`. Only
`files.write` touches a disk.
"""

from wholecard.nova.render.layouts.layout import LAYOUTS, Layout, layout

__all__ = ["LAYOUTS", "Layout", "layout"]
