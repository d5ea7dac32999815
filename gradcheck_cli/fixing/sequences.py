"""Elements of calls and lists: put one in or take one out, with the commas and line breaks of its neighbours."""

from __future__ import annotations

import libcst as cst

from gradcheck_cli.fixing.draft import CannotPatch, Draft

Element = cst.Arg | cst.Element
_SPACED = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))


def element_around(draft: Draft, node: cst.CSTNode) -> Element | None:
    """Return the plain positional argument or the list or tuple element that this expression is, if it is one."""
    above = draft.parent(node)
    if isinstance(above, cst.Arg) and above.keyword is None and above.star == "":
        return above
    return above if isinstance(above, cst.Element) else None


def siblings(draft: Draft, element: Element) -> list[Element]:
    """Return the elements of the call, list or tuple that holds this one."""
    holder = draft.parent(element)
    if isinstance(holder, cst.Call):
        return list(holder.args)
    assert isinstance(holder, (cst.List, cst.Tuple, cst.Set))
    return [x for x in holder.elements if isinstance(x, cst.Element)]


def add_behind(draft: Draft, element: Element, value: cst.BaseExpression) -> None:
    """Plan a further element behind this one."""
    everyone = siblings(draft, element)
    own = element.comma
    if isinstance(own, cst.Comma) and element is everyone[-1] and len(everyone) > 1:
        previous = everyone[-2].comma  # the last comma leads to the bracket, the one before to an element
        behind = _led_by(own, previous) if isinstance(previous, cst.Comma) else own
    else:
        behind = own if isinstance(own, cst.Comma) else _between(everyone)
    kind = type(element)
    draft.change(element, lambda node: node.with_changes(comma=behind))
    draft.add_node_after(element, kind(value, comma=_bare(own)))


def _between(everyone: list[Element]) -> cst.Comma:
    """Return the comma that stands between the elements: with its line break, without a neighbour's comment."""
    found = everyone[0].comma
    bare = _bare(found)
    return bare if isinstance(bare, cst.Comma) else _SPACED


def _led_by(own: cst.Comma, pattern: cst.Comma) -> cst.Comma:
    """Return the own comma and comment, with the indentation of the pattern behind it."""
    mine, theirs = own.whitespace_after, pattern.whitespace_after
    if isinstance(mine, cst.ParenthesizedWhitespace) and isinstance(theirs, cst.ParenthesizedWhitespace):
        return own.with_changes(whitespace_after=mine.with_changes(indent=theirs.indent, last_line=theirs.last_line))
    return own.with_changes(whitespace_after=theirs)


def _bare(comma: cst.Comma | cst.MaybeSentinel) -> cst.Comma | cst.MaybeSentinel:
    """Return a comma without the comment behind it."""
    if not isinstance(comma, cst.Comma):
        return comma
    space = comma.whitespace_after
    if isinstance(space, cst.ParenthesizedWhitespace):
        first = space.first_line.with_changes(comment=None, whitespace=cst.SimpleWhitespace(""))
        space = space.with_changes(first_line=first, empty_lines=[])
    return cst.Comma(whitespace_before=comma.whitespace_before, whitespace_after=space)


def take_out(draft: Draft, element: Element) -> None:
    """Plan the removal of an element."""
    everyone = siblings(draft, element)
    if len(everyone) == 1:
        raise CannotPatch("nothing would be left in its container")
    if element is everyone[-1]:
        comma = _bare(element.comma)
        before = everyone[-2]
        kept = before.comma
        behind = _led_by(kept, comma) if isinstance(kept, cst.Comma) and isinstance(comma, cst.Comma) else comma
        draft.change(before, lambda node: node.with_changes(comma=behind))
    draft.remove(element)
