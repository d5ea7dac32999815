"""What a person reads when a target cannot be loaded: one golden message for each way it can fail."""

# ruff: noqa: E501 - messages stand as they are read, on one line
from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import load
from gradcheck_cli.settings import Settings

LINEAR = "model = nn.Linear(4, 2)\n"
LIGHTNING = """\
import lightning as L
class Lit(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
"""


@dataclass(frozen=True)
class Case:
    """A file, the settings it is loaded with, and the message. Line 1 of the source is line 4 of `model.py`."""

    name: str
    source: str
    says: str
    settings: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    forget: tuple[str, ...] = ()  # modules that must not be loaded yet


CASES = [
    Case(
        "a typo in the file name",
        LINEAR,
        """
E101 no such target: `modle.py`
why  `.` has `model.py`
do   did you mean model.py?
at   None
""",
        settings={"target": "modle.py"},
    ),
    Case(
        "a file that is nowhere",
        LINEAR,
        """
E101 no such target: `nowhere/net.py`
why  there is no directory `nowhere`
do   check the path; it is relative to the directory gradcheck is run in
at   None
""",
        settings={"target": "nowhere/net.py"},
    ),
    Case(
        "a file unlike the others",
        LINEAR,
        """
E101 no such target: `zzzzzz.py`
why  `.` has `model.py`
do   name a file that is there
at   None
""",
        settings={"target": "zzzzzz.py"},
    ),
    Case(
        "a module that is not there",
        LINEAR,
        """
E101 no such target: `mdel:net`
why  there is no file of that name and no importable module `mdel`
do   did you mean model:net?
at   None
""",
        settings={"target": "mdel:net"},
    ),
    Case(
        "a directory",
        LINEAR,
        """
E102 `.` is a directory
why  it holds model.py
do   name one file: gradcheck scan model.py
at   None
""",
        settings={"target": "."},
    ),
    Case(
        "a directory without files",
        LINEAR,
        """
E102 `empty` is a directory
why  it holds no .py file
do   name a .py file
at   None
""",
        settings={"target": "empty"},
        files={"empty/readme.txt": "x"},
    ),
    Case(
        "an ONNX file",
        LINEAR,
        """
E103 `net.onnx` is not a kind of file gradcheck can scan
why  it ends in `.onnx`; accepted are .py files, package.module:name, and .pt, .pth, .bin, .ckpt, .safetensors with --model
do   write a .py file that builds the model and scan that
at   None
""",
        settings={"target": "net.onnx"},
        files={"net.onnx": "x"},
    ),
    Case(
        "a notebook",
        LINEAR,
        """
E103 `net.ipynb` is not a kind of file gradcheck can scan
why  it ends in `.ipynb`; accepted are .py files, package.module:name, and .pt, .pth, .bin, .ckpt, .safetensors with --model
do   write a .py file that builds the model and scan that
at   None
""",
        settings={"target": "net.ipynb"},
        files={"net.ipynb": "{}"},
    ),
    Case(
        "a syntax error",
        "model = nn.Linear(4,\n",
        """
E104 `model.py` has a syntax error
why  '(' was never closed: model = nn.Linear(4,
do   correct line 4
at   model.py:4
""",
    ),
    Case(
        "a wrong indent",
        """\
def build():
return 1
""",
        """
E104 `model.py` has a syntax error
why  expected an indented block after function definition on line 4: return 1
do   correct line 5
at   model.py:5
""",
    ),
    Case(
        "a syntax error in a neighbour",
        "import neighbour\n",
        """
E104 `neighbour.py` has a syntax error
why  invalid syntax: x = = 1
do   correct line 1
at   neighbour.py:1
""",
        files={"neighbour.py": "x = = 1\n"},
    ),
    Case(
        "a package that is missing",
        "import not_a_package_at_all\n",
        """
E106 `not_a_package_at_all` is not installed
why  gradcheck runs in the environment PREFIX
do   install it there: PYTHON -m pip install not_a_package_at_all
at   model.py:4
""",
    ),
    Case(
        "a package whose distribution is called otherwise",
        "import cv2\n",
        """
E106 `cv2` is not installed
why  gradcheck runs in the environment PREFIX
do   install it there: PYTHON -m pip install opencv-python
at   model.py:4
""",
    ),
    Case(
        "a name that a package lacks",
        "from torch import not_a_name\n",
        """
E106 an import failed: ImportError: cannot import name 'not_a_name' from 'torch' (TORCHS/__init__.py)
why  packages come from PREFIX
do   check the installed version of that package
at   model.py:4
""",
    ),
    Case(
        "a package one directory up",
        "import above.layers\n",
        """
E106 `above.layers` cannot be imported
why  `above` lies in `.`, which is not on Python's path
do   run with PYTHONPATH=.
at   deep/net.py:1
""",
        settings={"target": "deep/net.py"},
        files={"deep/net.py": "import above.layers\n", "above/__init__.py": ""},
    ),
    Case(
        "a relative import",
        "from .layers import Block\n",
        """
E107 the file uses relative imports, so it only works as part of its package
why  run by its path it has no package
do   name it as a module: gradcheck scan package.net
at   package/net.py:1
""",
        settings={"target": "package/net.py"},
        files={"package/__init__.py": "", "package/net.py": "from .layers import Block\n", "package/layers.py": "Block = 1\n"},
    ),
    Case(
        "a command line",
        """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument('--data', required=True)
args = parser.parse_args()
""",
        """
E108 the file parses command-line arguments at import
why  its own arguments were not given
do   put the part that runs under `if __name__ == '__main__':`, or pass its arguments: gradcheck scan model.py -- ARGS
at   model.py:7
""",
    ),
    Case(
        "an exit",
        """\
import sys
sys.exit(3)
""",
        """
E108 the file exits at import (exit code 3)
why  a scan needs it to run to its end
do   put the part that runs under `if __name__ == '__main__':`
at   model.py:5
""",
    ),
    Case(
        "an endless import",
        """\
import time
while True:
    time.sleep(0.01)
""",
        """
E109 `model.py` was still running at import when its time was up (4 s limit)
why  it was at model.py:6: does it train at import?
do   put the part that runs under `if __name__ == '__main__':`, or allow more with --timeout
at   model.py:6
""",
        settings={"timeout": 4.0},
    ),
    Case(
        "a question",
        """\
name = input('name? ')
""",
        """
E110 the file asks for input at import
why  a scan has nobody to type it: stdin is empty
do   put the part that runs under `if __name__ == '__main__':`
at   model.py:4
""",
    ),
    Case(
        "a data file that is not there",
        """\
table = open('data/train.csv')
""",
        """
E111 the file could not open `data/train.csv` at import
why  No such file or directory; the working directory is `FOLDER`
do   run from the directory that path is relative to, or name it with --cwd
at   model.py:4
""",
    ),
    Case(
        "a working directory that is not there",
        LINEAR,
        """
E111 no such directory: `elsewhere`
why  --cwd names the directory the file runs in
do   check --cwd
at   None
""",
        settings={"cwd": "elsewhere"},
    ),
    Case(
        "a neighbour that hides a module",
        "import compileall\n",
        """
E112 `filecmp.py` beside the file hides the module `filecmp` that an import needs
why  ModuleNotFoundError: No module named 'my_reader'
do   rename filecmp.py
at   filecmp.py:1
""",
        files={"filecmp.py": "import my_reader\n"},
        forget=("filecmp", "compileall"),
    ),
    Case(
        "an unknown name",
        LINEAR,
        """
E113 `model.py` has no `modle`
why  models, classes and factories in it: `model`
do   did you mean model.py:model?
at   None
""",
        settings={"target": "model.py:modle"},
    ),
    Case(
        "an unknown attribute",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(2, 2)
model = Net()
""",
        """
E113 `model.py` has no `model.bckbone`
why  models, classes and factories in it: `model`, `Net`
do   did you mean model.py:model.backbone?
at   None
""",
        settings={"target": "model.py:model.bckbone"},
    ),
    Case(
        "an unknown index",
        "models = [nn.Linear(2, 2)]\n",
        """
E113 `model.py` has no `models[3]`
why  models, classes and factories in it: `models`
do   gradcheck scan model.py:models
at   None
""",
        settings={"target": "model.py:models[3]"},
    ),
    Case(
        "an impossible name",
        LINEAR,
        """
E113 `my model` is not a name that can be looked up
why  after the colon stands a name such as `model`, `models[0]` or `build.net`
do   type gradcheck scan model.py:NAME
at   None
""",
        settings={"target": "model.py:my model"},
    ),
    Case(
        "a name that is a number",
        LINEAR + "size = 3\n",
        """
E114 `size` in `model.py` is neither a model nor something that builds one
why  it is of type int
do   name an nn.Module, its class or a function that returns it: gradcheck scan model.py:model
at   None
""",
        settings={"target": "model.py:size"},
    ),
    Case(
        "no model",
        """\
x = 1
class Trainer:
    pass
""",
        """
E115 `model.py` holds no nn.Module
why  classes in it: Trainer
do   add `model = ...` or a function `build_model()` to the file
at   None
""",
    ),
    Case(
        "an imported class only",
        "from torch.nn import Linear\n",
        """
E115 `model.py` holds no nn.Module
why  it defines no class; imported ones do not count: Linear
do   name one: gradcheck scan model.py:Linear
at   None
""",
    ),
    Case(
        "a factory under another name",
        """\
def make_mlp():
    return nn.Linear(2, 2)
""",
        """
E115 `model.py` holds no nn.Module
why  it defines no class
do   if a function builds it, name that: gradcheck scan model.py:make_mlp
at   None
""",
    ),
    Case(
        "two instances",
        """\
encoder = nn.Linear(2, 2)
decoder = nn.Linear(2, 2)
""",
        """
E116 `model.py` holds 2 models
why  `encoder` (a Linear), `decoder` (a Linear)
do   name one: gradcheck scan model.py:encoder or model.py:decoder
at   None
""",
    ),
    Case(
        "two classes",
        """\
class A(nn.Module):
    pass
class B(nn.Module):
    pass
""",
        """
E116 `model.py` holds 2 models
why  `A` (class), `B` (class)
do   name one: gradcheck scan model.py:A or model.py:B
at   None
""",
    ),
    Case(
        "two classes and a function that builds one",
        """\
class Block(nn.Module):
    pass
class Net(nn.Module):
    def __init__(self, block, layers):
        super().__init__()
def net20():
    return Net(Block, [3, 3, 3])
def other(width):
    return Net(Block, [width])
""",
        """
E116 `model.py` holds 3 models
why  `net20` (function), `Block` (class), `Net` (class)
do   name one: gradcheck scan model.py:net20 or model.py:Block or model.py:Net
at   None
""",
    ),
    Case(
        "two models in a list",
        "models = [nn.Linear(2, 2), nn.Linear(2, 3)]\n",
        """
E116 `model.py` holds 2 models
why  `models[0]` (a Linear), `models[1]` (a Linear)
do   name one: gradcheck scan model.py:models[0] or model.py:models[1]
at   None
""",
    ),
    Case(
        "a constructor with arguments",
        """\
class Net(nn.Module):
    def __init__(self, width, depth=2):
        super().__init__()
""",
        """
E117 `Net` needs 1 argument: width
why  they have no default and the file holds no variable of that name
do   give them: --init width=VALUE; or add a function `build_model()` that returns `Net(...)`
at   model.py:4
""",
    ),
    Case(
        "an --init that is misspelt",
        """\
class Net(nn.Module):
    def __init__(self, width, depth=2):
        super().__init__()
""",
        """
E117 `Net` has no parameter `widht`
why  it takes width, depth
do   did you mean --init width=...?
at   None
""",
        settings={"init": {"widht": "3"}},
    ),
    Case(
        "an --init for an instance",
        LINEAR,
        """
E117 `model` is already built, so --init has nothing to do
why  --init is for classes and factories
do   leave --init out, or name the class
at   None
""",
        settings={"init": {"width": "3"}},
    ),
    Case(
        "a constructor that raises",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, -2)
""",
        """
E118 `Net()` raised
why  RuntimeError: Trying to create tensor with negative dimension -2: [-2, 2]
do   correct the file; --traceback shows your frames
at   model.py:7
""",
    ),
    Case(
        "an import that raises",
        LINEAR + "undefined_thing\n",
        """
E118 `model.py` raised at import
why  NameError: name 'undefined_thing' is not defined
do   correct the file; --traceback shows your frames
at   model.py:5
""",
    ),
    Case(
        "a super().__init__() that is missing",
        """\
class Net(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(2, 2)
""",
        """
E119 `super().__init__()` is missing in a module's `__init__`
why  AttributeError: cannot assign module before Module.__init__() call
do   call super().__init__() first in __init__
at   model.py:6
""",
    ),
    Case(
        "no forward",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
""",
        """
E120 `Net` has no forward
why  its class does not define one
do   define `def forward(self, x):` in its class, or give a loss that calls its parts: `def loss_fn(model, batch):`
at   model.py:4
""",
    ),
    Case(
        "a forward that is misspelt",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
    def foward(self, x):
        return self.layer(x)
""",
        """
E120 `Net` has no forward
why  it defines `foward`
do   rename `foward` to `forward`
at   model.py:4
""",
    ),
    Case(
        "a factory that returns nothing",
        """\
def get_model():
    nn.Linear(2, 2)
""",
        """
E121 `get_model()` returned None, not a model
why  a factory has to return one nn.Module
do   return the model from `get_model`, or name another: gradcheck scan model.py:NAME
at   model.py:4
""",
    ),
    Case(
        "a factory that returns a pair",
        """\
def get_model():
    return nn.Linear(2, 2), torch.zeros(2)
""",
        """
E121 `get_model()` returned a tuple of Linear, Tensor, not a model
why  a factory has to return one nn.Module
do   return the model from `get_model`, or name another: gradcheck scan model.py:NAME
at   model.py:4
""",
    ),
    Case(
        "no parameters",
        "model = nn.Sequential(nn.ReLU(), nn.Flatten())\n",
        """
E122 `Sequential` has no parameters
why  it is made of Flatten, ReLU
do   there is nothing to train: check that layers are assigned to `self`
at   None
""",
    ),
    Case(
        "parameters in a plain list only",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(4, 4) for _ in range(7)]
    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x
""",
        """
E122 `Net` has no registered parameters, so no optimizer would train anything
why  plain Python containers, which torch does not look into, hold `layers[0]`, `layers[1]`, `layers[2]`, `layers[3]`, `layers[4]` and 2 more
do   use nn.ModuleList or nn.ModuleDict for them
at   None
""",
    ),
    Case(
        "frozen parameters",
        "model = nn.Linear(2, 2).requires_grad_(False)\n",
        """
E123 all 2 parameters are frozen
why  requires_grad is False for `weight`, `bias`
do   use --unfreeze to measure it as if it were trained, or unfreeze a part in the file
at   None
""",
    ),
    Case(
        "a quantised model",
        """\
from torch.ao.nn.quantized.dynamic import Linear
model = nn.Sequential(Linear(2, 2))
""",
        """
E124 `0` is a Linear from torch.ao.nn.quantized.dynamic.modules.linear
why  quantised and mkldnn layers are for inference only: they have no gradient
do   scan the model before it is converted
at   None
""",
    ),
    Case(
        "a model without values",
        """\
model = nn.Linear(2, 2, device='meta')
""",
        """
E125 2 parameters are on the meta device, e.g. `weight`
why  they have a shape and no values
do   materialise the model first: model.to_empty(device='cpu') and initialise it
at   None
""",
    ),
    Case(
        "warnings as errors",
        """\
import warnings
with warnings.catch_warnings():
    warnings.simplefilter('error')
    warnings.warn('an old function', DeprecationWarning)
""",
        """
E126 a warning stopped the import: DeprecationWarning: an old function
why  warnings are turned into errors here
do   run without -W error (or PYTHONWARNINGS=error)
at   model.py:7
""",
    ),
    Case(
        "a recursion",
        """\
def build(n):
    return build(n + 1)
build(0)
""",
        """
E566 the code calls itself without end
why  RecursionError: maximum recursion depth exceeded
do   look for a forward or __init__ that calls itself
at   model.py:5
""",
    ),
    Case(
        "too much memory",
        "weights = torch.empty(10**15)\n",
        """
E564 memory ran out
why  one tensor asked for 3725290.3 GiB
do   use a smaller batch, or a smaller --input
at   model.py:4
""",
    ),
    Case(
        "a device in the file",
        """\
model = nn.Linear(2, 2).to('cuda')
""",
        """
E567 a device was asked for that is not here
why  AssertionError: Torch not compiled with CUDA enabled
do   use --device cpu; if the file itself says `.cuda()`, make that depend on torch.cuda.is_available()
at   model.py:4
""",
    ),
    Case(
        "a device that is not here",
        LINEAR,
        """
E567 --device cuda is not here
why  AssertionError: Torch not compiled with CUDA enabled
do   use --device cpu, or install a torch build for that device
at   None
""",
        settings={"device": "cuda"},
    ),
    Case(
        "a device that does not exist",
        LINEAR,
        """
E567 --device gpu is not usable
why  RuntimeError: Expected one of cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fp…
do   use --device cpu
at   None
""",
        settings={"device": "gpu"},
    ),
    Case(
        "a torchvision for another torch",
        """\
raise RuntimeError('operator torchvision::nms does not exist')
""",
        """
E571 torch and torchvision (or torchaudio) do not belong together
why  RuntimeError: operator torchvision::nms does not exist
do   install the torchvision made for torch TORCH
at   model.py:4
""",
    ),
    Case(
        "a dtype that does not exist",
        LINEAR,
        """
E675 --dtype float8: no such dtype
why  known are float32, float64, bfloat16, float16
do   use one of them
at   None
""",
        settings={"dtype": "float8"},
    ),
    Case(
        "a loss that does not exist",
        LINEAR,
        """
E675 --loss cross_entrop: no such loss
why  known are cross_entropy, nll, bce, bce_logits, mse, l1, huber, projection, and functions of the file by their name
do   did you mean --loss cross_entropy?
at   None
""",
        settings={"loss": "cross_entrop"},
    ),
    Case(
        "an optimizer that does not exist",
        LINEAR,
        """
E675 --optimizer adm: no such optimizer
why  torch.optim has adadelta, adafactor, adagrad, adam, adamax, adamw, asgd, lbfgs, muon, nadam, radam, rmsprop, rprop, sgd, sparseadam
do   did you mean --optimizer adam?
at   None
""",
        settings={"optimizer": "adm"},
    ),
    Case(
        "a shape that is none",
        LINEAR,
        """
E675 --input 8;3 is not a shape
why  a shape is numbers with commas, batch size first
do   write --input 8,3,224,224, or int:8,128 for integers, or NAME=8,16 for one of several inputs
at   None
""",
        settings={"input": ("8;3",)},
    ),
    Case(
        "weights without a class",
        LINEAR,
        """
E227 `weights.pt` holds weights, not a network
why  a state_dict has names and numbers and no forward
do   name the class too: gradcheck scan weights.pt --model package.module:Class (or file.py:Class)
at   None
""",
        settings={"target": "weights.pt"},
        files={"weights.pt": "x"},
    ),
    Case(
        "weights for weights",
        LINEAR,
        """
E227 --model weights.pt is a checkpoint too
why  --model names the class whose weights these are
do   gradcheck scan weights.pt --model package.module:Class
at   None
""",
        settings={"target": "weights.pt", "model": "weights.pt"},
        files={"weights.pt": "x"},
    ),
    Case(
        "inputs that cannot be inferred",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(2, 3, 4))
    def forward(self, graph, nodes):
        raise ValueError('a graph is needed')
""",
        """
E339 no data was found and the model's input cannot be inferred
why  no layer tells the shape of the input
do   add `x` (and `y`) to the file, or use --input graph=SHAPE --input nodes=SHAPE or --data FILE
at   None
""",
    ),
    Case(
        "a data file that is missing",
        LINEAR,
        """
E339 no such data file: `btch.pt`
why  `.` has `batch.pt`
do   did you mean batch.pt?
at   None
""",
        settings={"data": "btch.pt"},
        files={"batch.pt": "x"},
    ),
    Case(
        "a data file of another kind",
        LINEAR,
        """
E339 --data batch.parquet: this kind of file is not read
why  accepted are .pt, .pth, .npz, .npy, .safetensors, .csv
do   save the batch with torch.save((x, y), 'batch.pt')
at   None
""",
        settings={"data": "batch.parquet"},
    ),
    Case(
        "a target that cannot be made up",
        LINEAR
        + """\
x = torch.randn(3, 4)
def loss_fn(output, target):
    return output.mean() * target['weight']
""",
        """
E339 the loss `loss_fn` needs a target and the data has none
why  targets made up for it failed, the last with IndexError: too many indices for tensor of dimension 2
do   give the target too, e.g. `y` beside `x`, or use --loss projection
at   None
""",
    ),
    Case(
        "a get_batch that needs too much",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(2, 3, 4))
    def forward(self, graph):
        raise ValueError('a graph is needed')
