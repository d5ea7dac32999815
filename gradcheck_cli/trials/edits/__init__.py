"""One edit a file: `apply(setup, edit) -> Setup` changes a copy, or raises NotApplicable with the reason."""
