"""--data in each of its formats."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import load
from gradcheck_cli.settings import Settings

NET = "model = nn.Linear(3, 2)\n"
X, Y = torch.randn(6, 3), torch.tensor([0, 1, 0, 1, 1, 0])


def loaded(data: str, **settings: object):
    return load(Settings(**{"target": "model.py", "data": data, **settings}))


@pytest.mark.parametrize(
    "content",
    [(X, Y), [X, Y], {"x": X, "y": Y}, {"input": X, "labels": Y}, {"inputs": X, "targets": Y}],
    ids=["tuple", "list", "x and y", "forward's name", "inputs and targets"],
)
def test_torch_file(write, content):
    write(NET)
    torch.save(content, "batch.pt")
    subject = loaded("batch.pt")
    batch = subject.batches[0]
    assert torch.equal(next(iter([*batch.args, *batch.kwargs.values()])), X)
    assert torch.equal(batch.target, Y)
    assert subject.objectives[0].kind == "cross_entropy"


def test_tensor_alone_is_the_input(write):
    write(NET)
    torch.save(X, "batch.pt")
    subject = loaded("batch.pt")
    assert torch.equal(subject.batches[0].args[0], X)
    assert subject.objectives[0].kind == "projection"


def test_npz_is_brought_to_the_models_dtype(write):
    write(NET)
    np.savez("batch.npz", x=np.ones((6, 3)), y=np.zeros(6, dtype=np.int64))
    batch = loaded("batch.npz").batches[0]
    assert (batch.args[0].dtype, batch.target.dtype) == (torch.float32, torch.int64)


def test_npy_is_the_input(write):
    write(NET)
    np.save("batch.npy", np.ones((6, 3), dtype=">f4"))
    assert torch.equal(loaded("batch.npy").batches[0].args[0], torch.ones(6, 3))


def test_safetensors(write):
    from safetensors.torch import save_file

    write(NET)
    save_file({"x": X, "y": Y}, "batch.safetensors")
    assert torch.equal(loaded("batch.safetensors").batches[0].target, Y)


def test_several_inputs_by_forwards_names(write):
    write(
        """
        class Two(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(3, 2)

            def forward(self, left, right):
                return self.layer(left) * right
        """
    )
    torch.save({"left": X, "right": torch.ones(6, 1), "label": Y}, "batch.pt")
    batch = loaded("batch.pt").batches[0]
    assert list(batch.kwargs) == ["left", "right"]
    assert torch.equal(batch.target, Y)


def test_csv_with_a_named_target(write):
    write(NET)
    Path("rows.csv").write_text("a,label,b,c\n1,0,2,3\n4,1,5,6\n")
    subject = loaded("rows.csv")
    assert subject.batches[0].args[0].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert subject.batches[0].target.tolist() == [0, 1]
    assert "rows.csv: the target is `label`, whole numbers; the other 3 columns are inputs" in subject.assumptions
    assert subject.objectives[0].kind == "cross_entropy"


def test_csv_without_a_header_ends_in_its_target(write):
    write("model = nn.Linear(3, 1)\nloss_fn = nn.MSELoss()\n")
    Path("rows.csv").write_text("1,2,3,0.5\n4,5,6,0.25\n")
    subject = loaded("rows.csv")
    assert subject.batches[0].target.tolist() == [[0.5], [0.25]]
    outcome = subject.objectives[0].compute(subject.model, subject.batches[0])
    assert outcome.assumptions == ()


def test_csv_of_whole_numbers_for_a_regression(write):
    write("model = nn.Linear(3, 1)\nloss_fn = nn.L1Loss()\n")
    Path("rows.csv").write_text("1,2,3,10\n4,5,6,20\n")
    assert loaded("rows.csv").batches[0].target.tolist() == [[10.0], [20.0]]


def test_long_file_is_cut_into_batches(write):
    write(NET)
    torch.save((torch.arange(1000.0)[:, None].expand(1000, 3).clone(), torch.zeros(1000, dtype=torch.long)), "batch.pt")
    subject = loaded("batch.pt", batches=4)
    assert [batch.args[0][0, 0].item() for batch in subject.batches] == [0, 64, 128, 192]
    assert "batch.pt holds 1000 rows: batches of its first rows, 64 each, were used" in subject.assumptions


def test_data_in_the_file_gives_way(write):
    write(NET + "x = torch.zeros(2, 3)\n")
    torch.save((X, Y), "batch.pt")
    assert torch.equal(loaded("batch.pt").batches[0].args[0], X)


@pytest.mark.parametrize(
    ("name", "content", "id", "what"),
    [
        ("rows.csv", b"a,b\n", "E346", "--data rows.csv has no rows"),
        ("rows.csv", b"a,b\n1,2\n3\n", "E339", "--data rows.csv:3 has 1 columns"),
        ("rows.csv", b"a,b\n1,2\n3,red\n", "E339", "--data rows.csv:3: `red` in b is not a number"),
        ("rows.csv", b"\xff\xfe1,2", "E339", "--data rows.csv cannot be read"),
        ("batch.npz", b"PK", "E339", "--data batch.npz cannot be read"),
        ("batch.npy", b"\x93NUMPY", "E339", "--data batch.npy cannot be read"),
        ("batch.pt", b"<html>", "E232", "`batch.pt` is an HTML page"),
    ],
)
def test_files_that_cannot_be_read(write, name, content, id, what):
    write(NET)
    Path(name).write_bytes(content)
    with pytest.raises(GradcheckError) as caught:
        loaded(name)
    assert (caught.value.id, caught.value.what) == (id, what)


class Payload:
    def __reduce__(self):
        return (os.mkdir, ("pwned",))


def test_code_in_a_data_file_is_not_run(write, folder):
    write(NET)
    torch.save((X, Payload()), "batch.pt")
    np.save("batch.npy", np.array([Payload()], dtype=object), allow_pickle=True)
    for name, id in (("batch.pt", "E231"), ("batch.npy", "E339")):
        with pytest.raises(GradcheckError) as caught:
            loaded(name)
        assert caught.value.id == id
    assert not (folder / "pwned").exists()


def test_file_of_numbers_without_tensors(write):
    write(NET)
    torch.save({"lr": 0.1}, "batch.pt")
    with pytest.raises(GradcheckError) as caught:
        loaded("batch.pt")
    assert (caught.value.id, caught.value.what) == ("E339", "--data batch.pt holds no tensor")
