"""Each layer gets the line that builds it."""

from __future__ import annotations

from gradcheck_cli.loading import load
from gradcheck_cli.records import SourceSite
from gradcheck_cli.settings import Settings


def at(line: int, *, exact: bool = True, file: str = "model.py") -> SourceSite:
    return SourceSite(file=file, line=line, exact=exact)


def test_layers_of_a_class_have_the_lines_that_assign_them(load_text):
    sites = load_text(
        """\
        class Block(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.norm = nn.LayerNorm(width)
                self.act = nn.GELU()
                self.gamma = nn.Parameter(torch.ones(width))

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.stem = nn.Linear(4, 8)
                self.blocks = nn.ModuleList(
                    [Block(8) for _ in range(2)]
                )

        model = Net()
        x = torch.randn(2, 4)
        def loss_fn(model, batch):
            return model.stem(batch).sum()
        """
    ).sites
    assert sites == {
        "": at(19),
        "stem": at(14),
        "blocks": at(15),
        "blocks.0": at(16),
        "blocks.1": at(16),
        "blocks.0.norm": at(7),
        "blocks.1.norm": at(7),
        "blocks.0.act": at(8),
        "blocks.1.act": at(8),
        "blocks.0.gamma": at(9),
        "blocks.1.gamma": at(9),
    }


def test_layers_without_parameters_in_a_sequential(load_text):
    sites = load_text(
        """\
        model = nn.Sequential(
            nn.Linear(4, 8),
            nn.ReLU(),
            nn.Linear(8, 8),
            nn.ReLU(),
            nn.Dropout(0.1),
        )
        """
    ).sites
    assert {name: (site.line, site.exact) for name, site in sites.items()} == {
        "": (4, True), "0": (5, True), "1": (6, True), "2": (7, True), "3": (8, True), "4": (9, True)
    }  # fmt: skip


def test_activation_that_a_loop_builds_once_in_the_text(load_text):
    sites = load_text(
        """\
        layers = []
        for _ in range(3):
            layers.append(nn.Linear(4, 4))
            layers.append(nn.Sigmoid())
        model = nn.Sequential(*layers)
        """
    ).sites
    assert sites["5"] == at(7)
    assert sites["4"] == at(6)


def test_activation_that_could_be_several_lines_gets_the_containers_line(load_text):
    sites = load_text(
        """\
        layers = [nn.Linear(4, 4), nn.Tanh()]
        layers += [
            nn.Linear(4, 4),
            nn.Tanh()]
        model = nn.Sequential(*layers)
        """
    ).sites
    assert sites["1"] == at(8, exact=False)
    assert sites["0"] == at(4)


def test_library_modules_get_the_users_calling_line(load_text):
    sites = load_text("model = nn.TransformerEncoderLayer(8, 2)\n").sites
    assert sites["self_attn"] == at(4)
    assert sites["dropout"] == at(4, exact=False)


def test_copies_made_by_a_library_get_the_line_around_them(load_text):
    sites = load_text("layer = nn.TransformerEncoderLayer(8, 2)\nmodel = nn.TransformerEncoder(layer, 2)\n").sites
    assert sites["layers.1.linear1"] == at(4, exact=False)


def test_class_that_gradcheck_builds_is_shown_by_its_own_line(load_text):
    sites = load_text("class Net(nn.Sequential):\n    def __init__(self):\n        super().__init__(nn.Linear(4, 4))\n").sites
    assert sites == {"": at(4, exact=False), "0": at(6)}


def test_layers_from_a_neighbour_file(write):
    write("from torch import nn\ndef block():\n    return nn.Linear(4, 4)\n", "parts_for_sites.py", header=False)
    write("from parts_for_sites import block\nmodel = nn.Sequential(block())\n")
    assert load(Settings(target="model.py")).sites["0"] == at(3, file="parts_for_sites.py")


def test_lines_inside_the_users_project_are_relative_to_the_working_directory(write):
    write("model = nn.Linear(4, 4)\n", "nets/deep/net.py")
    assert load(Settings(target="nets/deep/net.py")).sites[""] == at(4, file="nets/deep/net.py")


def test_no_hook_stays_after_an_error(refuse):
    from torch.nn.modules import module

    before = len(module._global_module_registration_hooks), len(module._global_parameter_registration_hooks)
    refuse("model = nn.Linear(4, -4)\n")
    assert before == (len(module._global_module_registration_hooks), len(module._global_parameter_registration_hooks))
