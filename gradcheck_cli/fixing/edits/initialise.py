"""Other initial weights: statements of a function that the built model runs through."""

from __future__ import annotations

from gradcheck_cli.fixing.draft import CannotPatch, Draft
from gradcheck_cli.fixing.initialisation import listed, selection, trainable
from gradcheck_cli.fixing.names import spell
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.records import Edit

# Activations whose weights are drawn as for ReLU, and those that ask for nothing; the others by torch's calculate_gain.
_RECTIFIERS = ("prelu", "rrelu", "relu6", "elu", "celu", "gelu", "silu", "mish", "hardswish", "softplus", "threshold")
_KNOWN = ("relu", "leaky_relu", "tanh", "sigmoid", "selu")
_GATES = {"LSTM": 4, "LSTMCell": 4, "GRU": 3, "GRUCell": 3}


def apply(project: Project, edit: Edit) -> None:
    scheme = str(edit.options.get("scheme", "he"))
    if scheme == "lsuv":
        raise CannotPatch("it needs a batch where the model is built, which only the training code has")
    layers = [name for name in edit.layers if name in project.layers]
    parameters = trainable(project, [name for name in edit.layers if name not in project.layers])
    if any(project.layer(name).role == "recurrent" for name in layers):
        raise CannotPatch("weights of a recurrent layer are drawn gate by gate")
    if parameters:
        known = {p.name: p for p in project.profile.parameters}
        gated = [n for n in parameters if n in known and known[n].layer_kind in _GATES and known[n].role == "recurrent"]
        if gated and scheme == "orthogonal":
            raise CannotPatch(f"`{gated[0]}` holds several gates, each of which is drawn by itself")
        project.initialisation.append(lambda draft: _of_parameters(draft, parameters, scheme, edit))
    if layers:
        project.initialisation.append(lambda draft: _of_layers(project, draft, layers, scheme, edit))


def _of_parameters(draft: Draft, names: list[str], scheme: str, edit: Edit) -> str:
    draw = _draw(draft, scheme, edit, "parameter")
    if len(names) == 1:
        return f'parameter = model.get_parameter("{names[0]}")\n{draw}'
    return f"for name in ({listed(names)}):\n    parameter = model.get_parameter(name)\n    {draw}"


def _of_layers(project: Project, draft: Draft, names: list[str], scheme: str, edit: Edit) -> str:
    loop, indent = selection(project, draft, names)
    if scheme == "default":
        return f"{loop}\n{indent}module.reset_parameters()"
    zeros = f"{spell(draft, 'torch.nn.init')}.zeros_(module.bias)"
    body = [_draw(draft, scheme, edit, "module.weight"), "if module.bias is not None:", f"    {zeros}"]
    return "\n".join([loop, *(indent + line for line in body)])


def _draw(draft: Draft, scheme: str, edit: Edit, weight: str) -> str:
    """Write the call that draws one weight; the gains are those of the trial."""
    init = spell(draft, "torch.nn.init")
    of = str(edit.options.get("gain_of", "relu" if scheme == "he" else "linear"))
    of = "relu" if of in _RECTIFIERS else of if of in _KNOWN else "linear"
    gain = "" if of == "linear" else f', gain={init}.calculate_gain("{of}")'
    forms = {
        "he": f'{init}.kaiming_normal_({weight}, nonlinearity="{of}")',
        "xavier": f"{init}.xavier_normal_({weight}{gain})",
        "orthogonal": f"{init}.orthogonal_({weight}{gain})",
        "lecun": f'{init}.kaiming_normal_({weight}, nonlinearity="linear")',
        "default": f"{init}.kaiming_uniform_({weight}, a=5**0.5)",
    }
    if scheme not in forms:
        raise CannotPatch(f"the initialisation {scheme} has no form in source")
    return forms[scheme]
