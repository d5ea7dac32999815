"""A skip around layers or blocks: the constructor call goes into a small module that adds its input."""

from __future__ import annotations

import libcst as cst

from gradcheck_cli.fixing.draft import Draft
from gradcheck_cli.fixing.names import spell
from gradcheck_cli.fixing.placing import define, wrap
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.fixing.sites import constructions
from gradcheck_cli.records import Edit

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
    made = constructions(project, edit.layers)
    scale = f"{len(edit.layers)}**-0.5"
    users: dict[Draft, list[cst.CSTNode]] = {}
    uneven: set[Draft] = set()
    for each in made:
        users.setdefault(each.draft, []).append(each.call)
        if each.others:
            uneven.add(each.draft)
        wrap(each.draft, each.call, f"Residual(_, scale={scale})")
    for draft, calls in users.items():
        guard = " if x.shape == y.shape else y" if draft in uneven else ""
        define(draft, "Residual", _CLASS.format(module=spell(draft, "torch.nn.Module"), guard=guard), calls)
