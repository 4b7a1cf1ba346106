"""Mutations that are made from the syntax of the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from mutation.equivalent import EQUIVALENT
from mutation.mutations_named import Mutation

_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


def made(path: Path, source: Path) -> Iterator[Mutation]:
    """What can be changed in a file by its syntax; a line with the same text twice is left out."""
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    name = str(path.relative_to(source))
    for node in ast.walk(ast.parse(text)):
        for what, old, new in _changes(lines, node):
            first, last = node.lineno, node.end_lineno or node.lineno  # type: ignore[attr-defined]
            block = "".join(lines[first - 1 : last])
            if text.count(block) == 1 and block.count(old) == 1 and old != new:
                yield Mutation(f"{name}:{first}", name, block, block.replace(old, new), what)


def _changes(lines: list[str], node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """What would change, the node's text, and the text in its place."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _TURNED:
        turned = ast.Compare(node.left, [_TURNED[type(node.ops[0])]()], node.comparators)
        old = _text(lines, node)
        yield f"`{old[:60]}` turned around", old, f"({ast.unparse(turned)})"
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        old, test = _text(lines, node), _text(lines, node.test)
        yield f"`{test[:60]}` negated", old, old.replace(test, f"(not ({test}))", 1)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        old = _text(lines, node)
        yield f"`{old[:60]}` left out", old, "pass"
    elif isinstance(node, ast.BoolOp):
        operation = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        old = _text(lines, node)
        yield f"`{old[:60]}`: and, or", old, f"({ast.unparse(ast.BoolOp(operation, node.values))})"
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        old = _text(lines, node)
        yield f"{old} is one more", old, str(node.value + 1)
    elif isinstance(node, ast.Return) and not isinstance(node.value, (ast.Constant, type(None))):
        old = _text(lines, node)
        yield f"`{old[:60]}` is None", old, "return None"


def _text(lines: list[str], node: ast.expr | ast.stmt) -> str:
    """A node's text; `ast.get_source_segment` cuts the whole file into lines for each node."""
    last = node.end_lineno or node.lineno
    rows = [line.encode() for line in lines[node.lineno - 1 : last]]
    rows[-1] = rows[-1][: node.end_col_offset]
    rows[0] = rows[0][node.col_offset :]
    return b"".join(rows).decode()


def function_of(text: str, mutation: Mutation) -> str:
    """The name of the innermost function that is changed; empty outside of all."""
    letters = zip(mutation.old, mutation.new, strict=False)
    same = next((at for at, (one, other) in enumerate(letters) if one != other), 0)
    line = text[: text.index(mutation.old) + same].count("\n") + 1
    around = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(around, key=lambda node: node.lineno).name if around else ""


def equivalent(mutation: Mutation) -> str | None:
    """Why nobody could notice a mutation; None where somebody could."""
    line = mutation.old.strip().partition("\n")[0]
    reasons = [
        reason
        for first, what, reason in EQUIVALENT.get(mutation.file, ())
        if (first, what) == (line, mutation.what)
    ]
    return reasons[0] if reasons else None
