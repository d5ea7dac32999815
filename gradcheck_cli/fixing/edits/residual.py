"""A skip around layers or blocks: a sum in the forward method, or a small module around the constructor call."""

from __future__ import annotations

import libcst as cst

from gradcheck_cli.fixing.draft import Draft
from gradcheck_cli.fixing.names import spell
from gradcheck_cli.fixing.placing import calls_of_attribute, define, wrap
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.fixing.sites import constructions, refuse_beside
from gradcheck_cli.records import Edit, LayerProfile

_CLASS = """\
class Residual({module}):
    def __init__(self, inner, scale):
        super().__init__()
        self.inner = inner
        self.scale = scale

    def forward(self, x):
        y = self.inner(x)
        return x + self.scale * y{guard}
"""


def apply(project: Project, edit: Edit) -> None:
    """The branch is scaled by 1/√n for n skips, as in the trial: the sums would grow with depth."""
    scale = f"{len(edit.layers)}**-0.5"
    users: dict[Draft, list[cst.CSTNode]] = {}
    uneven: set[Draft] = set()
    for each in constructions(project, edit.layers):
        if not each.others and _in_forward(each.draft, each.call, scale):
            continue
        refuse_beside([each] if any(_is_even(project, x) for x in each.others) else [])
        users.setdefault(each.draft, []).append(each.call)
        if each.others:
            uneven.add(each.draft)
        wrap(each.draft, each.call, f"Residual(_, scale={scale})")
    for draft, calls in users.items():
        guard = " if x.shape == y.shape else y" if draft in uneven else ""
        define(draft, "Residual", _CLASS.format(module=spell(draft, "torch.nn.Module"), guard=guard), calls)


def _is_even(project: Project, layer: LayerProfile) -> bool:
    """Say whether a layer would get its skip too, because its output is as wide as its input."""
    return any(x.name in layer.parameters and x.value.shape[:1] == x.value.shape[1:2] for x in project.profile.parameters)


def _in_forward(draft: Draft, call: cst.Call, scale: str) -> bool:
    """`self.fc(x)` → `(x + scale * self.fc(x))`, where each call of the attribute has a plain name for its input."""
    calls = calls_of_attribute(draft, call)
    if not calls or not all(len(x.args) == 1 and isinstance(x.args[0].value, cst.Name) for x in calls):
        return False
    for each in calls:
        draft.change(each, lambda node: _summed(node, scale))
    return True


def _summed(node: cst.CSTNode, scale: str) -> cst.CSTNode:
    assert isinstance(node, cst.Call)
    outer = cst.parse_expression(f"(_ + {scale} * _)")
    assert isinstance(outer, cst.BinaryOperation)
    assert isinstance(outer.right, cst.BinaryOperation)
    return outer.with_changes(left=node.args[0].value, right=outer.right.with_changes(right=node))
