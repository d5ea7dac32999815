"""The sick sample models: the diff applies with `patch -p1`, the file runs, and a scan of it is free of the finding."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "sample_models"
GRADCHECK = Path(sys.executable).with_name("gradcheck")
STYLES = {
    "deep_sigmoid_mlp": "layers appended in a loop, unpacked into a Sequential",
    "functional_sigmoid_mlp": "a ModuleList from a generator, functional activations",
    "plain_deep_cnn": "a ModuleList and a loop in the forward",
    "exploding_relu_mlp": "blocks of Sequentials",
    "tanh_weights_too_small": "init by apply in __init__, a function that builds",
    "tanh_weights_too_big": "one activation used three times, a loader",
    "constant_init": "a Sequential that module-level code initialises",
    "inception_bad_scale": "helper functions, nested classes, a factory",
    "dying_relu": "a class alone, functional calls",
    "vanilla_rnn_long": "a recurrent layer",
    "double_softmax": "a Sequential with one element too many",
    "linear_linear": "a Sequential with one too few",
    "learning_rate_too_high": "an optimizer at module level",
    "pixels_0_255": "a data set class",
    "targets_in_dollars": "tensors at module level",
    "nan_in_forward": "a layer class of its own",
    "detached_encoder": "two towers",
    "small_batch_batchnorm": "norms as attributes",
    "oversmoothed_gcn": "weights initialised in a loop over the layers",
}


def _run(*command: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=300, check=False, **more)


@pytest.mark.slow
@pytest.mark.parametrize("name", STYLES)
def test_the_patched_sample_runs_and_is_free_of_the_finding(tmp_path: Path, name: str) -> None:
    text = (SAMPLES / f"{name}.py").read_text("utf-8")
    shutil.copy(SAMPLES / f"{name}.py", tmp_path / "model.py")
    code = text.partition("gradcheck-expect: ")[2].split(maxsplit=1)[0]
    done = _run(str(GRADCHECK), "fix", "model.py", "--isolated", "--try-budget", "20", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"cures {code}" in done.stderr
    assert (tmp_path / "model.py").read_text("utf-8") == text
    assert _run("patch", "-p1", "--quiet", cwd=tmp_path, input=done.stdout).returncode == 0
    patched = (tmp_path / "model.py").read_text("utf-8")
    assert [line for line in text.splitlines() if "#" in line and line not in patched] == []
    assert _run(sys.executable, "-c", "import model", cwd=tmp_path).returncode == 0
    report = json.loads(_run(str(GRADCHECK), "scan", "model.py", "--no-try", "--format", "json", cwd=tmp_path).stdout)
    assert code not in [f["code"] for f in report["findings"] if f["severity"] != "note"]
