"""PowerShell without PowerShell: its syntax, by tree-sitter's grammar."""

from __future__ import annotations

import tree_sitter
import tree_sitter_powershell


def powershell_errors(text: str) -> list[str]:
    """The lines at which tree-sitter's grammar of PowerShell finds an error."""
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    found, nodes = [], [parser.parse(text.encode()).root_node]
    while nodes:
        node = nodes.pop()
        if node.is_error or node.is_missing:
            found.append(f"{node.start_point.row + 1}: {text.splitlines()[node.start_point.row]}")
        nodes.extend(node.children)
    return found
