"""The comments `# gradcheck: ignore[GC101] reason` in the files that build a model."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

from gradcheck_cli.loading.overlay import place_of
from gradcheck_cli.records import IgnoreComment, SourceSite

_COMMENT = re.compile(r"#\s*gradcheck:\s*ignore(?:\s*\[(?P<selectors>[^\]]*)\])?(?P<reason>[^#]*)", re.IGNORECASE)


def ignore_comments(sites: Mapping[str, SourceSite], base: Path) -> tuple[IgnoreComment, ...]:
    """Read the comments of every file that builds a layer, if the class, function or statement around them builds one."""
    lines: dict[str, set[int]] = {}
    for site in sites.values():
        lines.setdefault(site.file, set()).add(site.line)
    return tuple(comment for file in sorted(lines) for comment in _in_file(file, base, lines[file]))


def _in_file(file: str, base: Path, built: set[int]) -> Iterator[IgnoreComment]:
    try:
        with tokenize.open(place_of(base / file)) as source:  # reads the encoding that the file declares
            text = source.read()
        if "gradcheck:" not in text.lower():
            return
        tree, tokens = ast.parse(text), list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (OSError, ValueError, SyntaxError, tokenize.TokenError):  # it has been imported, so it has changed since
        return
    ends = _where_calls_begin(tree)
    for token in tokens:
        found = _COMMENT.search(token.string) if token.type == tokenize.COMMENT else None
        line = token.start[0]
        if found is None or not _builds(tree, line, built):
            continue
        selectors = [word.strip() for word in (found["selectors"] or "").split(",")]
        yield IgnoreComment(
            file=file,
            line=line,
            covers=tuple(sorted({line, *ends.get(line, ())})),
            selectors=tuple(filter(None, selectors)),
            reason=found["reason"].strip(),
        )


def _where_calls_begin(tree: ast.Module) -> dict[int, set[int]]:
    """Map the last line of each statement or call that spans several lines to its first."""
    found: dict[int, set[int]] = {}
    for node in ast.walk(tree):
        simple = isinstance(node, ast.Call) or (isinstance(node, ast.stmt) and not hasattr(node, "body"))
        if simple and node.end_lineno is not None and node.end_lineno > node.lineno:  # type: ignore[attr-defined]
            found.setdefault(node.end_lineno, set()).add(node.lineno)  # type: ignore[attr-defined]
    return found


def _builds(tree: ast.Module, line: int, built: set[int]) -> bool:
    """Say whether the top-level statement around a line builds a layer: else the comment is for another model of the file."""
    for statement in tree.body:
        first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", ()))])
        if first <= line <= (statement.end_lineno or first):
            return any(first <= site <= (statement.end_lineno or first) for site in built)
    return False
