"""Computed values: the scalar `$name` or `$(expression)` becomes a tree of terms, read once and evaluated per use.

A spec comes from anybody, so an expression is never compiled or run by Python. Its characters and words are checked
first (`words`); then Python's own parser gives the tree, so that precedence is Python's, and a closed walk (`tree`)
makes terms of the few nodes that the language has. Whatever is wrong is a `Fault` at the characters where it is wrong.
"""

from builder.expressions.names import CONTEXT_NAMES, NAME, RESERVED, name_fault, unknown_name
from builder.expressions.reading import Expression, evaluate, is_computed, parse
from builder.expressions.values import (
    MAX_NESTING,
    MAX_WHOLE,
    Fault,
    Layers,
    Number,
    Part,
    Rounded,
    Scope,
    Value,
    whole,
)
from builder.limits import MAX_EXPRESSION

__all__ = [
    "CONTEXT_NAMES",
    "MAX_EXPRESSION",
    "MAX_NESTING",
    "MAX_WHOLE",
    "NAME",
    "RESERVED",
    "Expression",
    "Fault",
    "Layers",
    "Number",
    "Part",
    "Rounded",
    "Scope",
    "Value",
    "evaluate",
    "is_computed",
    "name_fault",
    "parse",
    "unknown_name",
    "whole",
]
