"""The events of a YAML text, from libyaml where PyYAML has it, from PyYAML's own parser otherwise.

The stream of events neither recurses nor constructs anything. Where the two parsers differ, the second is brought to
what the first does.
"""

import re
from collections.abc import Callable
from typing import Any, Protocol

from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner, ScannerError
from yaml.tokens import ScalarToken

_BREAKS = "\r\n\x85\u2028\u2029"
_BLANKS = re.compile("[ \t]*")
_WORD = re.compile(rf"(?:[^:\0 \t{_BREAKS}]|:(?![\0 \t{_BREAKS}]))*")
_WORD_IN_BRACKETS = re.compile(rf"(?:[^:,\[\]{{}}\0 \t{_BREAKS}]|:(?![,?\[\]{{}}\0 \t{_BREAKS}]))*")

# The marks and events of both parsers are of no common type; those of a mark are `index`, `line`, `column`, from 0.
Mark = Any
Event = Any


class Events(Protocol):
    """What both parsers of PyYAML do."""

    def get_event(self) -> Event: ...

    def dispose(self) -> None: ...


class PythonEvents(Reader, Scanner, Parser):
    """PyYAML's own parser, without the parts that compose, resolve and construct."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def scan_to_next_token(self) -> None:
        """Skip blanks and comments; unlike the method that it replaces, tabs too where libyaml skips them."""
        while True:
            while self.peek() == " " or (self.peek() == "\t" and (self.flow_level or not self.allow_simple_key)):
                self.forward()
            if self.peek() == "#":
                while self.peek() not in f"\0{_BREAKS}":
                    self.forward()
            if not self.scan_line_break():  # type: ignore[no-untyped-call]
                return
            if not self.flow_level:
                self.allow_simple_key = True

    def scan_plain(self) -> ScalarToken:
        """One unquoted text. In brackets it may hold `?` and may not hold `:,` or `:]`, both as with libyaml."""
        start = end = self.get_mark()
        indent = self.indent + 1
        word = _WORD_IN_BRACKETS if self.flow_level else _WORD
        chunks: list[str] = []
        spaces: list[str] = []
        while self.peek() != "#" and (length := self._length(word)):
            self.allow_simple_key = False
            chunks += [*spaces, self.prefix(length)]
            self.forward(length)
            self._check_colon(start)
            end = self.get_mark()
            spaces = self.scan_plain_spaces(indent, start)
            if not spaces or (not self.flow_level and self.column < indent):
                break
        return ScalarToken("".join(chunks), True, start, end)

    def _length(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.buffer, self.pointer)
        return len(match.group()) if match else 0

    def _check_colon(self, start: Mark) -> None:
        if self.flow_level and self.peek() == ":" and self.peek(1) in ",?[]{}":
            raise ScannerError("while scanning a plain scalar", start, "found unexpected ':'", self.get_mark())

    def scan_plain_spaces(self, indent: int, start_mark: Mark) -> list[str]:
        """The blanks and line breaks inside an unquoted text; tabs are blanks, as with libyaml."""
        blanks = self.prefix(self._length(_BLANKS))
        if "\t" not in blanks:
            return super().scan_plain_spaces(indent, start_mark) or []
        self.forward(len(blanks))
        if self.peek() in _BREAKS:
            return super().scan_plain_spaces(indent, start_mark) or []
        return [blanks]


try:
    from yaml._yaml import CParser
except ImportError:  # this build of PyYAML is without libyaml, which is some 19 times faster
    open_events: Callable[[str], Events] = PythonEvents
else:
    open_events = CParser
