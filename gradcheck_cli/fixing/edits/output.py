"""The end of the model and the loss fit each other: without the last activation, or with another loss."""

from __future__ import annotations

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft, nodes_of
from gradcheck_cli.fixing.edits.activation import unwrap
from gradcheck_cli.fixing.names import full_name, spell
from gradcheck_cli.fixing.operations import calls_in, calls_of
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.fixing.sequences import element_around, siblings, take_out
from gradcheck_cli.fixing.sites import Construction, class_name, constructions
from gradcheck_cli.records import Edit, LayerProfile

_CLASSES = {
    "cross_entropy": "CrossEntropyLoss",
    "bce_logits": "BCEWithLogitsLoss",
    "nll": "NLLLoss",
    "mse": "MSELoss",
    "huber": "HuberLoss",
}
_FUNCTIONS = {
    "cross_entropy": "cross_entropy",
    "bce_logits": "binary_cross_entropy_with_logits",
    "nll": "nll_loss",
    "mse": "mse_loss",
    "huber": "huber_loss",
}
_KNOWN_FUNCTIONS = (*_FUNCTIONS.values(), "binary_cross_entropy", "l1_loss", "smooth_l1_loss")
_KEPT = ("reduction", "weight", "ignore_index")  # arguments that mean the same to every loss that has them


def apply(project: Project, edit: Edit) -> None:
    loss = edit.options.get("loss")
    if loss == "cross_entropy" and project.profile.objective.output_units == 1:
        raise CannotPatch("the last layer needs one unit for each class, and only you know how many there are")
    if loss is not None:
        _change_loss(project, str(loss))
    if edit.options.get("drop"):
        _drop(project, edit)


def _drop(project: Project, edit: Edit) -> None:
    last = [project.layer(name) for name in edit.layers] or _last_activation(project)
    if not last:
        _drop_last_call(project)
    for draft, call in calls_of(project, [x for x in last if x.functional], plain=False):
        unwrap(draft, call)
    for each in constructions(project, [x.name for x in last if not x.functional]):
        if each.others:
            raise CannotPatch(f"{each.draft.name}:{each.draft.line(each.call)} builds activations that are not the last too")
        _take_away(each)


def _last_activation(project: Project) -> list[LayerProfile]:
    """Return the layer that made the output if it is an activation; a call that the scan names no layer for is none."""
    ran = sorted((x for x in project.profile.layers if x.calls and x.leaf and x.role != "shape"), key=lambda x: x.order)
    return ran[-1:] if ran and ran[-1].role == "activation" else []


def _drop_last_call(project: Project) -> None:
    kind = project.profile.objective.output_activation
    draft, scope = project.owner_class("")
    returns = [x for x in nodes_of(scope, cst.Return) if _function(draft, x) == "forward"]
    calls = [call for x in returns for call in calls_in(draft, x, kind)] if kind else []
    if len(calls) != 1:
        raise CannotPatch("the line that applies the last activation is not known")
    unwrap(draft, calls[0])


def _function(draft: Draft, node: cst.CSTNode) -> str:
    function = draft.around(node, cst.FunctionDef)
    return function.name.value if function is not None else ""


def _take_away(made: Construction) -> None:
    """The last element of a Sequential goes; elsewhere a name may stand for the module, so that it becomes Identity."""
    draft, call = made.draft, made.call
    element = element_around(draft, call)
    holder = draft.parent(element) if element is not None else None
    if element is not None and isinstance(holder, cst.Call) and class_name(draft, holder.func) == "Sequential":
        everyone = siblings(draft, element)
        if len(everyone) > 1 and element is everyone[-1]:
            take_out(draft, element)
            return
    draft.replace(call, cst.parse_expression(f"{spell(draft, 'torch.nn.Identity')}()"))


def _change_loss(project: Project, loss: str) -> None:
    if loss not in _CLASSES:
        raise CannotPatch(f"the loss {loss} has no form in source")
    draft = project.draft(project.main)
    scope = _definition(draft, project.profile.objective.origin) or draft.tree
    found = [x for x in [*nodes_of(scope, cst.Name), *nodes_of(scope, cst.Attribute)] if _is_loss(draft, x)]
    if len(found) != 1:
        raise CannotPatch(f"`{draft.name}` names {len(found)} losses where one was looked for" if found else "no loss is seen")
    node, name = found[0], full_name(draft, found[0])
    above = draft.parent(node)
    if name.startswith("torch.nn.functional."):
        draft.replace(node, cst.parse_expression(spell(draft, f"torch.nn.functional.{_FUNCTIONS[loss]}")))
        return
    draft.replace(node, cst.parse_expression(spell(draft, f"torch.nn.{_CLASSES[loss]}")))
    if isinstance(above, cst.Call) and any(a.keyword is None or a.keyword.value not in _KEPT for a in above.args):
        raise CannotPatch(f"{draft.name}:{draft.line(above)} gives the loss arguments that another one has not")


def _definition(draft: Draft, origin: str) -> cst.CSTNode | None:
    """Return the statement that defines the loss which the scan has found by its name."""
    name = origin.removeprefix("found: ")
    for statement in draft.tree.body:
        if isinstance(statement, cst.FunctionDef) and statement.name.value == name:
            return statement
        if isinstance(statement, cst.SimpleStatementLine):
            for small in statement.body:
                targets = [t.target for t in small.targets] if isinstance(small, cst.Assign) else []
                if any(isinstance(t, cst.Name) and t.value == name for t in targets):
                    return statement
    return None


def _is_loss(draft: Draft, node: cst.BaseExpression) -> bool:
    if isinstance(draft.parent(node), (cst.Attribute, cst.ImportAlias, cst.AsName)):
        return False
    module, _, name = full_name(draft, node).rpartition(".")
    if module == "torch.nn.functional":
        return name in _KNOWN_FUNCTIONS
    return module.startswith("torch.nn") and name.endswith("Loss")
