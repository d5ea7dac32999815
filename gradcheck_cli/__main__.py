"""Run the command line: `gradcheck ...` or `python -m gradcheck_cli ...`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell (`>&-`): nobody reads it, and the exit code still counts
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    from gradcheck_cli.cli.app import run
    from gradcheck_cli.cli.stderr import Forgiving

    sys.stderr = Forgiving(sys.stderr)

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
