"""Another floating-point type where the file asks for float16."""

from __future__ import annotations

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, nodes_of
from gradcheck_cli.fixing.names import full_name, spell
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.records import Edit

_METHODS = {"bfloat16": "bfloat16", "float32": "float"}


def apply(project: Project, edit: Edit) -> None:
    dtype = str(edit.options["dtype"])
    draft = project.draft(project.main)
    calls = [x for x in nodes_of(draft.tree, cst.Call) if isinstance(x.func, cst.Attribute) and x.func.attr.value == "half"]
    names = [x for x in nodes_of(draft.tree, cst.Attribute) if full_name(draft, x) in ("torch.float16", "torch.half")]
    if not calls and not names:
        raise CannotPatch(f"`{draft.name}` names float16 nowhere")
    for call in calls:
        assert isinstance(call.func, cst.Attribute)
        draft.replace(call.func.attr, cst.Name(_METHODS[dtype]))
    for name in names:
        draft.replace(name, cst.parse_expression(spell(draft, f"torch.{dtype}")))
