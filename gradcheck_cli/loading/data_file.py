"""Batches from --data: .pt, .npz, .npy, .safetensors or .csv."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.find_batch import cut_rows
from gradcheck_cli.loading.found_data import FoundData
from gradcheck_cli.loading.frames import one_line
from gradcheck_cli.loading.signatures import TARGET_NAMES, Signature
from gradcheck_cli.loading.target import missing_file
from gradcheck_cli.loading.tensor_file import read_tensor_file
from gradcheck_cli.loading.tensor_tree import as_tensors, named_tensors

_SUFFIXES = (".pt", ".pth", ".npz", ".npy", ".safetensors", ".csv")
_WHOLE_SET = 512  # rows from which a file is cut into batches
_INPUT_KEYS = ("x", "X", "inputs", "input", "data", "features", "images", "input_ids")


def read_data(context: Context, forward: Signature) -> FoundData:
    """The file's content as batches; raises E339 for one that cannot be read, E2xx for an unsafe one."""
    shown = str(context.settings.data)
    path = context.base / shown
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise GradcheckError(
            "E339",
            f"--data {shown}: this kind of file is not read",
            f"accepted are {', '.join(_SUFFIXES)}",
            "save the batch with torch.save((x, y), 'batch.pt')",
        )
    if not path.exists():
        raise missing_file("E339", shown, path, "data file")
    if suffix == ".csv":
        found = _from_csv(path, shown, context)
    elif suffix in (".npz", ".npy"):
        found = _from_numpy(path, shown, forward)
    else:
        content = read_tensor_file(path, shown, trust_pickle=context.settings.trust_pickle)
        found = FoundData(raws=[content], origin=f"--data {shown}", has_target=not isinstance(content, Tensor))
        found = _by_usual_names(found, forward)
    rows = {t.shape[0] if t.dim() else 0 for _, t in named_tensors(found.raws[0])}
    if not rows:
        raise GradcheckError(
            "E339", f"--data {shown} holds no tensor", f"it holds a {type(found.raws[0]).__name__}", "save (x, y) in it"
        )
    if len(rows) == 1 and (count := rows.pop()) > _WHOLE_SET:
        context.assume(f"{shown} holds {count} rows: batches of its first rows, 64 each, were used")
        return cut_rows(found, count, context)
    return found


def _by_usual_names(found: FoundData, forward: Signature) -> FoundData:
    """A dictionary with an entry `x` (and `y`) for a forward that names its parameter otherwise is a pair."""
    raw = found.raws[0]
    if not isinstance(raw, dict) or any(forward.accepts(str(key)) for key in raw if str(key) not in TARGET_NAMES):
        return found
    inputs = next((k for k in _INPUT_KEYS if k in raw), None)
    targets = [k for k in raw if k in TARGET_NAMES | {"Y"}]
    if inputs is None:
        return found
    if len(targets) == 1:
        return dataclasses.replace(found, raws=[(raw[inputs], raw[targets[0]])], pair=True)
    return dataclasses.replace(found, raws=[raw[inputs]], has_target=False)


def _from_numpy(path: Path, shown: str, forward: Signature) -> FoundData:
    try:
        loaded = np.load(path, allow_pickle=False)
        raw: Any = loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError) as exc:
        raise GradcheckError(
            "E339", f"--data {shown} cannot be read", one_line(exc, 160), "save numeric arrays with np.savez(path, x=x, y=y)"
        ) from None
    raw = as_tensors(raw)
    if not all(isinstance(v, Tensor) for v in (raw.values() if isinstance(raw, dict) else [raw])):
        raise GradcheckError(
            "E339",
            f"--data {shown} holds arrays that are not numeric",
            "only numbers can be fed to a model",
            "save numeric arrays",
        )
    found = FoundData(raws=[raw], origin=f"--data {shown}", has_target=isinstance(raw, dict), cast=True)
    return _by_usual_names(found, forward)


def _from_csv(path: Path, shown: str, context: Context) -> FoundData:
    """Numeric columns; the target is the column called so, else the last one."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise GradcheckError(
            "E339", f"--data {shown} cannot be read", one_line(exc, 160), "save it as UTF-8 with commas"
        ) from None
    header = rows.pop(0) if rows and not all(_is_number(cell) for cell in rows[0]) else []
    values = _numbers(rows, header, shown)
    names = [name.strip().lower() for name in header]
    column = next((i for i, name in enumerate(names) if name in TARGET_NAMES), len(values[0]) - 1)
    called = f"`{header[column].strip()}`" if header else f"column {column + 1}"
    table = torch.tensor(values, dtype=torch.float64)
    if table.shape[1] < 2:
        return FoundData(raws=[table], origin=f"--data {shown}", has_target=False, cast=True)
    target = table[:, column]
    inputs = torch.cat([table[:, :column], table[:, column + 1 :]], dim=1)
    whole = all(cell.strip().lstrip("+-").isdigit() for cell in (row[column] for row in rows))
    kind = "whole numbers" if whole else "numbers"
    context.assume(f"{shown}: the target is {called}, {kind}; the other {inputs.shape[1]} columns are inputs")
    raw = (inputs, target.long() if whole else target[:, None])
    return FoundData(raws=[raw], origin=f"--data {shown}", pair=True, cast=True, table=True)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(rows: list[list[str]], header: list[str], shown: str) -> list[list[float]]:
    if not rows:
        raise GradcheckError(
            "E346", f"--data {shown} has no rows", "it is empty, or has a header only", "give at least one row"
        )
    width = len(rows[0])
    for number, row in enumerate(rows, start=2 if header else 1):
        if len(row) != width:
            raise GradcheckError(
                "E339",
                f"--data {shown}:{number} has {len(row)} columns",
                f"the rows before it have {width}",
                "correct that row",
            )
        for column, cell in enumerate(row):
            if not _is_number(cell):
                name = header[column] if header else f"column {column + 1}"
                raise GradcheckError(
                    "E339",
                    f"--data {shown}:{number}: `{cell[:40]}` in {name} is not a number",
                    "all columns must be numeric",
                    "encode or drop that column",
                )
    return [[float(cell) for cell in row] for row in rows]
