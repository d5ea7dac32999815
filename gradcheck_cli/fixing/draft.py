"""One source file while changes to it are planned: nodes are found in the original tree, and all changes made in one pass.

So positions recorded by a scan stay valid however many edits are planned, and two edits of one node follow one another.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import libcst as cst
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider

Change = Callable[[cst.CSTNode], cst.CSTNode]
Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement
_N = TypeVar("_N", bound=cst.CSTNode)


class CannotPatch(Exception):
    """The change cannot be written into the source; the message is the reason, a clause in words."""


@dataclass
class _Plan:
    changes: list[Change] = field(default_factory=list)
    before: list[cst.CSTNode] = field(default_factory=list)
    after: list[cst.CSTNode] = field(default_factory=list)
    removed: bool = False


class Draft:
    """A parsed file. `text` is free of a byte order mark; line ends, indentation and comments survive."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        try:
            wrapper = MetadataWrapper(cst.parse_module(text))
        except cst.ParserSyntaxError as error:
            raise CannotPatch(f"`{name}` cannot be parsed: {error.message}") from None
        self.tree = wrapper.module
        self._positions = wrapper.resolve(PositionProvider)
        self._parents = wrapper.resolve(ParentNodeProvider)
        self._plans: dict[cst.CSTNode, _Plan] = {}
        self._imports: set[str] = set()
        self.defined: dict[str, str] = {}  # classes that the patch adds, by name

    def _plan(self, node: cst.CSTNode) -> _Plan:
        return self._plans.setdefault(node, _Plan())

    def change(self, node: cst.CSTNode, how: Change) -> None:
        """Plan a change of this node; `how` gets it as the changes before, and those inside it, have left it."""
        self._plan(node).changes.append(how)

    def replace(self, node: cst.CSTNode, fresh: cst.CSTNode) -> None:
        """Plan another node in place of this one."""
        self.change(node, lambda _: fresh)

    def remove(self, node: cst.CSTNode) -> None:
        self._plan(node).removed = True

    def add_node_after(self, node: cst.CSTNode, fresh: cst.CSTNode) -> None:
        """Plan a node behind this one in a sequence (argument, list element, statement)."""
        self._plan(node).after.append(fresh)

    def add_after(self, statement: Statement, text: str) -> None:
        """Plan further statements behind this one."""
        self._plan(statement).after.extend(self.parse(text))

    def add_before(self, statement: Statement, text: str, blank: int = 0) -> None:
        """Plan further statements in front of this one, with so many blank lines in front of and behind them."""
        first, *rest = self.parse(text)
        lines = [cst.EmptyLine(indent=False) for _ in range(blank)]
        self._plan(statement).before += [first.with_changes(leading_lines=lines), *rest]

        def pad(node: cst.CSTNode) -> cst.CSTNode:
            own = list(node.leading_lines)  # type: ignore[attr-defined]  # every statement has them
            bare = sum(x.comment is None for x in own)
            return node.with_changes(leading_lines=[*lines[bare:], *own])

        self.change(statement, pad)

    def add_import(self, line: str) -> None:
        """Plan an import behind the last one at the top of the file."""
        if line in self._imports:
            return
        self._imports.add(line)
        tops = [x for x in self.tree.body if isinstance(x, cst.SimpleStatementLine)]
        imports = [x for x in tops if isinstance(x.body[0], (cst.Import, cst.ImportFrom))]
        if not imports:
            raise CannotPatch(f"`{self.name}` has no import statement beside which `{line}` could stand")
        self.add_after(imports[-1], line)

    def changed(self) -> bool:
        return bool(self._plans)

    def planned(self) -> list[cst.CSTNode]:
        """Return the nodes that something was planned for."""
        return list(self._plans)

    def code(self) -> str:
        """Return the text with all planned changes, checked to compile."""
        made = self.tree.visit(_Writer(self._plans))
        assert isinstance(made, cst.Module)
        try:
            compile(made.code, self.name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            raise CannotPatch(f"the patched `{self.name}` would not compile: {error}") from None
        return made.code

    def line(self, node: cst.CSTNode) -> int:
        return int(self._positions[node].start.line)

    def last_line(self, node: cst.CSTNode) -> int:
        return int(self._positions[node].end.line)

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        return self._parents.get(node)

    def around(self, node: cst.CSTNode, kind: type[_N]) -> _N | None:
        """Return the nearest node of a kind around this one."""
        above = self.parent(node)
        while above is not None and not isinstance(above, kind):
            above = self.parent(above)
        return above

    def statement(self, node: cst.CSTNode) -> Statement:
        """Return the statement that holds the node, if it stands on lines of its own."""
        current: cst.CSTNode | None = node
        while current is not None:
            above = self.parent(current)
            if isinstance(above, (cst.Module, cst.IndentedBlock)):
                assert isinstance(current, (cst.SimpleStatementLine, cst.BaseCompoundStatement))
                return current
            if isinstance(above, cst.SimpleStatementSuite):
                raise CannotPatch(f"line {self.line(node)} of `{self.name}` shares its line with the statement around it")
            current = above
        raise CannotPatch("a whole file is no statement")

    def block(self, statement: Statement) -> Sequence[cst.BaseStatement]:
        """Return the statements among which this one stands."""
        above = self.parent(statement)
        assert isinstance(above, (cst.Module, cst.IndentedBlock))
        return above.body

    def parse(self, text: str) -> list[cst.CSTNode]:
        """Read statements in the file's own indentation and line ends."""
        return list(cst.parse_module(text, self.tree.config_for_parsing).body)


class _Writer(cst.CSTTransformer):
    def __init__(self, plans: dict[cst.CSTNode, _Plan]) -> None:
        super().__init__()
        self._plans = plans

    def on_leave(self, original_node: cst.CSTNodeT, updated_node: cst.CSTNodeT) -> object:  # type: ignore[override]
        plan = self._plans.get(original_node)
        if plan is None:
            return updated_node
        node: cst.CSTNode = updated_node
        for change in plan.changes:
            node = change(node)
        if plan.removed:
            return cst.RemovalSentinel.REMOVE
        if plan.before or plan.after:
            return cst.FlattenSentinel([*plan.before, node, *plan.after])
        return node


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Yield the node and all inside it, arguments before their call: the order in which Python evaluates calls."""
    for child in node.children:
        yield from walk(child)
    yield node


def nodes_of(node: cst.CSTNode, kind: type[_N]) -> list[_N]:
    """Return all nodes of a kind inside this one, in the order of evaluation."""
    inside = _whole(node) if isinstance(node, cst.Module) else walk(node)
    return [x for x in inside if isinstance(x, kind)]


@functools.lru_cache(maxsize=8)
def _whole(tree: cst.Module) -> tuple[cst.CSTNode, ...]:
    """A file of some thousand lines takes a second to walk, and each edit asks for its calls."""
    return tuple(walk(tree))


def top_statement(draft: Draft, node: cst.CSTNode) -> Statement:
    """Return the statement of the file's top level that holds the node."""
    current, above = node, draft.parent(node)
    while above is not None and not isinstance(above, cst.Module):
        current, above = above, draft.parent(above)
    assert isinstance(current, (cst.SimpleStatementLine, cst.BaseCompoundStatement))
    return current
