"""Who approves the code that the analysing agent wants to run: a small policy instead of a person."""

from __future__ import annotations

import ast

ALLOWED_IMPORTS = frozenset(
    {"collections", "csv", "dataclasses", "datetime", "decimal", "fractions", "functools", "itertools", "json", "math"}
    | {"operator", "re", "statistics", "string", "typing"}
)
REFUSED_NAMES = frozenset({"__import__", "eval", "exec", "compile", "breakpoint", "input"})


def approve(code: str, step: int) -> bool:
    """Approve a program that imports only what a table's summary needs.

    The barrier is the sandbox; this keeps honest models on the path, and shows where a person could stand.
    """
    tree = ast.parse(code)
    return all(_allowed(node) for node in ast.walk(tree))


def _allowed(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return all(alias.name.partition(".")[0] in ALLOWED_IMPORTS for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return node.level == 0 and (node.module or "").partition(".")[0] in ALLOWED_IMPORTS
    return not (isinstance(node, ast.Name) and node.id in REFUSED_NAMES)
