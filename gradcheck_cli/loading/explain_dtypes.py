"""Errors of dtypes that the model's layers do not take (E341)."""

from __future__ import annotations

import re
from collections.abc import Callable

import torch

from gradcheck_cli.errors import GradcheckError, message
from gradcheck_cli.loading.scene import Scene

_Maker = Callable[["re.Match[str]", Scene], GradcheckError | None]
DTYPES = {
    "Long": "int64",
    "Int": "int32",
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Byte": "uint8",
    "Bool": "bool",
    "long int": "int64",
    "int": "int32",
    "float": "float32",
    "double": "float64",
    "unsigned char": "uint8",
    "c10::Half": "float16",
    "c10::BFloat16": "bfloat16",
    "bool": "bool",
}


def translate(error: BaseException, scene: Scene) -> GradcheckError | None:
    """The dtype error that the message stands for, None for other messages."""
    for pattern, make in _TABLE:
        match = re.search(pattern, message(error))
        if match is not None and (told := make(match, scene)) is not None:
            return told
    return None


def _feature_dtype(got: str, expected: str, scene: Scene) -> GradcheckError:
    got, expected = DTYPES.get(got, got), DTYPES.get(expected, expected)
    if "int" in got or got == "bool":
        advice = f"convert it: x.float(){'' if expected == 'float32' else f'.to(torch.{expected})'}"
    else:
        advice = f"convert the data (x.to(torch.{expected})) or the model (--dtype {got})"
    return GradcheckError(
        "E341", f"{scene.place} holds {expected} weights and got {got}", f"inputs were {scene.inputs()}", advice
    )


def _dtype(match: re.Match[str], scene: Scene) -> GradcheckError:
    return _feature_dtype(match[1].removeprefix("torch."), match[2].removeprefix("torch."), scene)


def _dtype_reversed(match: re.Match[str], scene: Scene) -> GradcheckError:
    return _feature_dtype(match[2], match[1], scene)


def _norm_dtype(_match: re.Match[str], scene: Scene) -> GradcheckError | None:
    weight = getattr(scene.module, "weight", None)
    got = next(
        (str(t.dtype).removeprefix("torch.") for t in scene.tensors().values() if t.is_floating_point()), "another dtype"
    )
    return _feature_dtype(got, str(weight.dtype).removeprefix("torch."), scene) if isinstance(weight, torch.Tensor) else None


def _embedding_dtype(match: re.Match[str], scene: Scene) -> GradcheckError:
    got = DTYPES.get(match[1], match[1])
    return GradcheckError(
        "E341",
        f"{scene.place} looks up indices and got {got}",
        f"inputs were {scene.inputs()}",
        "give int64 indices: x.long(), or --input int:8,128",
    )


_TABLE: tuple[tuple[str, _Maker], ...] = (
    (r"mat1 and mat2 must have the same dtype, but got (\w+) and (\w+)", _dtype),
    (r"Input type \(([\w: ]+)\) and (?:bias|weight) type \(([\w: ]+)\) should be the same", _dtype),
    (r"RNN input dtype \((torch\.\w+)\) does not match weight dtype \((torch\.\w+)\)", _dtype),
    (r"expected scalar type (\w+) but found (\w+)", _dtype_reversed),
    (r"expected m1 and m2 to have the same dtype, but got: (\w+) != (\w+)", _dtype),
    (r"mixed dtype \(CPU\)", _norm_dtype),
    (
        r"argument #1 'indices' to have one of the following scalar types: Long, Int; but got torch\.(?:cuda\.)?(\w+?)Tensor",
        _embedding_dtype,
    ),
)
