"""A norm that looks at one sample in place of BatchNorm."""

from __future__ import annotations

import math

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch
from gradcheck_cli.fixing.names import spell
from gradcheck_cli.fixing.placing import argument
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.fixing.sites import Construction, constructions, refuse_beside
from gradcheck_cli.records import Edit

_MOST_GROUPS = 8  # as the trial


def apply(project: Project, edit: Edit) -> None:
    made = constructions(project, edit.layers)
    refuse_beside(made)
    for each in made:
        each.draft.replace(each.call, cst.parse_expression(_norm(each, str(edit.options["norm"]))))


def _norm(made: Construction, norm: str) -> str:
    layer, draft = made.layers[0], made.draft
    given = argument(made.call, 0, "num_features")
    if given is None:
        raise CannotPatch(f"{draft.name}:{draft.line(made.call)} does not show how many features `{layer.name}` has")
    width = draft.tree.code_for_node(given)
    if norm == "layer" and layer.output is not None and len(layer.output.shape) == 2:
        return f"{spell(draft, 'torch.nn.LayerNorm')}({width})"
    sizes = [int(float(x.facts["num_features"])) for x in made.layers if "num_features" in x.facts]
    if not sizes:
        raise CannotPatch(f"the channels of `{layer.name}` are not known")
    groups = 1 if norm == "layer" else math.gcd(_MOST_GROUPS, *sizes)
    return f"{spell(draft, 'torch.nn.GroupNorm')}({groups}, {width})"
