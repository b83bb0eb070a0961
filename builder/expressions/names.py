"""Names: which words can be one, and what is said of a name that an expression uses where nothing has it."""

import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass

from builder.expressions.functions import FUNCTIONS
from builder.expressions.values import Fault, Part
from builder.limits import MAX_NAME
from builder.problems import did_you_mean, show

TRUTHS = {"true": True, "false": False}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# No variable can be named so: an expression that uses it would mean something else, or nothing.
RESERVED = frozenset((*keyword.kwlist, *FUNCTIONS, *TRUTHS))

IS_RESERVED = "expressions reserve this word; choose another"
ENGLISH = "names are made of English letters, digits and `_`"
_MAX_LISTED = 10  # names in a hint


@dataclass(frozen=True, slots=True)
class _Context:
    """A name that no spec gives: where an expression stands decides what it means, and whether it means anything."""

    meaning: str
    seen: str


_IN_REPEAT = "inside a `repeat`, not in the blocks that it calls"
_IN_BLOCK = "inside a block, not in `times`, `for` or `when`"
_CONTEXT = {
    "in_channels": _Context("the channels that arrive", "in layers and blocks, but not in `times` and `for`"),
    "index": _Context("the number of an iteration", _IN_REPEAT),
    "count": _Context("how many iterations there are", _IN_REPEAT),
    "block_index": _Context("the number of a call of its block", _IN_BLOCK),
    "block_count": _Context("how many calls of its block there are", _IN_BLOCK),
}
CONTEXT_NAMES = frozenset(_CONTEXT)


def name_fault(name: str) -> tuple[str, str] | None:
    """Why a word can't name a variable, a parameter or a list of `for`: the message and the hint, or None if it can."""
    if not name:
        return "a name is empty", ENGLISH
    cant_be = f"{show(name)} can't be a name"
    if not NAME.fullmatch(name):
        return cant_be, f"{ENGLISH}, and don't begin with a digit"
    if len(name) > MAX_NAME:
        return f"name {show(name)} has {len(name):,} characters", f"it may have {MAX_NAME}"
    if name in RESERVED:
        return cant_be, IS_RESERVED
    if context := _CONTEXT.get(name):
        return cant_be, f"expressions know it as {context.meaning}; choose another"
    return None


def unknown_name(part: Part, known: Iterable[str]) -> Fault:
    """The fault of a name that the scope lacks."""
    code = "unknown-name"
    if context := _CONTEXT.get(part.text):
        return part.fault(f"{show(part.text)} has no value here", f"it has one {context.seen}", code, part.text)
    hint = did_you_mean(part.text, known) or _listed(known)
    return part.fault(f"unknown name {show(part.text)}", hint, code, part.text)


def _listed(known: Iterable[str]) -> str:
    names = sorted(known)
    quoted = [show(name) for name in names[:_MAX_LISTED]]
    if more := len(names) - len(quoted):
        quoted.append(f"{more} more")
    return f"names known here: {', '.join(quoted)}" if names else "no names are known here"
