"""Activations in every form that a file may use: what the patched file builds and computes."""

from __future__ import annotations

import pytest
import torch
from scanned_sources import built, edit, lines_changed
from torch import nn

from gradcheck_cli.fixing.draft import CannotPatch

DATA = "\nx, y = torch.randn(8, 4), torch.randn(8, 1)\nloss_fn = nn.MSELoss()\n"
SEQUENTIAL = f"""import torch
from torch import nn

model = nn.Sequential(
    nn.Linear(4, 6),  # the first
    nn.Sigmoid(),  # squashes
    nn.Linear(6, 1),
)
{DATA}"""


def test_a_comment_behind_the_call_stays(scanned):
    new = scanned(SEQUENTIAL).patched(edit("activation", ["1"], to="relu"))
    assert lines_changed(SEQUENTIAL, new) == ["    nn.ReLU(),  # squashes"]


@pytest.mark.parametrize(
    ("to", "line"),
    [
        ("leaky_relu", "nn.LeakyReLU(0.1)"),
        ("selu", "nn.SELU()"),
        ("gelu", "nn.GELU()"),
        ("identity", "nn.Identity()"),
    ],
)
def test_each_activation_is_written_as_the_trial_had_it(scanned, to, line):
    new = scanned(SEQUENTIAL).patched(edit("activation", ["1"], to=to))
    assert lines_changed(SEQUENTIAL, new) == [f"    {line},  # squashes"]


def test_a_name_imported_by_itself_gets_its_fellow(scanned):
    imports = "import torch\nfrom torch import nn as n\nfrom torch.nn import Linear, Sigmoid\n"
    text = f"{imports}\nmodel = n.Sequential(Linear(4, 1), Sigmoid()){DATA.replace('nn.', 'n.')}"
    new = scanned(text).patched(edit("activation", ["1"], to="relu"))
    assert isinstance(built(new)[1], nn.ReLU)
    imports = "import torch\nfrom torch.nn import Linear, MSELoss, Sequential, Sigmoid\n"
    only = f"{imports}\nmodel = Sequential(Linear(4, 1), Sigmoid()){DATA.replace('nn.', '')}"
    new = scanned(only).patched(edit("activation", ["1"], to="relu"))
    assert "from torch.nn import Linear, MSELoss, Sequential, Sigmoid, ReLU\n" in new
    assert "Sequential(Linear(4, 1), ReLU())" in new


STAR = f"from torch.nn import *\nimport torch\nfrom torch import nn\n\nmodel = Sequential(Linear(4, 1), Sigmoid()){DATA}"


def test_a_name_from_a_star_import_is_known(scanned):
    assert isinstance(built(scanned(STAR).patched(edit("activation", ["1"], to="relu")))[1], nn.ReLU)


FORWARD = """import torch
import torch.nn.functional as F
from torch import nn, sigmoid


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.out = nn.Linear(4, 1)

    @torch.autocast("cpu", enabled=False)
    def forward(self, x):
        for layer in self.layers:
            x = {call}
        return self.out(x)


model = Net()
x, y = torch.randn(8, 4), torch.randn(8, 1)
loss_fn = nn.MSELoss()
"""


@pytest.mark.parametrize(
    ("call", "to", "expected"),
    [
        ("torch.sigmoid(layer(x))", "relu", "torch.relu(layer(x))"),
        ("F.sigmoid(layer(x))", "tanh", "torch.tanh(layer(x))"),
        ("layer(x).sigmoid()", "relu", "layer(x).relu()"),
        ("sigmoid(layer(x))", "leaky_relu", "F.leaky_relu(layer(x), 0.1)"),
        ("torch.sigmoid(input=layer(x))", "gelu", "F.gelu(layer(x))"),
        ("layer(x).sigmoid()", "silu", "F.silu(layer(x))"),
        ("torch.sigmoid(layer(x) + x)", "identity", "(layer(x) + x)"),
    ],
)
def test_functional_calls_in_a_loop(scanned, call, to, expected):
    text = FORWARD.format(call=call)
    scan = scanned(text)
    new = scan.patched(edit("activation", scan.named("sigmoid"), to=to))
    assert lines_changed(text, new) == [f"            x = {expected}"]
    built(new)(torch.zeros(2, 4))


def test_the_second_of_two_calls_alone(scanned):
    text = FORWARD.format(call="torch.tanh(torch.tanh(layer(x)))").replace("range(3)", "range(1)")
    scan = scanned(text)
    new = scan.patched(edit("activation", scan.named("tanh")[1:], to="relu"))
    assert lines_changed(text, new) == ["            x = torch.relu(torch.tanh(layer(x)))"]


def test_part_of_a_loop_is_refused(scanned):
    scan = scanned(FORWARD.format(call="torch.sigmoid(layer(x))"))
    with pytest.raises(CannotPatch, match="sigmoid#2`, which the cure leaves alone"):
        scan.patched(edit("activation", scan.named("sigmoid")[:1], to="relu"))


AUTOENCODER = """import torch
import torch.nn as tnn

class Autoencoder(tnn.Module):
\tdef __init__(self, sizes=(8, 6, 4)):
\t\tsuper().__init__()
\t\tenc, dec = [], []
\t\tfor a, b in zip(sizes, sizes[1:]):
\t\t\tenc.append(tnn.Linear(a, b)); enc.append(tnn.Sigmoid())\t# squash
\t\tfor a, b in zip(sizes[::-1], sizes[::-1][1:]):
\t\t\tdec.append(tnn.Linear(a, b)); dec.append(tnn.Sigmoid())\t# last one is the pixel range
\t\tself.encoder = tnn.Sequential(*enc)
\t\tself.decoder = tnn.Sequential(*dec)

\tdef forward(self, x):
\t\treturn self.decoder(self.encoder(x))

model = Autoencoder()
x = y = torch.rand(16, 8)
loss_fn = tnn.MSELoss()
"""
HIDDEN = ["encoder.1", "encoder.3", "decoder.1"]


