"""An activation behind layers that have none."""

from __future__ import annotations

from gradcheck_cli.fixing.draft import CannotPatch
from gradcheck_cli.fixing.edits.activation import activation_source
from gradcheck_cli.fixing.placing import put_behind
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.fixing.sites import constructions
from gradcheck_cli.records import Edit


def apply(project: Project, edit: Edit) -> None:
    for each in constructions(project, edit.layers):
        if each.others:
            raise CannotPatch(f"{each.draft.name}:{each.draft.line(each.call)} also builds layers that have an activation")
        put_behind(each.draft, each.call, activation_source(each.draft, str(edit.options["to"])), "_activation")
