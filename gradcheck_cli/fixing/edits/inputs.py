"""Inputs of a usual scale, where the file defines its data."""

from __future__ import annotations

from gradcheck_cli.fixing.data import change, place_of
from gradcheck_cli.fixing.draft import CannotPatch
from gradcheck_cli.fixing.names import spell
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.records import Edit, InputProfile


def apply(project: Project, edit: Edit) -> None:
    how, place = str(edit.options["how"]), place_of(project, 0)
    if how == "finite":
        _finite(project)
        return
    if how == "feature":
        column = f"{{x}}[..., {int(edit.options['feature'])}]"
        change(place, f"{column} = ({column} - {column}.mean()) / {column}.std()", None)
        return
    first = _first(project)
    mean, std = first.stats.mean, first.std
    measured = f"({{x}} - {mean:.4g}) / {std:.4g}" if mean >= 0 else f"({{x}} + {-mean:.4g}) / {std:.4g}"
    if how == "pixels":
        dims = _dims(first)
        over = f"({{x}} - {{x}}.mean({dims}, keepdim=True)) / {{x}}.std({dims}, keepdim=True)"
        line = change(place, f"{{x}} = {{x}}.float() / 255\n{{x}} = {over}", measured)
    else:
        dims = _dims(first)
        over = f"({{x}} - {{x}}.mean({dims}, keepdim=True)) / {{x}}.std({dims}, keepdim=True).clamp_min(1e-6)"
        line = change(place, f"{{x}} = {over}", measured)
    if line:
        moments = f"mean {mean:.4g} and deviation {std:.4g}"
        project.note(f"{line}: {moments} are those of the scanned batch; take those of your training data")


def _first(project: Project) -> InputProfile:
    batch = project.profile.batch
    if len(batch) != 1:
        raise CannotPatch(f"the model has {len(batch)} inputs, and the scan does not say which of the file's data is which")
    return batch[0]


def _dims(data: InputProfile) -> str:
    """All dimensions but that of the features: the channels of images, else the last."""
    rank = len(data.stats.shape)
    own = 1 if rank >= 4 else rank - 1
    dims = [str(i) for i in range(rank) if i != own]
    return dims[0] if len(dims) == 1 else f"({', '.join(dims)})"


def _finite(project: Project) -> None:
    """Samples that are not finite leave inputs and targets alike."""
    inputs, targets = place_of(project, 0), place_of(project, 1)
    if not inputs.name or not targets.name or inputs.statement is None or targets.statement is None:
        raise CannotPatch("inputs and targets are not both held by a name at the top of the file")
    draft = inputs.draft
    last = max(inputs.statement, targets.statement, key=draft.line)
    x, y = inputs.name, targets.name
    finite = spell(draft, "torch.isfinite")
    draft.add_after(last, f"finite = {finite}({x}).flatten(1).all(1)\n{x}, {y} = {x}[finite], {y}[finite]")