def test_the_last_layer_of_a_loop_is_put_back_behind_it(scanned):
    text = AUTOENCODER.replace("\n", "\r\n")
    new = scanned(text).patched(edit("activation", HIDDEN, to="relu"))
    assert lines_changed(text, new) == [
        "\t\t\tenc.append(tnn.Linear(a, b)); enc.append(tnn.ReLU())\t# squash\r",
        "\t\t\tdec.append(tnn.Linear(a, b)); dec.append(tnn.ReLU())\t# last one is the pixel range\r",
        "\t\tdec[-1] = tnn.Sigmoid()\r",
    ]
    model = built(new)
    kinds = [type(m).__name__ for m in model.modules() if isinstance(m, (nn.ReLU, nn.Sigmoid))]
    assert kinds == ["ReLU", "ReLU", "ReLU", "Sigmoid"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tnn.Sequential(*dec)", "tnn.Sequential(*dec, tnn.Linear(8, 8))"),
        (
            "\t\t\tdec.append(tnn.Linear(a, b)); dec.append",
            "\t\t\tif a > 6: continue\n\t\t\tdec.append(tnn.Linear(a, b)); dec.append",
        ),
    ],
)
def test_other_loops_are_refused_by_name(scanned, old, new):
    scan = scanned(AUTOENCODER.replace(old, new) + "\n")
    with pytest.raises(CannotPatch, match="which the cure leaves alone"):
        scan.patched(edit("activation", ["decoder.1"], to="relu"))


def test_a_class_that_is_handed_on_for_the_last_layer_too_is_refused(scanned):
    scan = scanned("""import torch
from torch import nn


def build(act):
    return nn.Sequential(*[x for _ in range(3) for x in (nn.Linear(4, 4), act())])


model = build(nn.Sigmoid)
x, y = torch.randn(8, 4), torch.rand(8, 4)
loss_fn = nn.MSELoss()
""")
    with pytest.raises(CannotPatch, match="`5`, which the cure leaves alone"):
        scan.patched(edit("activation", ["1", "3"], to="relu"))


BLOCKS = f"""import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width, activation=nn.Sigmoid):
        super().__init__()
        self.fc = nn.Linear(width, width)
        self.act = activation()

    def forward(self, x):
        return self.act(self.fc(x))


class Base(nn.Module):
    pass


class Net(Base):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(*(Block(4) for _ in range(3)))
        self.out = nn.Linear(4, 1)

    def forward(self, x):
        return self.out(self.blocks(x))


model = Net()
{DATA}"""


def test_a_class_given_by_default(scanned):
    scan = scanned(BLOCKS)
    new = scan.patched(edit("activation", scan.named("Sigmoid"), to="relu"))
    assert lines_changed(BLOCKS, new) == ["    def __init__(self, width, activation=nn.ReLU):"]
    assert sum(isinstance(m, nn.ReLU) for m in built(new).modules()) == 3


FACTORY = f"""import torch
from torch import nn


def make_act(name):
    return {{"relu": nn.ReLU, "sigmoid": nn.Sigmoid}}[name]()


def build_model(depth=3):
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(4, 4), make_act("sigmoid")]
    return nn.Sequential(*layers, nn.Linear(4, 1))

{DATA}"""


def test_a_factory_is_asked_for_the_other_name(scanned):
    scan = scanned(FACTORY)
    new = scan.patched(edit("activation", scan.named("Sigmoid"), to="relu"))
    assert lines_changed(FACTORY, new) == ['        layers += [nn.Linear(4, 4), make_act("relu")]']


def test_a_factory_that_lacks_the_name_is_not_guessed_at(scanned):
    scan = scanned(FACTORY.replace('"relu": nn.ReLU, ', ""))
    with pytest.raises(CannotPatch, match="Sigmoid"):
        scan.patched(edit("activation", scan.named("Sigmoid"), to="relu"))


def test_three_on_one_line_are_told_apart(scanned):
    text = SEQUENTIAL.replace("nn.Sigmoid(),  # squashes\n", "*[nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh()],\n")
    scan = scanned(text)
    new = scan.patched(edit("activation", scan.named("Tanh")[1:], to="relu"))
    assert [type(m).__name__ for m in built(new)][1:5] == ["Linear", "Tanh", "Linear", "ReLU"]


def test_working_in_place_is_kept_where_the_new_one_can(scanned):
    text = SEQUENTIAL.replace("nn.Sigmoid()", "nn.ReLU(inplace=True)")
    scan = scanned(text)
    assert "nn.LeakyReLU(0.1, inplace=True)" in scan.patched(edit("activation", ["1"], to="leaky_relu"))
    assert "nn.GELU()" in scan.patched(edit("activation", ["1"], to="gelu"))


def test_windows_line_ends_and_tabs_survive(scanned):
    text = FORWARD.format(call="torch.sigmoid(layer(x))").replace("    ", "\t").replace("\n", "\r\n")
    scan = scanned(text)
    new = scan.patched(
        edit("activation", scan.named("sigmoid"), to="relu"), edit("initialise", scan.named("Linear"), scheme="he")
    )
    assert new.count("\n") == new.count("\r\n")
    assert "\r\n\t\tif isinstance(module, nn.Linear):\r\n\t\t\tnn.init.kaiming_normal_" in new
    built(new)
