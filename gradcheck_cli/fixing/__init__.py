"""Trial → patched source: the cure that worked on a copy, written into the user's own files with LibCST."""
