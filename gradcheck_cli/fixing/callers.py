"""Who else runs a function, or builds a class, that the patch changes."""

from __future__ import annotations

import libcst as cst

from gradcheck_cli.fixing.draft import Draft, nodes_of, top_statement
from gradcheck_cli.fixing.project import Project

_Definition = cst.FunctionDef | cst.ClassDef


def note_callers(project: Project) -> None:
    """Note the calls in a file that get a changed function or class without being part of the scanned model."""
    for draft in project.drafts():
        changed = {top_statement(draft, node): None for node in draft.planned() if _is_inside(draft, node)}
        for definition in changed:
            if isinstance(definition, (cst.FunctionDef, cst.ClassDef)):
                _note(project, draft, definition)


def _is_inside(draft: Draft, node: cst.CSTNode) -> bool:
    """A statement of the top level is planned for what is put in front of it, or behind it."""
    return not isinstance(draft.parent(node), cst.Module)


def _note(project: Project, draft: Draft, definition: _Definition) -> None:
    calls = _uses(draft, definition)
    if isinstance(definition, cst.ClassDef):
        kind = definition.name.value
        sites = {x.site.line for x in project.profile.layers if x.kind == kind and x.site and x.site.file == draft.name}
        calls = [x for x in calls if not any(draft.line(x) <= line <= draft.last_line(x) for line in sites)] if sites else []
    elif len({top_statement(draft, x) for x in calls}) < 2:  # one place that makes use of it: the model's own
        calls = []
    if calls:
        places = ", ".join(f"{draft.name}:{draft.line(x)}" for x in sorted(calls, key=draft.line)[:4])
        also = "also " if isinstance(definition, cst.ClassDef) else ""
        project.note(f"`{definition.name.value}` is changed, which {also}serves {places}{' …' if len(calls) > 4 else ''}")


def _uses(draft: Draft, definition: _Definition) -> list[cst.CSTNode]:
    """Return the calls of a definition by its name, and the classes made from it, outside of itself."""
    found: list[cst.CSTNode] = []
    for name in nodes_of(draft.tree, cst.Name):
        above = draft.parent(name)
        holder = draft.parent(above) if isinstance(above, cst.Arg) else above
        used = (isinstance(holder, cst.Call) and holder.func is name) or (
            isinstance(holder, cst.ClassDef) and above is not holder
        )
        if name.value == definition.name.value and used and top_statement(draft, name) is not definition:
            found.append(name if isinstance(holder, cst.ClassDef) else holder)  # type: ignore[arg-type]  # a call
    return found
