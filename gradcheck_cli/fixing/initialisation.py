"""Where the built model is complete, and what it shall do there: a function that initialises it is added and called."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft, Statement, nodes_of, top_statement
from gradcheck_cli.fixing.names import last_name, spell
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.fixing.sites import calls_at

_FUNCTION = "initialise_weights"


def finish(project: Project) -> None:
    """Plan the function that holds the statements of `project.initialisation`, and its call."""
    if not project.initialisation:
        return
    draft, top, name = _call_where_complete(project)
    lines = [line for write in project.initialisation for line in write(draft).split("\n")]
    body = "\n".join("    " + line if line else "" for line in lines)
    draft.add_before(top, f"def {name}(model):\n{body}\n", blank=2)


def _call_where_complete(project: Project) -> tuple[Draft, Statement, str]:
    """Plan the call. Returns the statement at the top of the file in front of which the function goes, and its name."""
    root = project.layer("")
    made = _made_in(project)
    if made is not None:
        draft, statement, target = made
        later = _later_touches(draft, statement, target)
        if later is not None or not _has_class(project, root.kind):
            name = _free_name(draft)
            return draft, _call_after(draft, later or statement, target, name), name
    draft, scope = project.class_of(root.kind)
    name = _free_name(draft)
    init = next((x for x in scope.body.body if isinstance(x, cst.FunctionDef) and x.name.value == "__init__"), None)
    if init is None or not isinstance(init.body, cst.IndentedBlock):
        raise CannotPatch(f"the class `{root.kind}` has no `__init__` of its own at whose end weights could be initialised")
    last = init.body.body[-1]
    assert isinstance(last, (cst.SimpleStatementLine, cst.BaseCompoundStatement))
    own = init.params.params[0].name.value if init.params.params else "self"
    draft.add_after(last, f"{name}({own})")
    return draft, top_statement(draft, scope), name


def _has_class(project: Project, kind: str) -> bool:
    try:
        project.class_of(kind)
    except CannotPatch:
        return False
    return True


def _made_in(project: Project) -> tuple[Draft, Statement, str] | None:
    """Return the statement `name = Model(...)`, or `return Model(...)` with the name "", that builds the model."""
    root = project.layer("")
    if root.site is None:
        return None
    draft = project.draft(root.site.file)
    calls = calls_at(draft, root.kind, root.site.line)
    if len(calls) != 1 or draft.line(calls[0]) != root.site.line:
        return None
    statement = draft.statement(calls[0])
    if not isinstance(statement, cst.SimpleStatementLine) or len(statement.body) != 1:
        return None
    small = statement.body[0]
    if isinstance(small, cst.Return) and small.value is calls[0]:
        return draft, statement, ""
    if isinstance(small, cst.Assign) and len(small.targets) == 1 and isinstance(small.targets[0].target, cst.Name):
        return draft, statement, small.targets[0].target.value
    if isinstance(small, cst.AnnAssign) and isinstance(small.target, cst.Name):
        return draft, statement, small.target.value
    return None


def _later_touches(draft: Draft, statement: Statement, target: str) -> Statement | None:
    """Return the last statement behind the construction that still changes the model's weights, as far as can be seen."""
    if not target:
        return None
    block = list(draft.block(statement))
    last = None
    for other in block[block.index(statement) + 1 :]:
        if _initialises(other, target):
            last = other
    return last  # type: ignore[return-value]


def _initialises(statement: cst.BaseStatement, target: str) -> bool:
    """`model.apply(init)`, `nn.init.normal_(model.fc.weight)`, `for p in model.parameters(): ...`, `init(model)`."""
    if isinstance(statement, cst.For):
        return _mentions(statement.iter, target) and not any(
            last_name(c.func) == "backward" for c in nodes_of(statement, cst.Call)
        )
    if isinstance(statement, cst.With):
        return _mentions(statement, target) and "no_grad" in {last_name(c.func) for c in nodes_of(statement, cst.Call)}
    if not isinstance(statement, cst.SimpleStatementLine) or not isinstance(statement.body[0], cst.Expr):
        return False
    call = statement.body[0].value
    if not isinstance(call, cst.Call) or not _mentions(call, target):
        return False
    first = call.args[0].value if call.args else None
    return (
        last_name(call.func) in ("apply", "load_state_dict")
        or last_name(call.func).endswith("_")
        or (
            isinstance(call.func, cst.Name)
            and isinstance(first, cst.Name)
            and first.value == target
            and "init" in call.func.value.lower()
        )
    )


def _mentions(node: cst.CSTNode, name: str) -> bool:
    return any(x.value == name for x in nodes_of(node, cst.Name))


def _call_after(draft: Draft, statement: Statement, target: str, name: str) -> Statement:
    if target:
        draft.add_after(statement, f"{name}({target})")
        return top_statement(draft, statement)
    assert isinstance(statement, cst.SimpleStatementLine)  # `_made_in` returns an empty name for a return alone
    small = statement.body[0]
    assert isinstance(small, cst.Return)
    local = "model" if not _mentions(draft.around(statement, cst.FunctionDef) or statement, "model") else "built"
    draft.change(small, lambda node: _assigned(node, local))
    draft.add_after(statement, f"{name}({local})\nreturn {local}")
    return top_statement(draft, statement)


def _assigned(node: cst.CSTNode, local: str) -> cst.CSTNode:
    assert isinstance(node, cst.Return)
    assert node.value is not None
    return cst.Assign([cst.AssignTarget(cst.Name(local))], node.value)


def _free_name(draft: Draft) -> str:
    used = {x.value for x in nodes_of(draft.tree, cst.Name)}
    return next(name for name in (_FUNCTION, f"{_FUNCTION}_anew", f"_{_FUNCTION}", f"{_FUNCTION}_") if name not in used)


def selection(project: Project, draft: Draft, names: Sequence[str]) -> tuple[str, str]:
    """Return the loop over the named layers' modules and its indentation: by class where it means the same, else by name."""
    kinds = sorted({project.layer(name).kind for name in names})
    everyone = {x.name for x in project.profile.layers if x.kind in kinds and not x.functional}
    if everyone == set(names) and all(kind in _PLAIN for kind in kinds):
        classes = ", ".join(spell(draft, f"torch.nn.{kind}") for kind in kinds)
        test = f"({classes})" if len(kinds) > 1 else classes
        return f"for module in model.modules():\n    if isinstance(module, {test}):", "        "
    if len(names) == 1:
        return f'module = model.get_submodule("{names[0]}")' if names[0] else "module = model", ""
    return f"for name in ({listed(names)}):\n    module = model.get_submodule(name)", "    "


_PLAIN = (
    "Linear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Bilinear",
    "RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell", "Embedding",
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LayerNorm",
)  # fmt: skip


def listed(names: Sequence[str]) -> str:
    """Write names as the elements of a tuple, broken into lines of usual length."""
    quoted = [f'"{name}"' for name in names]
    if len(", ".join(quoted)) < 70:
        return ", ".join(quoted) + "," * (len(quoted) == 1)
    lines, line = [], ""
    for word in quoted:
        if len(line) + len(word) > 90:
            lines.append(line.rstrip())
            line = ""
        line += f"{word}, "
    return "\n        " + "\n        ".join([*lines, line.rstrip()]) + "\n    "
