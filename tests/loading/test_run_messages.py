"""What a person reads when the model, its data or its loss fail while they are measured: one golden message for each way."""

# ruff: noqa: E501 - messages stand as they are read, on one line
from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.pipeline import scan
from gradcheck_cli.settings import Settings


@dataclass(frozen=True)
class Case:
    """A file and the message its scan ends with. Line 1 of the source is line 4 of `model.py`."""

    name: str
    source: str
    says: str


CASES = [
    Case(
        "features of the first layer",
        """\
model = nn.Sequential(nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 2))
x = torch.randn(8, 7)
""",
        """
E340 `0` (Linear) expects 10 features and got 7
why  inputs were input 0 [8, 7] float32
do   give inputs with 10 features (shape [8, 10]), or build the layer for 7
at   None
""",
    ),
    Case(
        "features of a later layer",
        """\
model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(6, 2))
x = torch.randn(5, 4)
""",
        """
E340 `2` (Linear) expects 6 features and got 5
why  inputs were input 0 [5, 4] float32
do   either the input has another size than the network was built for, or this layer does not fit the one before it
at   None
""",
    ),
    Case(
        "image size behind convolutions",
        """\
model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 2))
x = torch.randn(2, 3, 28, 28)
""",
        """
E340 `2` (Linear) expects 3600 features and got 2704
why  inputs were input 0 [2, 3, 28, 28] float32
do   either the input has another size than the network was built for, or this layer does not fit the one before it
at   None
""",
    ),
    Case(
        "channels",
        """\
model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())
x = torch.randn(2, 1, 8, 8)
""",
        """
E340 `0` (Conv2d) expects 3 channels and got 1
why  inputs were input 0 [2, 1, 8, 8] float32
do   give inputs with 3 channels (shape [2, 3, 8, 8]), or build the layer for 1
at   None
""",
    ),
    Case(
        "rank of an image",
        """\
model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())
x = torch.randn(2, 8)
""",
        """
E340 `0` (Conv2d) expects a 3D (unbatched) or 4D (batched) input and got [2, 8]
why  inputs were input 0 [2, 8] float32
do   add the missing dimension (batch, channels or length), or --input with it
at   None
""",
    ),
    Case(
        "image smaller than the kernel",
        """\
model = nn.Sequential(nn.Conv2d(3, 4, 5), nn.Flatten())
x = torch.randn(2, 3, 2, 2)
""",
        """
E340 `0` (Conv2d) got an input of (2 x 2), smaller than its kernel (5 x 5)
why  inputs were input 0 [2, 3, 2, 2] float32
do   use larger inputs: each pooling or stride before it shrank them
at   None
""",
    ),
    Case(
        "features of a recurrent layer",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.LSTM(6, 3)
    def forward(self, x):
        return self.layer(x)[0]
model = Net()
x = torch.randn(7, 5, 4)
""",
        """
E340 `layer` (LSTM) expects 6 features and got 4
why  inputs were input 0 [7, 5, 4] float32
do   give inputs with 6 features (shape [7, 5, 6]), or build the layer for 4
at   model.py:9
""",
    ),
    Case(
        "features of a norm",
        """\
model = nn.Sequential(nn.LayerNorm(6))
x = torch.randn(5, 4)
""",
        """
E340 `0` (LayerNorm) expects 6 features and got 4
why  inputs were input 0 [5, 4] float32
do   give inputs with 6 features (shape [5, 6]), or build the layer for 4
at   None
""",
    ),
    Case(
        "channels of a batch norm",
        """\
model = nn.Sequential(nn.BatchNorm1d(6))
x = torch.randn(5, 4)
""",
        """
E340 `0` (BatchNorm1d) expects 6 features and got 4
why  inputs were input 0 [5, 4] float32
do   give inputs with 6 features (shape [5, 6]), or build the layer for 4
at   None
""",
    ),
    Case(
        "rank of a batch norm",
        """\
model = nn.Sequential(nn.BatchNorm2d(4))
x = torch.randn(5, 4)
""",
        """
E340 `0` (BatchNorm2d) expects a 4D input and got 2D
why  inputs were input 0 [5, 4] float32
do   add the missing dimension (batch, channels or length), or --input with it
at   None
""",
    ),
    Case(
        "width of attention",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.MultiheadAttention(6, 2)
    def forward(self, x):
        return self.layer(x, x, x)[0]
model = Net()
x = torch.randn(7, 5, 4)
""",
        """
E340 `layer` (MultiheadAttention) expects 6 features and got 4
why  inputs were input 0 [7, 5, 4] float32
do   give inputs with 6 features (shape [7, 5, 6]), or build the layer for 4
at   model.py:9
""",
    ),
    Case(
        "integers for a linear layer",
        """\
model = nn.Linear(4, 3)
x = torch.ones(5, 4, dtype=torch.long)
""",
        """
E341 the model itself (Linear) holds float32 weights and got int64
why  inputs were input 0 [5, 4] int64
do   convert it: x.float()
at   None
""",
    ),
    Case(
        "bytes for a convolution",
        """\
model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())
x = torch.ones(2, 3, 8, 8, dtype=torch.uint8)
""",
        """
E341 `0` (Conv2d) holds float32 weights and got uint8
why  inputs were input 0 [2, 3, 8, 8] uint8
do   convert it: x.float()
at   None
""",
    ),
    Case(
        "float64 for a float32 model",
        """\
model = nn.Linear(4, 3)
x = torch.randn(5, 4, dtype=torch.float64)
""",
        """
E341 the model itself (Linear) holds float32 weights and got float64
why  inputs were input 0 [5, 4] float64
do   convert the data (x.to(torch.float32)) or the model (--dtype float64)
at   None
""",
    ),
    Case(
        "float64 for a recurrent layer",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(4, 3)
    def forward(self, x):
        return self.layer(x)[0]
model = Net()
x = torch.randn(7, 5, 4, dtype=torch.float64)
""",
        """
E341 `layer` (GRU) holds float32 weights and got float64
why  inputs were input 0 [7, 5, 4] float64
do   convert the data (x.to(torch.float32)) or the model (--dtype float64)
at   model.py:9
""",
    ),
    Case(
        "numbers for an embedding",
        """\
model = nn.Sequential(nn.Embedding(10, 4))
x = torch.rand(5, 4)
""",
        """
E341 `0` (Embedding) looks up indices and got float32
why  inputs were input 0 [5, 4] float32
do   give int64 indices: x.long(), or --input int:8,128
at   None
""",
    ),
    Case(
        "an index outside the embedding",
        """\
model = nn.Sequential(nn.Embedding(10, 4))
x = torch.tensor([[3, 11]])
""",
        """
E342 an index is outside the 10 rows of `0` (Embedding)
why  allowed are 0 to 9; the batch holds 3 to 11
do   enlarge num_embeddings, or map unknown indices into the range
at   None
""",
    ),
    Case(
        "too few inputs",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x, mask):
        return self.layer(x) * mask
model = Net()
x = torch.randn(5, 4)
""",
        """
E343 forward(x, mask) does not fit the batch: missing 1 required positional argument: 'mask'
why  the batch gives input 0
do   make the batch a dictionary with forward's parameter names as keys, or a tuple in their order
at   None
""",
    ),
    Case(
        "too many inputs",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        return self.layer(x)
model = Net()
batch = {'x': torch.randn(5, 4)}
def loss_fn(model, batch):
    return model(batch['x'], 1).mean()
""",
        """
E343 forward(x) does not fit the batch: takes 2 positional arguments but 3 were given
why  the batch gives x
do   make the batch a dictionary with forward's parameter names as keys, or a tuple in their order
at   model.py:13
""",
    ),
    Case(
        "a keyword that is missing",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x, *, scale):
        return self.layer(x) * scale
model = Net()
x = torch.randn(5, 4)
""",
        """
E344 forward needs the keyword argument scale
why  it takes (x, *, scale); the batch gives input 0
do   make the batch a dictionary with the key scale
at   None
""",
    ),
    Case(
        "one sample and batch norm",
        """\
model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
x = torch.randn(1, 4)
""",
        """
E345 `1` (BatchNorm1d) cannot normalise over a single value per channel
why  its input has shape [1, 3]
do   use a batch of at least 2 samples
at   None
""",
    ),
    Case(
        "tensors on two devices",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        return self.layer(x + torch.ones(4, device='meta'))
model = Net()
x = torch.randn(5, 4)
""",
        """
E348 the model itself (Net) met tensors on different devices
why  model and batch are on cpu; torch says: Tensor on device meta is not on the expected device cpu!
do   register constants as buffers, or make new tensors with device=x.device; --device moves model and batch
at   model.py:9
""",
    ),
    Case(
        "an exported program",
        """\
model = torch.export.export(nn.Linear(4, 3), (torch.randn(2, 4),)).module()
x = torch.randn(5, 4)
""",
        """
E350 the exported program refuses this batch
why  it demands input.size()[0] == 2; inputs were input 0 [5, 4] float32
do   give a batch of the size it was exported with, or export it with dynamic shapes
at   None
""",
    ),
    Case(
        "a loss of several numbers",
        """\
model = nn.Linear(4, 3)
x = torch.randn(5, 4)
y = torch.randn(5, 3)
loss_fn = nn.MSELoss(reduction='none')
""",
        """
E451 the loss `loss_fn` is not one number but of shape [5, 3]
why  backward needs a scalar
do   use --reduce mean (or sum), or reduce it in the loss function
at   None
""",
    ),
    Case(
        "a complex loss",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        return self.layer(x) * 1j
model = Net()
x = torch.randn(5, 4)
def loss_fn(output):
    return output.sum()
""",
        """
E452 the loss `loss_fn` is of dtype complex64
why  a gradient is defined for a real floating-point loss only
do   take its absolute value or real part
at   model.py:12
""",
    ),
    Case(
        "an integer loss",
        """\
model = nn.Linear(4, 3)
x = torch.randn(5, 4)
def loss_fn(output):
    return output.argmax(1).sum()
""",
        """
E452 the loss `loss_fn` is of dtype int64
why  a gradient is defined for a real floating-point loss only
do   compute it from floating-point values
at   model.py:6
""",
    ),
    Case(
        "a loss that is a number",
        """\
model = nn.Linear(4, 3)
x = torch.randn(5, 4)
def loss_fn(output):
    return output.sum().item()
""",
        """
E453 `loss_fn` gave a float, not a tensor
why  a number has no gradient (`.item()` drops it)
do   return the loss tensor itself
at   model.py:6
""",
    ),
    Case(
        "inference mode inside forward",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        with torch.inference_mode():
            x = x * 2
        return self.layer(x)
model = Net()
x = torch.randn(5, 4)
""",
        """
E453 a tensor made in torch.inference_mode() is used where a gradient is needed
why  inference tensors cannot take part in backward
do   use torch.no_grad() there, or clone the tensor
at   model.py:11
""",
    ),
    Case(
        "a loss function that returns nothing",
        """\
model = nn.Linear(4, 3)
x = torch.randn(5, 4)
def loss_fn(output):
    output.sum()
""",
        """
E454 `loss_fn` gave no loss: it is None
why  the function ends without returning the loss
do   return the loss
at   model.py:6
""",
    ),
    Case(
        "an output of several parts",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        return {'left': self.layer(x), 'right': self.layer(x)}
model = Net()
x = torch.randn(5, 4)
y = torch.tensor([0, 1, 2, 0, 1])
loss_fn = nn.CrossEntropyLoss()
""",
        """
E455 the model's output has several parts, and which one the loss is taken of is not known
why  the output is `left` [5, 3], `right` [5, 3]
do   add `def loss_fn(output, target): ...` to the file, or use --loss projection
at   None
""",
    ),
    Case(
        "an output without tensors",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        return 'done'
model = Net()
x = torch.randn(5, 4)
""",
        """
E455 the model's output holds no floating-point tensor
why  it is a str
do   return a tensor from forward, or add `def loss_fn(model, batch): ...` to the file
at   None
""",
    ),
    Case(
        "a class that is not there",
        """\
model = nn.Linear(4, 3)
x = torch.randn(5, 4)
y = torch.tensor([0, 1, 2, 3, 1])
loss_fn = nn.CrossEntropyLoss()
""",
        """
E456 target 3 is not one of the classes
why  targets span 0 to 3; classes count from 0 to the output's width - 1
do   give the last layer one output for each class, count classes from 0, or set ignore_index
at   None
""",
    ),
    Case(
        "nothing but ignored targets",
        """\
model = nn.Linear(4, 3)
x = torch.randn(5, 4)
y = torch.full((5,), -100)
loss_fn = nn.CrossEntropyLoss()
""",
        """
E456 all 5 targets are the ignored index -100
why  the mean over no targets is NaN
do   give a batch with targets that count
at   None
""",
    ),
    Case(
        "int32 classes",
        """\
model = nn.Linear(4, 3)
x = torch.randn(5, 4)
y = torch.zeros(5, dtype=torch.int32)
loss_fn = nn.CrossEntropyLoss()
""",
        """
E457 class targets have to be int64 and are int32
why  the target is [5] int32
do   convert them: y.long()
at   None
""",
    ),
    Case(
        "classes as floating-point numbers",
        """\
model = nn.Linear(4, 3)
x = torch.randn(5, 4)
y = torch.zeros(5)
loss_fn = nn.CrossEntropyLoss()
""",
        """
E457 class targets have to be int64 and are float32
why  the target is [5] float32
do   convert them: y.long()
at   None
""",
    ),
    Case(
        "one-hot integers",
        """\
model = nn.Linear(4, 3)
x = torch.randn(5, 4)
y = torch.eye(5, 3, dtype=torch.long)
loss_fn = nn.CrossEntropyLoss()
""",
        """
E457 class probabilities have to be floating-point and are int64
why  the target is [5, 3] int64
do   convert them: y.float(), or give class indices: y.argmax(1)
at   None
""",
    ),
    Case(
        "more samples than targets",
        """\
model = nn.Linear(4, 3)
x = torch.randn(5, 4)
y = torch.zeros(4, dtype=torch.long)
loss_fn = nn.CrossEntropyLoss()
""",
        """
E457 the shapes of output and class target do not fit
why  Expected input batch_size (5) to match target batch_size (4); the target is [4] int64
do   the output is [N, C] or [N, C, d], the target [N] or [N, d]; write `def loss_fn(output, target)` to reshape them
at   None
""",
    ),
    Case(
        "raw outputs for BCE",
        """\
model = nn.Linear(4, 1)
x = torch.full((5, 4), 9.0)
y = torch.ones(5, 1)
loss_fn = nn.BCELoss()
""",
        """
E457 binary cross-entropy needs outputs in [0, 1]
why  the model's output lies outside: it has no sigmoid at its end
do   use nn.BCEWithLogitsLoss on the raw output
at   None
""",
    ),
    Case(
        "BCE targets outside 0 and 1",
        """\
model = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
x = torch.randn(5, 4)
y = torch.full((5, 1), 2.0)
loss_fn = nn.BCELoss()
""",
        """
E457 binary cross-entropy needs targets in [0, 1]
why  targets span 2 to 2
do   scale the targets, or use another loss
at   None
""",
    ),
    Case(
        "BCE with another shape",
        """\
model = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
x = torch.randn(5, 4)
y = torch.ones(4)
loss_fn = nn.BCELoss()
""",
        """
E457 target [4] and output [5, 1] have different shapes
why  the target is [4] float32
do   reshape the target: y.view_as(output), e.g. in `def loss_fn(output, target)`
at   None
""",
    ),
    Case(
        "BCE with integers",
        """\
model = nn.Linear(4, 1)
x = torch.randn(5, 4)
y = torch.ones(5, 1, dtype=torch.long)
loss_fn = nn.BCEWithLogitsLoss()
""",
        """
E457 output and target have different dtypes
why  result type Float can't be cast to the desired output type Long; the target is [5, 1] int64
do   convert the target: y.float()
at   None
""",
    ),
    Case(
        "an output that does not fit the target",
        """\
model = nn.Linear(4, 3)
x = torch.randn(5, 4)
y = torch.zeros(5, 2)
loss_fn = nn.MSELoss()
""",
        """
E457 output and target do not fit in the loss
why  RuntimeError: The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 1; the target is [5, 2] float32
do   bring the target into the output's shape and dtype
at   None
""",
    ),
    Case(
        "a backward inside the loss",
        """\
model = nn.Linear(4, 3)
x = torch.randn(5, 4)
def loss_fn(output):
    loss = output.square().sum()
    loss.backward()
    return loss
""",
        """
E460 the graph was already used: something called backward before us
why  backward frees what the forward pass saved
do   do not call .backward() in forward or in the loss function, and compute the loss from a fresh forward
at   None
""",
    ),
    Case(
        "a loss that raises",
        """\
model = nn.Linear(4, 3)
x = torch.randn(5, 4)
def loss_fn(output):
    return output.sum() / weights['size']
""",
        """
E561 forward raised in the loss
why  NameError: name 'weights' is not defined; inputs were input 0 [5, 4] float32
do   correct it; --traceback shows your frames
at   model.py:7
""",
    ),
    Case(
        "a forward that raises",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        return self.layer(x).reshape(7, 7)
model = Net()
x = torch.randn(5, 4)
""",
        """
E561 forward raised in the model itself (Net)
why  RuntimeError: shape '[7, 7]' is invalid for input of size 15; inputs were input 0 [5, 4] float32
do   correct it; --traceback shows your frames
at   model.py:9
""",
    ),
    Case(
        "an inner module that raises",
        """\
class Block(nn.Module):
    def forward(self, x):
        return x.reshape(7, 7)
model = nn.Sequential(nn.Linear(4, 3), Block())
x = torch.randn(5, 4)
""",
        """
E561 forward raised in `1` (Block)
why  RuntimeError: shape '[7, 7]' is invalid for input of size 15; inputs were input 0 [5, 4] float32
do   correct it; --traceback shows your frames
at   model.py:6
""",
    ),
    Case(
        "a backward that raises",
        """\
class Bad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2
    @staticmethod
    def backward(ctx, g):
        raise ValueError('no gradient today')
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        return Bad.apply(self.layer(x))
model = Net()
x = torch.randn(5, 4)
""",
        """
E561 backward raised
why  ValueError: no gradient today; inputs were input 0 [5, 4] float32
do   correct it; --traceback shows your frames
at   model.py:10
""",
    ),
    Case(
        "an edit in place",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        y = self.layer(x).sigmoid()
        y.mul_(2)
        return y
model = Net()
x = torch.randn(5, 4)
""",
        """
E562 the output of `Sigmoid` was changed in place before backward
why  backward needs its output as it was; it was computed at model.py:9
do   replace the in-place edit after it (`+=`, `mul_`, `inplace=True`, `x[...] =`) by one that makes a new tensor
at   model.py:9
""",
    ),
    Case(
        "a parameter edited in place",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        self.layer.weight.add_(1)
        return self.layer(x)
model = Net()
x = torch.randn(5, 4)
""",
        """
E562 a parameter is edited in place while gradients are recorded
why  RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.
do   make the edit under torch.no_grad(), or use a new tensor
at   model.py:9
""",
    ),
    Case(
        "a forward that calls itself",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        return self.forward(x)
model = Net()
x = torch.randn(5, 4)
""",
        """
E566 the code calls itself without end
why  RecursionError: maximum recursion depth exceeded
do   look for a forward or __init__ that calls itself
at   model.py:9
""",
    ),
    Case(
        "a forward that asks for a device",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        return self.layer(x.to('cuda'))
model = Net()
x = torch.randn(5, 4)
""",
        """
E567 a device was asked for that is not here
why  AssertionError: Torch not compiled with CUDA enabled
do   use --device cpu; if the file itself says `.cuda()`, make that depend on torch.cuda.is_available()
at   model.py:9
""",
    ),
    Case(
        "too much memory in forward",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        return self.layer(x) + torch.empty(10**15)
model = Net()
x = torch.randn(5, 4)
""",
        """
E564 memory ran out
why  one tensor asked for 3725290.3 GiB
do   use a smaller batch, or a smaller --input
at   model.py:9
""",
    ),
    Case(
        "no deterministic implementation",
        """\
torch.use_deterministic_algorithms(True)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        raise RuntimeError('cumsum_cuda_kernel does not have a deterministic implementation, but you set a flag')
model = Net()
x = torch.randn(5, 4)
""",
        """
E568 `cumsum_cuda_kernel` has no deterministic implementation
why  the file asks for deterministic algorithms
do   use torch.use_deterministic_algorithms(True, warn_only=True), or --device cpu
at   model.py:10
""",
    ),
    Case(
        "a process group that is missing",
        """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        raise ValueError('Default process group has not been initialized, please make sure to call init_process_group.')
model = Net()
x = torch.randn(5, 4)
""",
        """
E569 the model needs a distributed process group
why  ValueError: Default process group has not been initialized, please make sure to call init_process_group.
do   scan the model before it is wrapped for distributed training
at   model.py:9
""",
    ),
    Case(
        "an exception that cannot be shown",
        """\
class Odd(Exception):
    def __str__(self):
        raise ValueError('no text')
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        raise Odd
model = Net()
x = torch.randn(5, 4)
""",
        """
E561 forward raised in the model itself (Net)
why  Odd; inputs were input 0 [5, 4] float32
do   correct it; --traceback shows your frames
at   model.py:12
""",
    ),
    Case(
        "an exit in the forward pass",
        """\
import sys
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
    def forward(self, x):
        if x.mean() < 10:
            sys.exit('too small')
        return self.layer(x)
model = Net()
x, y = torch.randn(5, 4), torch.randn(5, 3)
""",
        """
E561 the model's code ended the program (exit code too small)
why  a model must return from its forward pass
do   take the exit out
at   model.py:11
""",
    ),
    Case(
        "an exit in the loss",
        """\
model = nn.Linear(4, 3)
x, y = torch.randn(5, 4), torch.randn(5, 3)
def loss_fn(output, target):
    exit(3)
""",
        """
E561 the model's code ended the program (exit code 3)
why  a model must return from its forward pass
do   take the exit out
at   model.py:7
""",
    ),
    Case(
        "a target for which no loss was named",
        """\
model = nn.Linear(4, 3)
x, y = torch.randn(5, 4), torch.randn(5, 2)
""",
        """
E457 output and target do not fit in the loss
why  RuntimeError: The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 1; the target is [5, 2] float32; the loss mse was inferred from output and target
do   bring the target into the output's shape and dtype, or give --loss
at   None
""",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_message(case: Case, write: Callable[..., Path]) -> None:
    write(case.source)
    with pytest.raises(GradcheckError) as caught:
        scan(Settings(target="model.py"))
    error = caught.value
    lines = [f"{error.id} {error.what}", f"why  {error.why}", f"do   {error.do}", f"at   {error.where}"]
    assert "\n".join(lines).replace(sys.prefix, "PREFIX") == case.says.strip("\n")


def test_an_exception_without_text_in_a_later_pass_is_a_gap(write: Callable[..., Path]) -> None:
    """The first pass succeeds; whichever of the further ones fails, the report says so by the exception's name."""
    write("""
        class Odd(Exception):
            def __str__(self):
                raise ValueError
        class Net(nn.Module):
            passes = 0
            def __init__(self):
                super().__init__()
                self.layer, self.unused = nn.Linear(4, 3), nn.Linear(4, 3)
            def forward(self, x):
                Net.passes += 1
                if Net.passes > 1:
                    raise Odd
                return self.layer(x)
        model = Net()
        x, y = torch.randn(5, 4), torch.randn(5, 3)
        loss_fn = nn.MSELoss()
    """)
    (profile,) = scan(Settings(target="model.py", no_try=True)).profiles
    assert any("Odd" in gap for gap in profile.gaps)


def test_table_covers_the_ids_of_data_and_loss() -> None:
    ids = {case.says.strip("\n")[:4] for case in CASES}
    data = {"E340", "E341", "E342", "E343", "E344", "E345", "E348", "E350"}
    loss = {"E451", "E452", "E453", "E454", "E455", "E456", "E457", "E460"}
    run = {"E561", "E562", "E564", "E566", "E567", "E568", "E569"}
    assert data | loss | run <= ids
