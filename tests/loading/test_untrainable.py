"""Models that can be built and not trained are refused with the reason."""

from __future__ import annotations

import pytest

from gradcheck_cli.errors import GradcheckError

BATCH = "x = torch.randn(5, 4)\ny = torch.tensor([0, 1, 0, 1, 0])\n"


@pytest.mark.parametrize(
    ("source", "id", "what"),
    [
        (
            "model = nn.Sequential(nn.Sequential(nn.Linear(4, 2)))\nmodel[0].parent = model\n",
            "E566",
            "`0.parent` is a module that contains itself",
        ),
        (
            "with torch.inference_mode():\n    model = nn.Linear(4, 2)\n",
            "E124",
            "`weight` was made under torch.inference_mode()",
        ),
    ],
)
def test_the_message_names_the_part(load_text, source, id, what):
    with pytest.raises(GradcheckError) as caught:
        load_text(source + BATCH)
    assert (caught.value.id, caught.value.what) == (id, what)


def test_a_module_registered_twice_is_no_cycle(load_text):
    subject = load_text("layer = nn.Linear(4, 4)\nmodel = nn.Sequential(layer, nn.Sequential(layer), layer)\n" + BATCH)
    assert len(list(subject.model.parameters())) == 2


def test_a_reference_to_the_parent_in_a_list_is_no_cycle(load_text):
    subject = load_text("model = nn.Sequential(nn.Linear(4, 2))\nmodel[0].parent = [model]\n" + BATCH)
    assert subject.model[0].parent[0] is subject.model


def test_a_strided_nested_tensor_is_refused(load_text):
    with pytest.raises(GradcheckError) as caught:
        load_text("model = nn.Linear(4, 2)\nx = torch.nested.nested_tensor([torch.randn(2, 4), torch.randn(3, 4)])\n")
    assert (caught.value.id, caught.value.what) == ("E349", "`x` is a nested tensor of the strided layout")


@pytest.mark.parametrize("target", ["", ":Net"])
def test_a_target_that_names_nothing_is_no_directory(load_text, target):
    with pytest.raises(GradcheckError) as caught:
        load_text("model = nn.Linear(4, 2)\n", target=target)
    assert (caught.value.id, caught.value.what) == ("E101", f"no such target: `{target}`")


def test_a_name_that_no_system_takes_is_no_such_target(load_text):
    with pytest.raises(GradcheckError) as caught:
        load_text("model = nn.Linear(4, 2)\n", target="a" * 5000 + ".py")
    assert caught.value.id == "E101"