def get_batch(database):
    return database
""",
        """
E339 no data was found and the model's input cannot be inferred
why  no layer tells the shape of the input; `get_batch` was not used: it needs database
do   add `x` (and `y`) to the file, or use --input 8,3,224,224 (int:8,128 for integers) or --data FILE
at   None
""",
    ),
    Case(
        "a loader without a batch",
        LINEAR + "train_loader = torch.utils.data.DataLoader([torch.zeros(4)], batch_size=8, drop_last=True)\n",
        """
E346 `train_loader` gives no data
why  it is empty, or drop_last drops its only batch
do   give it at least one whole batch, or use --data FILE or --input SHAPE
at   None
""",
    ),
    Case(
        "a dataset without items",
        LINEAR + "dataset = torch.utils.data.TensorDataset(torch.zeros(0, 4))\n",
        """
E346 `dataset` gives no data
why  it is empty, or drop_last drops its only batch
do   give it at least one whole batch, or use --data FILE or --input SHAPE
at   None
""",
    ),
    Case(
        "an empty tensor",
        LINEAR + "x = torch.zeros(0, 4)\n",
        """
E346 the batch is empty
why  found: x: a tensor has shape [0, 4]
do   give at least one sample
at   None
""",
    ),
    Case(
        "an empty --input",
        LINEAR,
        """
