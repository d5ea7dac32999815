"""The user's file runs as under `python file.py`, and leaves nothing behind in this process."""

from __future__ import annotations

import os
import random
import sys

import numpy as np
import pytest
import torch

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import load
from gradcheck_cli.settings import Settings

MODEL = "model = nn.Linear(4, 2)\nx = torch.randn(5, 4)\n"


def test_name_arguments_and_stdin_are_those_of_a_script(load_text, folder):
    subject = load_text(
        f"""
        import os, sys
        {MODEL.replace(chr(10), chr(10) + " " * 8)}
        assert __name__ == "model"
        assert sys.modules[__name__].__dict__ is globals()
        model.seen = (sys.argv, os.getcwd(), __file__, sys.path[0], sys.dont_write_bytecode)
        """,
        script_args=("--epochs", "3"),
    )
    argv, cwd, file, first, no_bytecode = subject.model.seen
    assert argv == [str(folder / "model.py"), "--epochs", "3"]
    assert (cwd, file, first, no_bytecode) == (str(folder), str(folder / "model.py"), str(folder), True)


def test_process_is_as_before(load_text, folder):
    before = (sys.argv, sys.stdin, sys.stdout, sys.dont_write_bytecode, os.getcwd())
    load_text(MODEL)
    assert (sys.argv, sys.stdin, sys.stdout, sys.dont_write_bytecode, os.getcwd()) == before


def test_process_is_as_before_after_an_error(refuse):
    before = (sys.argv, sys.stdin, sys.stdout, sys.dont_write_bytecode, os.getcwd())
    refuse("raise KeyError('x')")
    assert (sys.argv, sys.stdin, sys.stdout, sys.dont_write_bytecode, os.getcwd()) == before


def test_no_bytecode_is_written_for_neighbours(write, folder):
    write("WIDTH = 3\n", "sizes_beside.py")
    write("from sizes_beside import WIDTH\nmodel = nn.Linear(4, WIDTH)\n")
    load(Settings(target="model.py"))
    assert not list(folder.rglob("__pycache__"))


def test_prints_go_to_stderr(load_text, capsys):
    subject = load_text(
        "print('at import')\nclass Net(nn.Linear):\n    def forward(self, x):\n        print('in forward')\n"
        "        return super().forward(x)\nmodel = Net(4, 2)\nx, y = torch.randn(5, 4), torch.randn(5, 2)\n"
    )
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "at import" in seen.err
    assert "in forward" in seen.err  # the rehearsal that infers the loss
    assert subject.objectives[0].kind == "mse"


def test_a_neighbour_called_like_a_part_of_torch_does_no_harm(write):
    write("raise RuntimeError('this is not torch.cuda')\n", "cuda.py", header=False)
    write("raise RuntimeError('this is not numpy')\n", "numpy.py", header=False)
    write("import numpy\n" + MODEL + "x = torch.from_numpy(numpy.ones((5, 4), 'float32'))\n")
    assert load(Settings(target="model.py")).batches[0].args[0].shape == (5, 4)


@pytest.mark.parametrize("name", ["random.py", "torch.py", "json.py", "my-model.py", "123.py"])
def test_file_names_that_are_taken_or_no_identifiers(write, name):
    write(MODEL, name)
    module = sys.modules.get(name.removesuffix(".py"))
    assert load(Settings(target=name)).batches[0].args[0].shape == (5, 4)
    assert sys.modules.get(name.removesuffix(".py")) is module


def test_two_files_of_one_name_in_one_process(write):
    write(MODEL, "first/net.py")
    write("model = nn.Linear(7, 2)\nx = torch.randn(3, 7)\n", "second/net.py")
    assert load(Settings(target="first/net.py")).model.in_features == 4
    assert load(Settings(target="second/net.py")).model.in_features == 7


def test_same_seed_same_model_and_batch(load_text):
    source = """
        import random, numpy
        model = nn.Linear(random.randint(3, 9), 2)
        with torch.no_grad():
            model.bias.fill_(numpy.random.rand())
    """

    def numbers(seed):
        torch.rand(3), random.random(), np.random.rand()  # whatever ran before must not matter
        subject = load_text(source, seed=seed)
        return [*subject.model.state_dict().values(), *(batch.args[0] for batch in subject.batches)]

    first, second, other = numbers(5), numbers(5), numbers(6)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[1], other[1])


def test_directory_is_first_and_working_directory_last_on_the_path(write, folder):
    write("WIDTH = 6\n", "package_here/sizes.py", header=False)
    write("", "package_here/__init__.py", header=False)
    write("from package_here.sizes import WIDTH\nmodel = nn.Linear(4, WIDTH)\n", "nets/net.py")
    assert load(Settings(target="nets/net.py")).model.out_features == 6


def test_file_that_is_no_text(folder):
    (folder / "model.py").write_bytes("x = 'é'".encode("latin-1"))
    with pytest.raises(GradcheckError) as caught:
        load(Settings(target="model.py"))
    assert (caught.value.id, caught.value.why) == ("E105", "byte 0xe9 at offset 5 is not utf-8")


def test_file_with_nul_bytes(folder):
    (folder / "model.py").write_bytes("x = 1".encode("utf-16"))
    with pytest.raises(GradcheckError) as caught:
        load(Settings(target="model.py"))
    assert caught.value.id == "E105"
    assert "NUL byte" in caught.value.why


def test_file_in_a_declared_encoding(folder):
    text = "# -*- coding: latin-1 -*-\nimport torch\nname = 'é'\nmodel = torch.nn.Linear(4, len(name))\n"
    (folder / "model.py").write_bytes(text.encode("latin-1"))
    assert load(Settings(target="model.py")).model.out_features == 1


def test_unreadable_file(write):
    path = write(MODEL)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user reads everything")
    with pytest.raises(GradcheckError) as caught:
        load(Settings(target="model.py"))
    assert caught.value.id == "E101"


def test_keyboard_interrupt_passes_through(write):
    write("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load(Settings(target="model.py"))


def test_trace_holds_the_users_frames_only(refuse):
    error = refuse("def build():\n    return nn.Linear(2, -1)\n\ndef get_model():\n    return build()\n")
    assert error.where == "model.py:5"
    assert [line.strip() for line in error.trace.splitlines()] == [
        "model.py:8 in get_model",
        "return build()",
        "model.py:5 in build",
        "return nn.Linear(2, -1)",
        "RuntimeError: Trying to create tensor with negative dimension -1: [-1, 2]",
    ]
