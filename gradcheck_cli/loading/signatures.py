"""What a forward or a loss function takes, from its signature and its body."""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

TARGET_NAMES = frozenset(
    {
        "target",
        "targets",
        "label",
        "labels",
        "y",
        "y_true",
        "true",
        "truth",
        "gt",
        "ground_truth",
        "tgt",
        "actual",
        "expected",
        "class_labels",
    }
)
OUTPUT_NAMES = frozenset(
    {
        "output",
        "outputs",
        "out",
        "pred",
        "preds",
        "prediction",
        "predictions",
        "predicted",
        "logits",
        "y_hat",
        "y_pred",
        "yhat",
        "scores",
        "probs",
    }
)
INPUT_NAMES = frozenset({"x", "inputs", "input", "data", "image", "images", "features", "real", "original"})
BATCH_NAMES = frozenset({"batch", "sample", "data_batch", "minibatch"})
MODEL_NAMES = frozenset({"model", "net", "network", "module"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Parameters of a callable without `self`, in order."""

    positional: tuple[str, ...] = ()  # may be given by position
    required: tuple[str, ...] = ()  # those of `positional` without a default
    keyword_only: tuple[str, ...] = ()
    required_keywords: tuple[str, ...] = ()
    var_positional: bool = False
    var_keyword: bool = False
    known: bool = True  # False when Python has no signature for it

    def accepts(self, name: str) -> bool:
        return name in self.positional or name in self.keyword_only

    @property
    def most(self) -> float:
        return float("inf") if self.var_positional else len(self.positional)


def signature_of(function: Callable[..., Any]) -> Signature:
    """Read the signature; a callable without one accepts everything."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return Signature(var_positional=True, var_keyword=True, known=False)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    keyword = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    return Signature(
        positional=tuple(p.name for p in positional),
        required=tuple(p.name for p in positional if p.default is p.empty),
        keyword_only=tuple(p.name for p in keyword),
        required_keywords=tuple(p.name for p in keyword if p.default is p.empty),
        var_positional=any(p.kind is p.VAR_POSITIONAL for p in parameters),
        var_keyword=any(p.kind is p.VAR_KEYWORD for p in parameters),
    )


def tree_of(function: Callable[..., Any]) -> ast.FunctionDef | ast.Lambda | None:
    """The syntax tree of a Python function or lambda, None when its source is not at hand."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return None
    names = list(code.co_varnames[: code.co_argcount])
    for node in ast.walk(_file_tree(code.co_filename)):
        if (
            isinstance(node, (ast.FunctionDef, ast.Lambda))
            and [a.arg for a in (*node.args.posonlyargs, *node.args.args)] == names
        ):
            decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
            if code.co_firstlineno in (node.lineno, *(d.lineno for d in decorators)):
                return node
    return None


def _file_tree(file: str) -> ast.Module:
    """The tree of a source file, empty when it cannot be read; linecache keeps what was executed."""
    linecache.checkcache(file)
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def called_attributes(function: Callable[..., Any], parameter: str) -> set[str]:
    """What the body calls on a parameter: "" for `model(x)`, "decode" for `model.decode(z)`."""
    tree = tree_of(function)
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)] if tree is not None else []
    direct = {"" for called in calls if _is_name(called, parameter)}
    return direct | {called.attr for called in calls if isinstance(called, ast.Attribute) and _is_name(called.value, parameter)}


def takes_apart(function: Callable[..., Any], parameter: str, *, by_name: bool) -> bool:
    """Whether the body takes its parameter apart, so that it is a whole batch: `batch["image"]`, `batch.image`, `**batch`
    (`by_name`), or `x, y = batch`."""
    tree = tree_of(function)
    if tree is None or (by_name and parameter in BATCH_NAMES):
        return parameter in BATCH_NAMES
    return any(_by_name(n, parameter) if by_name else _by_position(n, parameter) for n in ast.walk(tree))


def _by_name(node: ast.AST, parameter: str) -> bool:
    if isinstance(node, ast.Subscript):
        return _is_name(node.value, parameter) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)
    if isinstance(node, ast.Attribute):
        return _is_name(node.value, parameter) and not hasattr(Tensor, node.attr)
    return isinstance(node, ast.keyword) and node.arg is None and _is_name(node.value, parameter)


def _by_position(node: ast.AST, parameter: str) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and _is_name(node.value, parameter)


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
