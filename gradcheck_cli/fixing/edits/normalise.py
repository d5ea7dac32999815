"""A norm behind linear and convolution layers."""

from __future__ import annotations

import math

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft
from gradcheck_cli.fixing.names import spell
from gradcheck_cli.fixing.placing import argument, put_behind
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.fixing.sites import Construction, constructions, refuse_beside
from gradcheck_cli.records import Edit, LayerProfile

_MOST_GROUPS = 8  # as the trial


def apply(project: Project, edit: Edit) -> None:
    norm = str(edit.options["norm"])
    made = constructions(project, edit.layers)
    refuse_beside(made)
    for each in made:
        put_behind(each.draft, each.call, _norm(each, norm), "_norm")


def _norm(made: Construction, norm: str) -> str:
    layer, draft = made.layers[0], made.draft
    width = draft.tree.code_for_node(_width(draft, made.call, layer))
    spatial = int(layer.kind[-2]) if "Conv" in layer.kind and layer.kind[-2:] in ("1d", "2d", "3d") else 0
    shape = layer.output.shape if layer.output is not None else ()
    if norm == "batch":
        if not spatial and len(shape) != 2:
            raise CannotPatch(f"BatchNorm behind `{layer.name}` would take its second dimension for the units")
        return f"{spell(draft, f'torch.nn.BatchNorm{max(1, spatial)}d')}({width})"
    if norm == "layer" and not spatial:
        return f"{spell(draft, 'torch.nn.LayerNorm')}({width})"
    channels = [x.output.shape[1] for x in made.layers if x.output is not None and len(x.output.shape) > 1]
    if not channels or (not spatial and len(shape) != 2):
        raise CannotPatch(f"the channels of `{layer.name}` are not known")
    groups = 1 if norm == "layer" else math.gcd(_MOST_GROUPS, *channels)
    return f"{spell(draft, 'torch.nn.GroupNorm')}({groups}, {width})"


def _width(draft: Draft, call: cst.Call, layer: LayerProfile) -> cst.BaseExpression:
    """Return the expression that the constructor is given for the units of its output."""
    keyword = "out_channels" if "Conv" in layer.kind else "out_features"
    found = argument(call, 0 if layer.kind.startswith("Lazy") else 1, keyword)
    if found is None:
        raise CannotPatch(f"{draft.name}:{draft.line(call)} does not show how many outputs `{layer.name}` has")
    return found
