"""How a file calls what it has imported, and which imports it lacks."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import libcst as cst
from libcst.helpers import get_full_name_for_node

from gradcheck_cli.fixing.draft import Draft, nodes_of


@functools.lru_cache(maxsize=16)
def imported(draft: Draft) -> Mapping[str, str]:
    """Return the names that imports bind in the file, with their full dotted names: nn → torch.nn."""
    found: dict[str, str] = {}
    for node in nodes_of(draft.tree, cst.Import):
        for alias in node.names:
            full = get_full_name_for_node(alias.name) or ""
            found[alias.evaluated_alias or full.partition(".")[0]] = full if alias.evaluated_alias else full.partition(".")[0]
    for source in nodes_of(draft.tree, cst.ImportFrom):
        module = get_full_name_for_node(source.module) if source.module else ""
        if isinstance(source.names, cst.ImportStar) or source.relative:
            continue
        for alias in source.names:
            found[alias.evaluated_alias or alias.evaluated_name] = f"{module}.{alias.evaluated_name}"
    return found


def full_name(draft: Draft, node: cst.BaseExpression) -> str:
    """Return the dotted name an expression stands for: `nn.ReLU` → torch.nn.ReLU; "" for what is no name."""
    written = get_full_name_for_node(node) if isinstance(node, (cst.Name, cst.Attribute)) else None
    if not written:
        return ""
    head, dot, rest = written.partition(".")
    names = imported(draft)
    if head in names:
        return names[head] + dot + rest
    return _starred(draft, written)


def _starred(draft: Draft, written: str) -> str:
    """Guess where a bare name comes from when everything was imported from a torch module."""
    for source in _stars(draft):
        if "." not in written and source.startswith("torch") and not _defined(draft, written):
            return f"{source}.{written}"
    return written


@functools.lru_cache(maxsize=16)
def _stars(draft: Draft) -> tuple[str, ...]:
    """Return the modules that the file imports everything from."""
    sources = [x for x in nodes_of(draft.tree, cst.ImportFrom) if isinstance(x.names, cst.ImportStar) and x.module is not None]
    return tuple(get_full_name_for_node(x.module) or "" for x in sources if x.module is not None)


def _defined(draft: Draft, name: str) -> bool:
    return any(isinstance(node, (cst.ClassDef, cst.FunctionDef)) and node.name.value == name for node in draft.tree.body)


def last_name(node: cst.BaseExpression) -> str:
    """Return the last part of a dotted name: `nn.ReLU` → ReLU."""
    if isinstance(node, cst.Attribute):
        return node.attr.value
    return node.value if isinstance(node, cst.Name) else ""


def spell(draft: Draft, full: str) -> str:
    """Write a full name as this file would: torch.nn.ReLU → `nn.ReLU`; plans an import where none fits."""
    by_full = {value: key for key, value in reversed(list(imported(draft).items()))}
    module, _, name = full.rpartition(".")
    if full in by_full:
        return by_full[full]
    if module in by_full:
        return f"{by_full[module]}.{name}"
    if _taken_from(draft, module, name):
        return name
    tail = name
    while "." in module:
        module, _, part = module.rpartition(".")
        tail = f"{part}.{tail}"
        if module in by_full:
            return f"{by_full[module]}.{tail}"
    parent, _, short = full.rpartition(".")[0].rpartition(".")
    draft.add_import(f"from {parent} import {short}" if parent else f"import {short}")
    return f"{short}.{name}"


def _taken_from(draft: Draft, module: str, name: str) -> bool:
    """Take a name into an existing `from module import ...`; says whether there is one."""
    for source in nodes_of(draft.tree, cst.ImportFrom):
        if source.module is not None and get_full_name_for_node(source.module) == module:
            if not isinstance(source.names, cst.ImportStar):
                draft.change(source, lambda node: _with_name(node, name))
            return True
    return False


def _with_name(node: cst.CSTNode, name: str) -> cst.CSTNode:
    assert isinstance(node, cst.ImportFrom)
    assert not isinstance(node.names, cst.ImportStar)
    if any(alias.evaluated_name == name for alias in node.names):
        return node
    *others, last = node.names
    comma = others[-1].comma if others else cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    fresh = cst.ImportAlias(name=cst.Name(name), comma=last.comma)
    return node.with_changes(names=[*others, last.with_changes(comma=comma), fresh])
