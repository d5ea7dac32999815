"""The argument of an operation stays where its value and its derivative are finite."""

from __future__ import annotations

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft, nodes_of
from gradcheck_cli.fixing.names import last_name
from gradcheck_cli.fixing.operations import calls_in, is_method, operand
from gradcheck_cli.fixing.project import Project
from gradcheck_cli.records import Edit

# How the argument is written; the numbers are those of the trial.
_FORMS = {
    "log": "{}.clamp_min(1e-8)",
    "log2": "{}.clamp_min(1e-8)",
    "log10": "{}.clamp_min(1e-8)",
    "log1p": "{}.clamp_min(-1 + 1e-6)",
    "sqrt": "({}.clamp_min(0) + 1e-8)",
    "rsqrt": "{}.clamp_min(1e-8)",
    "exp": "{}.clamp(max=20)",
    "expm1": "{}.clamp(max=20)",
    "acos": "{}.clamp(-1 + 1e-6, 1 - 1e-6)",
    "asin": "{}.clamp(-1 + 1e-6, 1 - 1e-6)",
    "atanh": "{}.clamp(-1 + 1e-6, 1 - 1e-6)",
}
_POSITIVE = ("std", "var", "norm", "sqrt", "abs", "exp", "square")


def apply(project: Project, edit: Edit) -> None:
    operation = str(edit.options["operation"]).lower().replace("_", "")
    for owner in edit.layers or ("",):
        draft, scope = project.owner_class(owner.partition("/")[0])
        if operation in ("div", "truedivide", "divide", "reciprocal"):
            found = _divisors(draft, scope)
        elif operation in _FORMS:
            found = [
                (operand(draft, call), _FORMS[operation], is_method(draft, call)) for call in calls_in(draft, scope, operation)
            ]
        elif operation == "pow":
            found = [(x, "{}.clamp_min(1e-8)", True) for x in _bases(draft, scope)]
        else:
            raise CannotPatch(f"a guard for {operation} has no form in source")
        if not found:
            raise CannotPatch(f"no {operation} is to be seen in `{scope.name.value}` ({draft.name})")
        for node, form, bound in found:
            _guard(draft, node, form, bound=bound)


def _divisors(draft: Draft, scope: cst.CSTNode) -> list[tuple[cst.BaseExpression, str, bool]]:
    """Divisors that may be zero: what is no number, and no size that is read from a shape."""
    divisors = [x.right for x in nodes_of(scope, cst.BinaryOperation) if isinstance(x.operator, cst.Divide)]
    divisors += [x.value for x in nodes_of(scope, cst.AugAssign) if isinstance(x.operator, cst.DivideAssign)]
    divisors += [x.args[1].value for x in calls_in(draft, scope, "div") if not is_method(draft, x) and len(x.args) > 1]
    found = []
    for node in divisors:
        names = {last_name(c.func) for c in nodes_of(node, cst.Call)} | {a.attr.value for a in nodes_of(node, cst.Attribute)}
        if isinstance(node, (cst.Integer, cst.Float)) or names & {"len", "shape", "size", "numel", "math"}:
            continue
        top = last_name(node.func) if isinstance(node, cst.Call) else ""
        found.append((node, "{}.clamp_min(1e-8)" if top in _POSITIVE else "({} + 1e-8)", True))
    return found


def _bases(draft: Draft, scope: cst.CSTNode) -> list[cst.BaseExpression]:
    powers = [x.left for x in nodes_of(scope, cst.BinaryOperation) if isinstance(x.operator, cst.Power)]
    return powers + [operand(draft, call) for call in calls_in(draft, scope, "pow")]


def _guard(draft: Draft, node: cst.BaseExpression, form: str, *, bound: bool) -> None:
    """Plan the guarded form. `bound`: something binds the argument more closely than an addition does."""

    def guarded(inner: cst.CSTNode) -> cst.CSTNode:
        assert isinstance(inner, cst.BaseExpression)
        simple = isinstance(inner, (cst.Name, cst.Attribute, cst.Call, cst.Subscript)) or bool(getattr(inner, "lpar", ()))
        code = draft.tree.code_for_node(inner)
        made = form.format(code if simple else f"({code})")
        return cst.parse_expression(made if bound or not form.startswith("(") else made[1:-1])

    draft.change(node, guarded)
