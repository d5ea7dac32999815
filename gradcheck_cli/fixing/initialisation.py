"""Where the built model is complete, and what it shall do there: a function that initialises it is added and called."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import libcst as cst

from gradcheck_cli.fixing import earlier
from gradcheck_cli.fixing.draft import CannotPatch, Draft, Statement, nodes_of, top_statement
from gradcheck_cli.fixing.names import spell
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
        later = _later_touches(project, draft, statement, target)
        if later is not None or not _has_class(project, root.kind):
            name = _free_name(draft)
            project.freezes = earlier.freezes(draft, later or statement)
            return draft, _call_after(draft, later or statement, target, name), name
    draft, scope = project.class_of(root.kind)
    name = _free_name(draft)
    init = next((x for x in scope.body.body if isinstance(x, cst.FunctionDef) and x.name.value == "__init__"), None)
    if init is None or not isinstance(init.body, cst.IndentedBlock):
        raise CannotPatch(f"the class `{root.kind}` has no `__init__` of its own at whose end weights could be initialised")
    own = init.params.params[0].name.value if init.params.params else "self"
    last = earlier.place_in(project, draft, init, own)
    draft.add_after(last, f"{name}({own})")
    project.freezes = earlier.freezes(draft, last)
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


def _later_touches(project: Project, draft: Draft, statement: Statement, target: str) -> Statement | None:
    """Return the last statement behind the construction that still changes the model's weights, as far as can be seen."""
    if not target:
        return None
    block = list(draft.block(statement))
    return earlier.last_overwritten(project, draft, block[block.index(statement) + 1 :], target)


def _call_after(draft: Draft, statement: Statement, target: str, name: str) -> Statement:
    if target:
        draft.add_after(statement, f"{name}({target})")
        return top_statement(draft, statement)
    assert isinstance(statement, cst.SimpleStatementLine)  # `_made_in` returns an empty name for a return alone
    small = statement.body[0]
    assert isinstance(small, cst.Return)
    local = "model" if not earlier.mentions(draft.around(statement, cst.FunctionDef) or statement, "model") else "built"
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
    """Return the loop over the named layers' modules and its indentation: by class where it means the same, else by name.

    Frozen layers stay out of it, as they do in a trial; raises CannotPatch when no others are named.
    """
    kinds = sorted({project.layer(name).kind for name in names})
    everyone = {x.name for x in project.profile.layers if x.kind in kinds and not x.functional}
    frozen = _frozen(project, everyone)
    names = [name for name in names if name not in frozen]
    if not names:
        raise CannotPatch("the layers are frozen")
    plain = all(kind in _PLAIN for kind in kinds) and not _kin(project, kinds)
    if everyone - frozen == set(names) and plain and (not frozen or project.freezes):
        classes = ", ".join(spell(draft, f"torch.nn.{kind}") for kind in kinds)
        test = f"isinstance(module, {f'({classes})' if len(kinds) > 1 else classes})"
        test += " and module.weight.requires_grad" if frozen else ""
        return f"for module in model.modules():\n    if {test}:", "        "
    if len(names) == 1:
        return f'module = model.get_submodule("{names[0]}")' if names[0] else "module = model", ""
    return f"for name in ({listed(names)}):\n    module = model.get_submodule(name)", "    "


def _kin(project: Project, kinds: Sequence[str]) -> bool:
    """Say whether a layer may be of a class made from one of these, which `isinstance` would take for it."""
    roles = {x.role for x in project.profile.layers if x.kind in kinds} | {"other", "container"}
    unknown = {x.name for x in project.profile.layers if x.kind not in _PLAIN and not x.functional and x.role in roles}
    return any(p.layer in unknown and p.name.rpartition(".")[2] == "weight" for p in project.profile.parameters)


def _frozen(project: Project, names: Collection[str]) -> set[str]:
    """Return the layers with frozen parameters; raises CannotPatch for those that train in part."""
    states: dict[str, set[bool]] = {}
    for parameter in project.profile.parameters:
        if parameter.layer in names:
            states.setdefault(parameter.layer, set()).add(parameter.state == "frozen")
    mixed = [name for name, state in states.items() if len(state) > 1]
    if mixed:
        raise CannotPatch(f"`{mixed[0]}` is frozen in part")
    return {name for name, state in states.items() if True in state}


def trainable(project: Project, names: Sequence[str]) -> list[str]:
    """Return the parameters, by name, that are not frozen; raises CannotPatch when none is left."""
    frozen = {p.name for p in project.profile.parameters if p.state == "frozen"}
    kept = [name for name in names if name not in frozen]
    if names and not kept:
        raise CannotPatch("the parameters are frozen")
    return kept


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
