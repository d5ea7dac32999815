"""The source files of one model while a patch is planned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft, nodes_of
from gradcheck_cli.records import LayerProfile, Profile


class Project:
    """Drafts of the files by the names that the profile's sites give them; `read` returns a text or raises CannotPatch."""

    def __init__(self, profile: Profile, read: Callable[[str], str]) -> None:
        self.profile = profile
        self.layers = {layer.name: layer for layer in profile.layers}
        self.notes: list[str] = []  # what the patch changes beyond the trial's edits
        # what writes the statements, for the file they go to, that the model runs when it is built; in the edits' order
        self.initialisation: list[Callable[[Draft], str]] = []
        self.freezes = False  # whether the parameters that are frozen are so by the time those statements run
        self.biases: set[str] = set()  # layers whose bias an edit sets
        self._read = read
        self._drafts: dict[str, Draft] = {}

    def draft(self, file: str) -> Draft:
        """Return the draft of a file, read at the first call."""
        if file not in self._drafts:
            self._drafts[file] = Draft(file, self._read(file))
        return self._drafts[file]

    @property
    def main(self) -> str:
        """The file of the target, or of the model's own line when the target is an import path."""
        place = self.profile.target
        for end in (place, place.rpartition(":")[0]):
            if end.endswith(".py"):
                return PurePosixPath(end).as_posix()
        root = self.layers.get("")
        if root is None or root.site is None:
            raise CannotPatch("the line that builds the model is not known")
        return root.site.file

    def files(self) -> Iterator[str]:
        """Yield the target's file, then every file that a layer was built in."""
        sites = [self.main, *(layer.site.file for layer in self.profile.layers if layer.site is not None)]
        yield from dict.fromkeys(sites)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def layer(self, name: str) -> LayerProfile:
        if name not in self.layers:
            raise CannotPatch(f"`{name}` is no layer of the scan")
        return self.layers[name]

    def class_of(self, kind: str) -> tuple[Draft, cst.ClassDef]:
        """Find the definition of a module class in the project's files."""
        refused = ""
        for file in self.files():
            try:
                draft = self.draft(file)
            except CannotPatch as error:
                refused = f" ({error})"
                continue
            found = [node for node in nodes_of(draft.tree, cst.ClassDef) if node.name.value == kind]
            if len(found) == 1:
                return draft, found[0]
            if found:
                raise CannotPatch(f"`{file}` defines `{kind}` {len(found)} times")
        raise CannotPatch(f"the class `{kind}` is not defined in {', '.join(f'`{f}`' for f in self.files())}{refused}")

    def owner_class(self, name: str) -> tuple[Draft, cst.ClassDef]:
        """Find the class of the module that owns a functional operation."""
        owner = self.layer(name)
        return self.class_of(owner.kind)

    def drafts(self) -> list[Draft]:
        """Return the files read so far."""
        return list(self._drafts.values())

    def texts(self) -> dict[str, str]:
        """Return the new text of every file that a change was planned for."""
        return {file: draft.code() for file, draft in self._drafts.items() if draft.changed()}
