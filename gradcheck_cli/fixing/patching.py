"""A trial's edits → new texts of the files they concern."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

from gradcheck_cli.fixing.callers import note_callers
from gradcheck_cli.fixing.draft import CannotPatch
from gradcheck_cli.fixing.initialisation import finish
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.records import Edit, Profile


def patch(profile: Profile, edits: Sequence[Edit], read: Callable[[str], str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the changed files' texts by name, and notes; raises CannotPatch when one of the edits has no safe form."""
    project = Project(profile, read)
    for edit in edits:
        try:
            module = importlib.import_module(f"gradcheck_cli.fixing.edits.{edit.kind}")
        except ModuleNotFoundError:
            raise CannotPatch(f"a change of kind `{edit.kind}` has no form in source") from None
        module.apply(project, edit)
    finish(project)
    note_callers(project)
    texts = project.texts()
    if not texts:
        raise CannotPatch("nothing in the source had to change")
    return texts, tuple(project.notes)
