"""Events -> nodes: one pass over a YAML text that collects every problem it can see.

A stream of events neither recurses nor constructs anything, so the caps on depth and aliases hold before the objects
they guard against exist.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import NoReturn

import yaml

from builder.limits import MAX_ALIASED_NODES, MAX_ALIASES, MAX_DEPTH, MAX_EXPRESSION, MAX_NODES
from builder.problems import Place, Problem, Source, show
from builder.source import events
from builder.source.events import Event, Events, Mark, PythonEvents
from builder.source.frames import Anchored, Open
from builder.source.nodes import Entry, ListNode, MapNode, Node, Scalar
from builder.source.positions import Positions
from builder.source.scalars import Fault, Value, resolve
from builder.source.syntax import Break, SyntaxFault, bad_escape, explain, tag_fault

_NO_VALUE = re.compile(r"\s*[,}]")  # what follows a key that has nothing behind it
_SURROGATE = re.compile("[\ud800-\udfff]")
_PROPERTIES = re.compile(r"(?:&[\w-]*\s*|!\S*\s*|#[^\n]*\n\s*)+")
# A directive above the document that is none of YAML 1.1 or 1.2.
_ODD_DIRECTIVE = re.compile(r"(?:[ \t]*(?:#.*)?[\r\n]|%(?:YAML[ \t]+1\.[12]|TAG)[ \t\r\n].*)*+(?=%)")


_TOO_NESTED = "maximum nesting depth"  # in the words of libyaml, from PyYAML 6.0.4 on


class _GivenUpError(Exception):
    """The pass ends here: what follows can't be understood, or would cost too much."""


def _is_cut(scalar: Scalar) -> bool:
    """Whether an unquoted computed value ends before its parentheses do."""
    raw = scalar.raw
    is_expression = not scalar.quoted and raw.startswith("$") and len(raw) <= MAX_EXPRESSION
    return is_expression and raw.count("(") > raw.count(")")


