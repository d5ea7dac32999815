"""Lines of constructor calls, read from the syntax tree of the user's files."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck_cli.loading.overlay import place_of


class CallSites:
    """Looks a layer's constructor call up where only its container's line is known."""

    def __init__(self) -> None:
        self._trees: dict[str, ast.Module | None] = {}

    def line_of(self, container: tuple[str, int], kind: str, index: int | None) -> int | None:
        """The line that builds a `kind`, argument `index` of the call at `container`; None unless one line only fits."""
        tree = self._tree(container[0])
        if tree is None:
            return None
        call = _container_call(tree, container[1])
        if call is not None and index is not None:
            arguments = _plain_arguments(call)
            if index < len(arguments) and _called_name(arguments[index]) == kind:
                return arguments[index].lineno
        scope = _scope_around(tree, container[1])
        lines = {node.lineno for node in _own_nodes(scope) if isinstance(node, ast.Call) and _called_name(node) == kind}
        return lines.pop() if len(lines) == 1 else None

    def _tree(self, file: str) -> ast.Module | None:
        if file not in self._trees:
            try:
                self._trees[file] = ast.parse(place_of(file).read_bytes())
            except (OSError, SyntaxError, ValueError):
                self._trees[file] = None
        return self._trees[file]


def _called_name(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else None


def _container_call(tree: ast.Module, line: int) -> ast.Call | None:
    """The outermost Sequential or ModuleList call that starts on the line."""
    kinds = ("Sequential", "ModuleList")
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and n.lineno == line and _called_name(n) in kinds]
    return calls[0] if len(calls) == 1 else None


def _plain_arguments(call: ast.Call) -> list[ast.expr]:
    """Arguments in order up to the first starred one; the elements of a single list argument."""
    arguments = call.args
    if len(arguments) == 1 and isinstance(arguments[0], (ast.List, ast.Tuple)):
        arguments = arguments[0].elts
    plain: list[ast.expr] = []
    for argument in arguments:
        if isinstance(argument, ast.Starred):
            break
        plain.append(argument)
    return plain


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope without those of functions and classes defined in it."""
    pending = list(ast.iter_child_nodes(scope))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            pending.extend(ast.iter_child_nodes(node))


def _scope_around(tree: ast.Module, line: int) -> ast.AST:
    """The innermost function or lambda that spans the line, else the module."""
    scopes = [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))]
    around = [n for n in scopes if n.lineno <= line <= (n.end_lineno or n.lineno)]
    return min(around, key=lambda n: (n.end_lineno or n.lineno) - n.lineno, default=tree)
