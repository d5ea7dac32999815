"""Data from a file (stub)."""

from __future__ import annotations

from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.found_data import FoundData
from gradcheck_cli.loading.signatures import Signature


def read_data(context: Context, forward: Signature) -> FoundData:
    raise NotImplementedError