E346 --input asks for an empty batch
why  one of its sizes is 0
do   give every dimension at least 1
at   None
""",
        settings={"input": ("0,4",)},
    ),
    Case(
        "a dataset that raises",
        LINEAR
        + """\
class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, index):
        raise KeyError('label')
dataset = Rows()
""",
        """
E349 no batch could be read from `dataset`
why  KeyError: 'label'
do   correct it, or give other data with --data FILE or --input SHAPE
at   model.py:9
""",
    ),
    Case(
        "a get_batch that raises",
        LINEAR
        + """\
def get_batch():
    return open('missing.bin')
""",
        """
E349 `get_batch()` raised, so there is no data
why  FileNotFoundError: [Errno 2] No such file or directory: 'missing.bin'
do   correct `get_batch`, or give --data FILE
at   model.py:6
""",
    ),
    Case(
        "Hugging Face without labels",
        """\
from transformers import BertConfig, BertForSequenceClassification
config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=20)
model = BertForSequenceClassification(config)
batch = {'input_ids': torch.ones(2, 4, dtype=torch.long)}
""",
        """
E454 the model's output has no loss
why  Hugging Face models compute a loss only when labels are given
do   put `labels` into the batch
at   None
""",
    ),
    Case(
        "a training_step that returns nothing",
        LIGHTNING
        + """\
    def training_step(self, batch, batch_idx):
        self.layer(batch[0])