class Composer:
    """One pass over the events of one text."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.broken = False  # the pass ended early
        self._stack: list[Open] = []
        self._root: Node | None = None
        self._anchors: dict[str, Anchored] = {}
        self._nodes = 0
        self._aliases = 0
        self._aliased_nodes = 0
        self._documents = 0
        self._quote = -1  # where the last quoted text began
        self._handlers: dict[type, Callable[[Event], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.AliasEvent: self._alias,
            yaml.SequenceStartEvent: self._start,
            yaml.MappingStartEvent: self._start,
            yaml.SequenceEndEvent: self._end,
            yaml.MappingEndEvent: self._end,
            yaml.DocumentStartEvent: self._document,
        }

    def compose(self) -> Node | None:
        """The node of the text, as far as `problems` stays empty; None if there is none."""
        return self._compose(events.open_events(self.source.text))

    def _compose(self, stream: Events) -> Node | None:
        try:
            self._check_directives()
            while (event := stream.get_event()) is not None:
                if handler := self._handlers.get(type(event)):
                    handler(event)
        except _GivenUpError:
            self.broken = True
        except yaml.MarkedYAMLError as error:
            if _TOO_NESTED in str(error.problem):
                return self._compose_again()
            since = error.context_mark.index if error.context_mark else -1
            at = error.problem_mark.index if error.problem_mark else 0
            self._give_up(f"{error.context}: {error.problem}", at, since)
        except (ValueError, OverflowError):
            if not isinstance(stream, PythonEvents):
                raise
            self._give_up_inside(stream)
        finally:
            stream.dispose()
        return self._root

    def _compose_again(self) -> Node | None:
        """libyaml looks far ahead, and may find the text nested too deep before any event has told where our cap is."""
        other = Composer(self.source)
        root = other._compose(PythonEvents(self.source.text))
        self.problems, self.broken = other.problems, other.broken
        return root

    # --- events ---

    def _document(self, event: Event) -> None:
        self._documents += 1
        if self._documents > 1:
            end = event.end_mark.index  # an event with directives starts at them, but always ends with `---`
            hint = "a spec is one document: remove `---`, or use two files"
            self._refuse("several-documents", "a second document starts here", self._place(end - 3, end), hint)

    def _scalar(self, event: Event) -> None:
        if event.anchor is not None or event.tag is not None:
            self._check_properties(event)
        place = self._scalar_place(event)
        quoted = bool(event.style)  # of a plain scalar it is "" with libyaml, None with PyYAML
        if not quoted and self._goes_on(event, place):
            return
        value: Value = event.value
        if quoted:
            self._check_quoted(event)
        elif event.tag is None:
            value = self._plain_value(event, place)
        self._add(Scalar(value, place, quoted, event.value), place, event.anchor)

    def _plain_value(self, event: Event, place: Place) -> Value:
        top = self._stack[-1] if self._stack else None
        value = resolve(event.value)
        if not isinstance(value, Fault):
            return value
        if top is None or not top.key_due:  # a number as a key is refused as a key
            self._report(value.code, value.message, place, value.hint)
        return None

    def _goes_on(self, event: Event, place: Place) -> bool:
        """Whether the words only go on with a computed value that a comma has cut: `{a: $(min(b, c))}`.

        To YAML that mapping has a second key, `c))`, with nothing behind it.
        """
        top = self._stack[-1] if self._stack else None
        cut = top.last if top and top.in_brackets else None
        if top is None or not isinstance(cut, Scalar) or not _is_cut(cut):
            return False
        if top.is_map and not _NO_VALUE.match(self.source.text, event.end_mark.index):
            return False
        text = f"{cut.raw}, {event.value}"
        whole = Scalar(text, replace(cut.place, end_line=place.end_line, end_column=place.end_column), False, text)
        if self.problems and self.problems[-1].place == cut.place:
            self.problems.pop()  # it told of the part that was known then
        in_quotes = show(f'"{text}"')
        hint = "close it, and write it in quotes" if _is_cut(whole) else f"write it in quotes: {in_quotes}"
        self._report("unquoted-comma", f"a comma ends the value {show(text.partition(',')[0])}", whole.place, hint)
        top.replace_last(whole)
        top.value_due, top.key = top.is_map, None
        return True

    def _start(self, event: Event) -> None:
        if event.anchor is not None or event.tag is not None:
            self._check_properties(event)
        first = self._first(event)
        if len(self._stack) == MAX_DEPTH:
            self._too_deep(self._place(first, first + 1))
        if event.anchor is not None:
            self._anchors[event.anchor] = Anchored(self._place(first, first + 1))
        is_map = type(event) is yaml.MappingStartEvent
        in_brackets = bool(event.flow_style)
        bracket = in_brackets and first < event.end_mark.index and self.source.text[first] in "[{"
        self._stack.append(Open(event.start_mark, first, is_map, in_brackets, bracket, event.anchor))

    def _end(self, event: Event) -> None:
        closed = self._stack.pop()
        place = self._collection_place(closed, event.end_mark)
        node: Node = (
            MapNode(tuple(closed.entries.values()), place) if closed.is_map else ListNode(tuple(closed.items), place)
        )
        self._add(node, place, closed.anchor, closed.size, closed.height)

    def _alias(self, event: Event) -> None:
        place = self._span(event.start_mark, event.end_mark)
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            self._refuse("too-many-aliases", f"spec has more than {MAX_ALIASES} aliases", place, "write the values out")
        target = self._anchors.get(event.anchor)
        if target is None or target.node is None:
            self._dangling(event.anchor, target, place)
            self._add(Scalar(None, place, False, ""), place, refused=True)
            return
        self._aliased_nodes += target.size
        if self._aliased_nodes > MAX_ALIASED_NODES:
            message = f"aliases repeat more than {MAX_ALIASED_NODES:,} values"
            self._refuse("too-many-aliases", message, place, "write the values out")
        if len(self._stack) + target.height > MAX_DEPTH:
            self._too_deep(place)
        self._add(target.node, place, None, target.size, target.height)

    def _dangling(self, name: str, target: "Anchored | None", place: Place) -> None:
        shown = show(f"*{name}")
        if target is None:
            hint = f"set {show(f'&{name}')} before it; text that starts with `*` needs quotes"
            self._report("unknown-alias", f"alias {shown} repeats nothing", place, hint)
        else:
            message = f"alias {shown} is inside the value that it repeats, which starts on line {target.place.line}"
            self._report("alias-of-itself", message, place, "a value can't hold itself")

    # --- the tree ---

    def _add(
        self, node: Node, place: Place, anchor: str | None = None, size: int = 1, height: int = 0, refused: bool = False
    ) -> None:
        """Put a node that stands at `place` where the innermost open collection wants it."""
        if anchor is not None:
            self._anchors[anchor] = Anchored(place, node, size, height)
        if not self._stack:
            self._root = node
            return
        top = self._stack[-1]
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._refuse(
                "too-many-values", f"spec has more than {MAX_NODES:,} values", place, "split it, or write less"
            )
        top.size += size
        top.height = max(top.height, height + 1)
        if not top.is_map:
            top.items.append(node)
        elif top.value_due:
            top.value_due = False
            if top.key is not None:
                top.entries[top.key[0]] = Entry(*top.key, node)
        else:
            top.value_due = True
            top.key = None if refused else self._key(top, node, place)

    def _key(self, top: Open, node: Node, place: Place) -> tuple[str, Place] | None:
        """The node as a key of `top`, or None and a problem."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            self._not_text(node, place)
            return None
        key = node.value
        if key == "<<" and not node.quoted:
            self._report("merge-key", "merge key `<<` is not allowed", place, "write the keys here")
            return None
        if first := top.entries.get(key):
            self._duplicate(key, first.key_place.line, place)
            return None
        return key, place

    def _not_text(self, node: Node, place: Place) -> None:
        if not isinstance(node, Scalar):
            what = "list" if isinstance(node, ListNode) else "mapping"
            self._report("key-not-text", f"key is a {what}", place, "a key is text; a text with brackets needs quotes")
        elif not node.raw:
            self._report("key-not-text", "key is empty", place, "write a name before the colon")
        else:
            hint = f"a key is text; in quotes, {show(chr(34) + node.raw + chr(34))} would be"
            self._report("key-not-text", f"key {show(node.raw)} is not text", place, hint)

    def _duplicate(self, key: str, line: int, place: Place) -> None:
        where = f"is given on line {line} and again on line {place.line}"
        if line == place.line:
            where = f"is given twice on line {line}"
        self._report("duplicate-key", f"key {show(key)} {where}", place, "keep one of the two")

    # --- checks of one event ---

    def _check_properties(self, event: Event) -> None:
        """Tags are refused, and an anchor has one meaning."""
        text, start = self.source.text, event.start_mark.index
        if event.tag is not None:
            properties = _PROPERTIES.match(text, start)
            first = text.find("!", start, properties.end() if properties else None)
            self._fault(tag_fault(text, max(first, start)))
        if event.anchor is not None and event.anchor in self._anchors:
            first = text.find("&", start)
            line = self._anchors[event.anchor].place.line
            place = self._place(first, first + 1 + len(event.anchor))
            message = f"anchor {show(f'&{event.anchor}')} is set on line {line} and again on line {place.line}"
            self._report("duplicate-anchor", message, place, "give each its own name")

    def _check_directives(self) -> None:
        if odd := _ODD_DIRECTIVE.match(self.source.text):
            self._give_up("while scanning a directive", odd.end(), odd.end())
            raise _GivenUpError

    def _check_quoted(self, event: Event) -> None:
        self._quote = event.start_mark.index
        # libyaml refuses `"\ud800"` itself
        if (
            event.style == '"'
            and _SURROGATE.search(event.value)
            and (fault := bad_escape(self.source.text, self._quote))
        ):
            self._fault(fault)
            raise _GivenUpError

    # --- places ---

    @cached_property
    def _positions(self) -> Positions:
        return Positions(self.source)

    def _place(self, first: int, last: int) -> Place:
        return self._positions.place(first, last)

    def _span(self, start: Mark, end: Mark) -> Place:
        return Place(self.source, start.line + 1, start.column + 1, end.line + 1, end.column + 1)

    def _first(self, event: Event) -> int:
        """The character that a node starts with, behind its anchor and tag."""
        start: int = event.start_mark.index
        if event.anchor is None and event.tag is None:
            return start
        properties = _PROPERTIES.match(self.source.text, start)
        end: int = event.end_mark.index
        return min(properties.end() if properties else start, end)

    def _scalar_place(self, event: Event) -> Place:
        if event.style in ("|", ">"):  # their end marks lie on a line below
            first = self._first(event)
            return self._place(first, self._positions.line_end(first))
        if event.anchor is not None or event.tag is not None:
            return self._place(self._first(event), event.end_mark.index)
        if not event.value and not event.style:
            return self._place_of_nothing(event.start_mark.index)
        return self._span(event.start_mark, event.end_mark)

    def _place_of_nothing(self, index: int) -> Place:
        """Right behind what stands before: PyYAML puts a missing value elsewhere in brackets than libyaml."""
        index = self._without_blanks(index)
        return self._place(index, index)

    def _without_blanks(self, index: int) -> int:
        while index and self.source.text[index - 1] in " \t\r\n\x85\u2028\u2029":
            index -= 1
        return index

    def _collection_place(self, closed: Open, end: Mark) -> Place:
        start = closed.start
        if closed.first != start.index or (closed.in_brackets and not closed.bracket):
            last = self._without_blanks(end.index) if closed.in_brackets else self._positions.line_end(closed.first)
            return self._place(closed.first, last)
        if closed.in_brackets:
            return self._span(start, end)
        width = len(self.source.lines[start.line].rstrip())
        return Place(self.source, start.line + 1, start.column + 1, start.line + 1, max(width, start.column) + 1)

    # --- problems ---

    def _report(self, code: str, message: str, place: Place, hint: str) -> None:
        self.problems.append(Problem(code, message, place, hint))

    def _refuse(self, code: str, message: str, place: Place, hint: str) -> NoReturn:
        self._report(code, message, place, hint)
        raise _GivenUpError

    def _fault(self, fault: SyntaxFault) -> None:
        self._report(fault.code, fault.message, self._place(fault.first, fault.last), fault.hint)

    def _too_deep(self, place: Place) -> NoReturn:
        hint = "nest the values less deeply"
        self._refuse("too-deep", f"spec is nested deeper than {MAX_DEPTH} levels", place, hint)

    def _give_up(self, words: str, at: int, since: int = -1) -> None:
        """The text is not YAML from here on: say what is wrong, and end the pass."""
        openers = [frame.first for frame in self._stack if frame.bracket]
        self._fault(explain(Break(self._positions, words, at, since, tuple(openers), self._quote)))
        self.broken = True

    def _give_up_inside(self, stream: PythonEvents) -> None:
        """PyYAML's own parser fails in chr() or int() without a mark of its own."""
        at = stream.get_mark().index
        escape = self.source.text.rfind("\\", 0, at)
        if escape == at - 2:
            self._give_up("quoted scalar: escape", at, escape)
        else:
            self._give_up("while scanning a directive", at, self.source.text.rfind("%", 0, at))
