"""A gated recurrent layer in place of a vanilla one."""

from __future__ import annotations

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft, nodes_of
from gradcheck_cli.fixing.names import spell
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.fixing.sites import Construction, constructions, refuse_beside
from gradcheck_cli.records import Edit

_POSITIONAL = 3  # nn.RNN(input_size, hidden_size, num_layers, nonlinearity, ...): GRU and LSTM have no nonlinearity


def apply(project: Project, edit: Edit) -> None:
    to = str(edit.options["to"]).upper()
    for name in edit.layers:
        if project.layer(name).kind not in ("RNN", "RNNCell"):
            raise CannotPatch(f"the loop of `{name}` is written by hand")
    made = constructions(project, edit.layers)
    refuse_beside(made)
    for each in made:
        cell = each.layers[0].kind.endswith("Cell")
        if to == "LSTM":
            if cell:
                raise CannotPatch("an LSTM cell hands on two states where the loop has one")
            _take_both_states(project, each)
        _rename(each.draft, each.call, f"{to}{'Cell' * cell}")


def _rename(draft: Draft, call: cst.Call, name: str) -> None:
    if len([a for a in call.args if a.keyword is None]) > _POSITIONAL or any(a.star for a in call.args):
        raise CannotPatch(f"{draft.name}:{draft.line(call)} gives its arguments by position")
    function = cst.parse_expression(spell(draft, f"torch.nn.{name}"))
    kept = [a for a in call.args if a.keyword is None or a.keyword.value != "nonlinearity"]
    if len(kept) < len(call.args) and kept:
        kept = [*kept[:-1], kept[-1].with_changes(comma=call.args[-1].comma)]
    draft.replace(call, call.with_changes(func=function, args=kept))


def _take_both_states(project: Project, made: Construction) -> None:
    """An LSTM returns its state as a pair, of which `h` was all: `out, h = self.rnn(x)` takes `out, (h, _)`."""
    for layer in made.layers:
        owner, _, attribute = layer.name.rpartition(".")
        draft, scope = project.owner_class(owner)
        calls = [x for x in nodes_of(scope, cst.Call) if _is_attribute(x.func, attribute)]
        if not calls:
            raise CannotPatch(f"no call of `self.{attribute}` is to be seen in `{scope.name.value}`")
        for call in calls:
            _unpack(draft, call)


def _is_attribute(node: cst.BaseExpression, name: str) -> bool:
    return isinstance(node, cst.Attribute) and node.attr.value == name and isinstance(node.value, cst.Name)


def _unpack(draft: Draft, call: cst.Call) -> None:
    above = draft.parent(call)
    where = f"{draft.name}:{draft.line(call)}"
    if len(call.args) != 1:
        raise CannotPatch(f"{where} hands a hidden state on, beside which an LSTM needs the cell's")
    target = above.targets[0].target if isinstance(above, cst.Assign) and len(above.targets) == 1 else None
    if not isinstance(target, cst.Tuple) or len(target.elements) != 2:
        raise CannotPatch(f"{where} does not take output and state apart, and an LSTM's state is a pair")
    state = target.elements[1].value
    if not isinstance(state, cst.Name):
        raise CannotPatch(f"{where} takes the state apart in a way that an LSTM's does not fit")
    if state.value != "_":
        draft.replace(state, cst.parse_expression(f"({state.value}, _)"))
