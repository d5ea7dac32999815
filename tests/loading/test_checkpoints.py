"""Weights from files: safe reading, matching of names and shapes, and what is said of files that are refused."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import load
from gradcheck_cli.loading.base import Subject
from gradcheck_cli.settings import Settings

NET = """
class Net(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.first = nn.Linear(4, width)
        self.norm = nn.BatchNorm1d(width)
        self.last = nn.Linear(width, 2)

    def forward(self, x):
        return self.last(self.norm(self.first(x)))
"""


class Net(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.first = nn.Linear(4, width)
        self.norm = nn.BatchNorm1d(width)
        self.last = nn.Linear(width, 2)


@pytest.fixture
def weights(write: Any) -> dict[str, torch.Tensor]:
    write(NET)
    torch.manual_seed(7)
    return Net().state_dict()


def loaded(file: str, **settings: Any) -> Subject:
    return load(Settings(**{"target": "model.py", "weights": file, **settings}))


def refused(file: str, **settings: Any) -> GradcheckError:
    with pytest.raises(GradcheckError) as caught:
        loaded(file, **settings)
    return caught.value


def same(subject: Subject, weights: dict[str, torch.Tensor]) -> bool:
    state = subject.model.state_dict()
    return all(torch.equal(state[name], value) for name, value in weights.items() if name in state)


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "module._orig_mod."])
@pytest.mark.parametrize("nest", [None, "state_dict", "model_state_dict", "weights_of_epoch_3"])
def test_weights_are_found_under_prefixes_and_keys(weights, prefix, nest):
    state = {prefix + name: value for name, value in weights.items()}
    torch.save({"epoch": 3, nest: state} if nest else state, "w.pt")
    subject = loaded("w.pt")
    assert same(subject, weights)
    assert any("prefix" in a for a in subject.assumptions) == bool(prefix)
    assert any("entry" in a for a in subject.assumptions) == bool(nest)


def test_prefix_that_the_checkpoint_lacks(write):
    write(
        """
        class System(nn.Module):
            def __init__(self):
                super().__init__()
                self.model = nn.Linear(4, 2)

            def forward(self, x):
                return self.model(x)
        """
    )
    layer = nn.Linear(4, 2)
    torch.save(layer.state_dict(), "w.pt")
    subject = loaded("w.pt")
    assert torch.equal(subject.model.model.weight, layer.weight)
    assert "the prefix `model.` was added to the checkpoint's names" in subject.assumptions


def test_safetensors(weights):
    from safetensors.torch import save_file

    save_file(weights, "w.safetensors")
    assert same(loaded("w.safetensors"), weights)


def test_checkpoint_as_target_with_a_class(weights):
    torch.save(weights, "w.pt")
    subject = load(Settings(target="w.pt", model="model.py:Net"))
    assert same(subject, weights)
    assert subject.target == "w.pt"


def test_size_by_init(write):
    write(NET)
    weights = Net(width=5).state_dict()
    torch.save(weights, "w.pt")
    assert same(loaded("w.pt", init={"width": "5"}), weights)


def test_counters_of_old_checkpoints_and_tied_weights_may_be_missing(write):
    write(
        """
        class Tied(nn.Module):
            def __init__(self):
                super().__init__()
                self.emb = nn.Embedding(7, 4)
                self.norm = nn.BatchNorm1d(4)
                self.head = nn.Linear(4, 7, bias=False)
                self.head.weight = self.emb.weight

            def forward(self, x):
                return self.head(self.norm(self.emb(x)))
        """
    )
    norm = nn.BatchNorm1d(4).state_dict()
    state = {f"norm.{k}": v for k, v in norm.items() if k != "num_batches_tracked"}
    torch.save({**state, "emb.weight": torch.ones(7, 4)}, "w.pt")
    assert torch.equal(loaded("w.pt").model.head.weight, torch.ones(7, 4))


def test_nan_in_the_weights_is_no_error(weights):
    weights["first.weight"][0, 0] = float("nan")
    torch.save(weights, "w.pt")
    assert loaded("w.pt").model.first.weight.isnan().sum() == 1


def test_missing_and_unexpected_names(weights):
    state = {f"encoder.{name}": value for name, value in weights.items()}
    torch.save(state, "w.pt")
    error = refused("w.pt")
    assert error.id == "E228"
    assert error.why == (
        "8 missing: first.weight, first.bias, norm.weight, norm.bias, norm.running_mean and 3 more; 9 unexpected: "
        "encoder.first.weight, encoder.first.bias, encoder.norm.weight, encoder.norm.bias, encoder.norm.running_mean and 4 more"
    )


def test_other_shapes(write):
    write(NET)
    torch.save(Net(width=5).state_dict(), "w.pt")
    error = refused("w.pt")
    assert (error.id, error.what) == ("E229", "7 tensors in `w.pt` have another shape than in the model")
    assert error.why.startswith("first.weight: file [5, 4], model [3, 4]; first.bias: file [5], model [3]; ")
    assert error.why.endswith("; and 2 more")


def test_file_without_tensors(write):
    write(NET)
    torch.save({"epoch": 3, "loss": 0.5}, "w.pt")
    error = refused("w.pt")
    assert (error.id, error.why) == ("E228", "it holds a dictionary of epoch, loss")


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("pwned",))


@pytest.mark.parametrize("form", ["plain pickle", "torch", "beside weights"])
def test_code_in_a_checkpoint_is_not_run(weights, folder, form):
    content: Any = Payload() if form != "beside weights" else {**weights, "extra": Payload()}
    if form == "plain pickle":
        Path("w.pt").write_bytes(pickle.dumps(content))
    else:
        torch.save(content, "w.pt")
    assert refused("w.pt").id in ("E231", "E232")
    assert not (folder / "pwned").exists()


def test_unsafe_names_are_listed(weights):
    torch.save({**weights, "extra": Payload()}, "w.pt")
    error = refused("w.pt")
    assert (error.id, error.why) == ("E231", "it would import posix.mkdir")


def test_whole_model_needs_trust(write):
    write("model = nn.Sequential(nn.Linear(4, 2))\n")
    model = nn.Sequential(nn.Linear(4, 2))
    torch.save(model, "w.pt")
    error = refused("w.pt")
    assert error.id == "E230"
    assert "torch.save(model.state_dict(), path)" in error.do
    assert torch.equal(loaded("w.pt", trust_pickle=True).model[0].weight, model[0].weight)


def test_whole_model_as_target_with_trust(folder):
    torch.save(nn.Sequential(nn.Linear(4, 2)), "w.pt")
    assert load(Settings(target="w.pt", trust_pickle=True)).batches[0].args[0].shape == (32, 4)


def test_state_as_target_with_trust_still_needs_a_class(weights):
    torch.save(weights, "w.pt")
    with pytest.raises(GradcheckError) as caught:
        load(Settings(target="w.pt", trust_pickle=True))
    assert caught.value.id == "E227"


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(name.replace("__", "/"), data)
    return buffer.getvalue()


FILES = {
    "empty": (b"", "E232", "`w.pt` is empty"),
    "a web page": (b"<!DOCTYPE html><html></html>", "E232", "`w.pt` is an HTML page"),
    "a pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:1",
        "E232",
        "`w.pt` is a Git LFS pointer, not the file itself",
    ),
    "gzip": (gzip.compress(b"x" * 100, mtime=0), "E232", "`w.pt` is gzip-compressed"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "E232", "`w.pt` is an HDF5 file"),
    "text": (b"epoch,loss\n1,0.5\n", "E232", "`w.pt` is not a file that torch.save wrote"),
    "a broken archive": (b"PK\x03\x04" + b"\0" * 200, "E232", "`w.pt` is truncated"),
    "a broken pickle": (b"\x80\x02garbage", "E232", "`w.pt` is damaged"),
    "TorchScript": (archive(net__code__a=b"", net__constants=b""), "E232", "`w.pt` is damaged"),
    "a TorchScript program": (
        archive(**{"net__code__net.py": b"", "net__constants.pkl": b"", "net__data.pkl": b""}),
        "E234",
        "`w.pt` is a TorchScript program, not weights",
    ),
    "an exported program": (archive(net__archive_format=b"pt2"), "E234", "`w.pt` is a torch.export program, not weights"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_something_else(write, name):
    write(NET)
    data, id, what = FILES[name]
    Path("w.pt").write_bytes(data)
    error = refused("w.pt")
    assert (error.id, error.what) == (id, what)


def test_truncated_file(weights):
    torch.save(weights, "w.pt")
    data = Path("w.pt").read_bytes()
    Path("w.pt").write_bytes(data[: len(data) // 2])
    error = refused("w.pt")
    assert (error.id, error.what) == ("E232", "`w.pt` is truncated")


def test_bomb_is_refused_before_it_unpacks(write):
    write(NET)
    with zipfile.ZipFile("w.pt", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("net/data.pkl", b"\x80\x02}.")
        file.writestr("net/data/0", b"\0" * 50_000_000)
    error = refused("w.pt")
    assert error.id == "E233"
    assert error.why == "2 of its 2 records are compressed; torch.save does not compress"


def test_two_pickles_of_one_name_are_refused(weights):
    torch.save(weights, "w.pt")
    with zipfile.ZipFile("w.pt", "a") as file:
        name = next(n for n in file.namelist() if n.endswith("data.pkl"))
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr(name, b"\x80\x02}.")
    assert refused("w.pt").id == "E233"


def test_giant_expanded_tensor_is_never_unfolded(write):
    write(NET)
    torch.save({"first.weight": torch.zeros(1).expand(2**40)}, "w.pt")
    assert refused("w.pt").id == "E228"


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (b'{"a": 1', "its header is not JSON"),
        (b"[" * 100_000, "its header is not JSON"),
        (
            b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
            "its header names `a` twice",
        ),
        (b'{"a":{"dtype":"F32","shape":[100],"data_offsets":[0,4]}}', "SafetensorError"),
    ],
)
def test_bad_safetensors(write, header, why):
    write(NET)
    Path("w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    error = refused("w.safetensors")
    assert error.id == "E235"
    assert error.why.startswith(why)


def test_safetensors_header_longer_than_the_file(write):
    write(NET)
    Path("w.safetensors").write_bytes((2**60).to_bytes(8, "little") + json.dumps({}).encode())
    assert "claims 1152921504606846976 bytes" in refused("w.safetensors").why


def test_missing_file_has_a_suggestion(weights):
    torch.save(weights, "weights.pt")
    error = refused("wieghts.pt")
    assert (error.id, error.do) == ("E238", "did you mean weights.pt?")


def test_directory_and_pipe(write, folder):
    write(NET)
    (folder / "w.pt").mkdir()
    os.mkfifo(folder / "pipe.pt")
    assert refused("w.pt").id == "E238"
    assert refused("pipe.pt").id == "E238"


def test_old_torch_cannot_read_safely(weights, monkeypatch):
    torch.save(weights, "w.pt")
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    error = refused("w.pt")
    assert (error.id, error.what) == ("E237", "torch 2.5.1+cpu cannot read `w.pt` safely")


def test_exported_program_as_target(folder):
    (folder / "net.pt2").write_bytes(b"PK")
    with pytest.raises(GradcheckError) as caught:
        load(Settings(target="net.pt2"))
    assert caught.value.id == "E234"
