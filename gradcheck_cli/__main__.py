"""Run the command line: `gradcheck ...` or `python -m gradcheck_cli ...`."""

from __future__ import annotations

import sys


def main() -> None:
    from gradcheck_cli.cli.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
