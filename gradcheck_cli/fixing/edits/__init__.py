"""One kind of edit a file: `apply(project, edit)` plans the change in the source, or raises CannotPatch with the reason."""
