"""Which module classes of a file stand for a whole model: those that no other module class of the file uses."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping


def root_classes(source: str, classes: Iterable[str]) -> list[str]:
    """The names among `classes` that no other one of them uses or extends, directly or through functions of the file.

    Classes that use each other in a circle all stay roots, so that the person is asked. Source without syntax leaves all.
    """
    names = list(classes)
    try:
        uses = _uses(ast.parse(source))
    except (SyntaxError, ValueError):
        return names
    reached = {name: _reachable(name, uses) for name in names}
    return [n for n in names if not any(n in reached[o] and o not in reached[n] for o in names if o != n)]


def functions_that_build(source: str) -> list[str]:
    """Top-level functions in whose body a layer of torch.nn is built."""
    try:
        functions = [d for d in _definitions(ast.parse(source).body) if not isinstance(d, ast.ClassDef)]
    except (SyntaxError, ValueError):
        return []
    return [f.name for f in functions if any(isinstance(n, ast.Call) and _is_layer(n.func) for n in ast.walk(f))]


def _is_layer(called: ast.expr) -> bool:
    return (
        isinstance(called, ast.Attribute)
        and isinstance(called.value, ast.Name)
        and called.value.id == "nn"
        and called.attr[:1].isupper()
    )


def _uses(tree: ast.Module) -> dict[str, set[str]]:
    """Every top-level class and function with the names that occur in it."""
    found: dict[str, set[str]] = {}
    for node in _definitions(tree.body):
        occurring = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        found.setdefault(node.name, set()).update(occurring)
    return found


def _definitions(body: list[ast.stmt]) -> Iterable[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node
        elif isinstance(node, (ast.If, ast.Try)):  # definitions behind a version test
            yield from _definitions([*node.body, *node.orelse])


def _reachable(name: str, uses: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    pending = list(uses.get(name, ()))
    while pending:
        current = pending.pop()
        if current not in seen:
            seen.add(current)
            pending.extend(uses.get(current, ()))
    return seen
