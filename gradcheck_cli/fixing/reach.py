"""Which functions of a file a module's forward runs, and in which order their calls stand."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

import libcst as cst

from gradcheck_cli.fixing.draft import Draft, nodes_of
from gradcheck_cli.fixing.names import last_name

_ENTRIES = ("forward", "training_step", "__call__")

Reach = Mapping[cst.FunctionDef, list[cst.CSTNode]]


@functools.lru_cache(maxsize=64)
def reached(draft: Draft, scope: cst.ClassDef) -> Reach:
    """Return the method that the module starts in and all that it leads to, each with the expressions that lead to it."""
    methods = methods_of(draft, scope)
    entry = next((methods[name] for name in _ENTRIES if name in methods), None)
    found: dict[cst.FunctionDef, list[cst.CSTNode]] = {}
    if entry is None:
        return found
    found[entry] = []
    open_ends = [entry]
    while open_ends:
        for node, function in _leads(draft, methods, open_ends.pop()):
            if function not in found:
                open_ends.append(function)
            found.setdefault(function, []).append(node)
    return found


def methods_of(draft: Draft, scope: cst.ClassDef) -> dict[str, cst.FunctionDef]:
    """Return the methods by name, those of base classes in the file too."""
    found: dict[str, cst.FunctionDef] = {}
    for base in reversed(scope.bases):
        name = last_name(base.value)
        above = next((x for x in draft.tree.body if isinstance(x, cst.ClassDef) and x.name.value == name), None)
        if above is not None and above is not scope:
            found |= methods_of(draft, above)
    return found | {x.name.value: x for x in scope.body.body if isinstance(x, cst.FunctionDef)}


def _leads(
    draft: Draft, methods: Mapping[str, cst.FunctionDef], function: cst.FunctionDef
) -> Iterator[tuple[cst.CSTNode, cst.FunctionDef]]:
    """`self.block(x)`, `gate(x)`, `checkpoint(self.block, x)`."""
    functions = {x.name.value: x for x in draft.tree.body if isinstance(x, cst.FunctionDef)}
    for node in nodes_of(function.body, cst.Attribute):
        if isinstance(node.value, cst.Name) and node.value.value in ("self", "cls") and node.attr.value in methods:
            yield _call_or_reference(draft, node), methods[node.attr.value]
    for name in nodes_of(function.body, cst.Name):
        if name.value in functions and not isinstance(draft.parent(name), cst.Attribute):
            yield _call_or_reference(draft, name), functions[name.value]


def _call_or_reference(draft: Draft, node: cst.CSTNode) -> cst.CSTNode:
    above = draft.parent(node)
    return above if isinstance(above, cst.Call) and above.func is node else node


@functools.lru_cache(maxsize=64)
def calls_reached(draft: Draft, scope: cst.ClassDef) -> tuple[cst.Call, ...]:
    """Return all calls in the functions that forward runs, a function's own where it is first called."""
    methods, reach = methods_of(draft, scope), reached(draft, scope)
    found: list[cst.Call] = []
    seen: set[cst.FunctionDef] = set()

    def collect(function: cst.FunctionDef) -> None:
        seen.add(function)
        leads = dict(_leads(draft, methods, function))
        for node in nodes_of(function.body, cst.CSTNode):  # type: ignore[type-abstract]  # all nodes
            if node in leads and leads[node] not in seen:
                collect(leads[node])
            if isinstance(node, cst.Call):
                found.append(node)

    for entry in list(reach)[:1]:
        collect(entry)
    return tuple(found)
