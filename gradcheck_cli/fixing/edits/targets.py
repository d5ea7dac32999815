"""Targets in the range and shape that output and loss can reach, where the file defines its data."""

from __future__ import annotations

import math

from gradcheck_cli.fixing.data import change, place_of
from gradcheck_cli.fixing.draft import CannotPatch
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.records import Edit


def apply(project: Project, edit: Edit) -> None:
    how, place = str(edit.options["how"]), place_of(project, 1)
    objective = project.profile.objective
    if how == "standardise":
        dims = "0" if objective.target is not None and len(objective.target.shape) == 2 else ""
        change(place, f"{{x}} = ({{x}} - {{x}}.mean({dims})) / {{x}}.std({dims})", _measured(project))
    elif how == "binary":
        change(place, "{x} = ({x} == {x}.max()).float()", None)
    elif how == "shape":
        if objective.target is None or objective.output is None or objective.output.shape != (*objective.target.shape, 1):
            raise CannotPatch("output and target differ in more than a last dimension of one")
        change(place, "{x} = {x}.unsqueeze(-1)", None)
    else:
        low, high = float(edit.options["low"]), float(edit.options["high"])
        if not math.isfinite(high - low):
            raise CannotPatch("the range is open to one side, and how to scale into it is yours to say")
        unit = "({x} - {x}.min()) / ({x}.max() - {x}.min())"
        scaled = unit if (low, high) == (0, 1) else f"{low:.4g} + {high - low:.4g} * {unit}"
        change(place, f"{{x}} = {scaled}", None)


def _measured(project: Project) -> str | None:
    """Write the change with the mean and size of the measured batch, for data that are made sample by sample."""
    target = project.profile.objective.target
    if target is None:
        return None
    std = math.sqrt(max(target.rms**2 - target.mean**2, 0.0))
    return f"({{x}} - {target.mean:.4g}) / {std:.4g}" if std > 0 and target.mean >= 0 else None