batch = (torch.randn(8, 4),)
""",
        """
E454 `training_step` returned no loss
why  it returned None, which makes Lightning skip the step
do   return the loss, or {'loss': loss}
at   None
""",
    ),
    Case(
        "two losses",
        LINEAR
        + """\
pixel = nn.L1Loss()
classes = nn.CrossEntropyLoss()
x = torch.randn(3, 4)
""",
        """
E455 the file holds 2 losses
why  they are `pixel`, `classes`, and none is called `loss_fn`
do   name one: --loss pixel; or add `def loss_fn(output, target)` that combines them
at   None
""",
    ),
    Case(
        "an output with two candidates for an inferred loss",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 3), nn.Linear(4, 3)
    def forward(self, x):
        return {'left': self.a(x), 'right': self.b(x)}
model = Net()
x, y = torch.randn(5, 4), torch.zeros(5, dtype=torch.long)
""",
        """
E455 the model's output has several parts, and which one the loss is taken of is not known
why  the output is `left` [5, 3], `right` [5, 3]
do   add `def loss_fn(output, target): ...` to the file, or use --loss projection
at   None
""",
    ),
    Case(
        "a training_step that no trainer can run",
        LIGHTNING
        + """\
    def training_step(self, batch, batch_idx):
        return self.layer(batch[0]).mean() * self.trainer.datamodule.scale
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())
batch = (torch.randn(8, 4),)
""",
        """
E459 `training_step` needs a trainer, and a trainer could not run it
why  called directly: RuntimeError: Lit is not attached to a `Trainer`.; in Trainer(fast_dev_run=1): AttributeError: 'NoneType' object has no attribute 'scale'
do   give a loss of output and target instead: --loss cross_entropy, or a function --loss NAME
at   model.py:10
""",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_message(case: Case, write: Callable[..., Path], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in case.forget:
        monkeypatch.delitem(sys.modules, module, raising=False)
    for name, text in case.files.items():
        write(text, name, header=False)
    write(case.source)
    with pytest.raises(GradcheckError) as caught:
        load(Settings(**{"target": "model.py", **case.settings}))
    assert shown(caught.value, folder) == case.says.strip("\n")


def shown(error: GradcheckError, folder: Path) -> str:
    """The message in four lines, with what differs between machines replaced by its name."""
    lines = [f"{error.id} {error.what}", f"why  {error.why}", f"do   {error.do}", f"at   {error.where}"]
    text = "\n".join(lines)
    known = {
        str(Path(torch.__file__).parent): "TORCHS",
        sys.executable: "PYTHON",
        sys.prefix: "PREFIX",
        folder.as_posix(): "FOLDER",
        torch.__version__.split("+")[0]: "TORCH",
    }
    for value, name in known.items():
        text = text.replace(value, name)
    return text


def test_every_message_is_one_line_each() -> None:
    for case in CASES:
        assert len(case.says.strip("\n").splitlines()) == 4, case.name


def test_table_covers_the_target_ids() -> None:
    ids = {case.says.strip("\n")[:4] for case in CASES}
    elsewhere = {"E105"}  # a file that is no text cannot stand in this table
    assert {f"E1{n:02}" for n in range(1, 27)} - elsewhere <= ids
