"""What a person most probably meant where the text is not YAML.

libyaml and PyYAML word their errors differently, and both name tokens that no author of a spec knows. Only the kind
and the position of an error are taken from them; what is said about it, and where, is ours and the same for both.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from builder.problems import show
from builder.source.positions import Positions

LONGEST_KEY = 1000  # YAML allows 1024 characters; whatever fails with a longer key fails because of it
QUOTES = "put text with special characters in quotes"
NO_TAGS = "remove it; text, numbers, true, false and null need no tag"

_CLOSER = {"[": "]", "{": "}"}
_OPENER = {closer: opener for opener, closer in _CLOSER.items()}
_ESCAPE = re.compile(r"\\(?:[0abt\tnvfe \"/\\N_LP\r\n\x85\u2028\u2029]|x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8})?")
_WRITTEN_ESCAPE = re.compile(r"\\(?:[xuU][\da-fA-F]{0,8}|.)?", re.DOTALL)
# What a search for the bracket that closes another must see: quoted text, comments, brackets.
_FLOW_TOKEN = re.compile(
    r"""(?<![^\s,\[{:])(?:"(?:\\.|[^"\\])*+"|'(?:''|[^'])*+')|(?<!\S)\#[^\n]*|[\[\]{}]""", re.VERBOSE | re.DOTALL
)
_WORD = re.compile(r"[^\s,\[\]{}]+?(?=:?(?:[\s,\[\]{}]|\Z))|\S")
_LAST_WORD = re.compile(r"[^\s,\[\]{}]+(?=\s*\Z)")
_GLUED_KEY = re.compile(r"([A-Za-z_$][\w$-]*):(?=[^\s:/])")
_NO_KEY = ("colon without a key", "write `key: value`")
_ITEM_MARKS = re.compile(r"(?:-\s+)*")


@dataclass(frozen=True, slots=True)
class SyntaxFault:
    """What is wrong, what would be right, and the span of characters that it is about."""

    message: str
    hint: str
    first: int
    last: int
    code: str = "yaml-syntax"


@dataclass(frozen=True, slots=True)
class Break:
    """Where a parser gave up: its words, the character it stopped at, the one where its construct began.

    `openers` are the brackets that were open, the innermost last; `quote` is where the last quoted text began, or -1.
    """

    positions: Positions
    words: str
    at: int
    since: int
    openers: tuple[int, ...]
    quote: int

    @property
    def text(self) -> str:
        return self.positions.text

    @property
    def char(self) -> str:
        return self.text[self.at : self.at + 1]

    @property
    def before(self) -> str:
        """The text before the break, on its line."""
        return self.text[self.positions.line_start(self.at) : self.at]

    def column(self, index: int) -> int:
        return index - self.positions.line_start(index)

    def fault(self, message: str, hint: str, first: int, last: int) -> SyntaxFault:
        return SyntaxFault(message, hint, first, max(first, last))

    def at_word(self, message: str, hint: str, index: int = -1) -> SyntaxFault:
        """A fault of the word at `index`, or else where the parser stopped; `{}` in the message becomes the word."""
        first, last = self.word(self.at if index < 0 else index)
        return self.fault(message.replace("{}", show(self.text[first:last])), hint, first, last)

    def word(self, index: int) -> tuple[int, int]:
        """The span of the word at `index`; at the end of the text, its last character."""
        match = _WORD.match(self.text, index)
        if match:
            return match.span()
        last = len(self.text[:index].rstrip())
        return max(0, last - 1), last


def explain(broken: Break) -> SyntaxFault:
    """Say what is wrong where a parser stopped."""
    if broken.char == "\t":
        return _tab(broken)
    for pattern, kind in _KINDS:
        if pattern.search(broken.words):
            return kind(broken)
    return _not_yaml(broken)


def _not_yaml(broken: Break) -> SyntaxFault:
    return broken.at_word("{} can't stand here", QUOTES)


def _tab(broken: Break) -> SyntaxFault:
    last = broken.at + len(broken.text) - broken.at - len(broken.text[broken.at :].lstrip("\t"))
    return broken.fault("tab in the indentation", "indent with spaces", broken.at, last)


def _quote(broken: Break) -> SyntaxFault:
    return _never_closed(broken, "quote", broken.since, broken.text[broken.since])


def _never_closed(broken: Break, what: str, opened: int, closer: str) -> SyntaxFault:
    hint = f"opened on line {broken.positions.line_of(opened)}; close it with `{closer}`"
    return broken.fault(f"{what} `{broken.text[opened]}` is never closed", hint, opened, opened + 1)


def _escape(broken: Break) -> SyntaxFault:
    return bad_escape(broken.text, broken.since) or _not_yaml(broken)


def bad_escape(text: str, start: int) -> SyntaxFault | None:
    """The first escape from `start` on, inside double quotes, that stands for no character."""
    for match in _ESCAPE.finditer(text, start):
        digits = match.group()[2:]
        if match.end() > match.start() + 1 and not (digits and _is_no_character(int(digits, 16))):
            continue
        written = _WRITTEN_ESCAPE.match(text, match.start())
        shown = written.group() if written else "\\"
        hint = "write `\\\\` for a backslash, or use single quotes"
        if shown[1:2] in ("x", "u", "U"):
            hint = f"`\\x`, `\\u` and `\\U` take 2, 4 and 8 digits of a Unicode character; {hint}"
        return SyntaxFault(
            f"escape {show(shown)} stands for no character", hint, match.start(), match.start() + len(shown)
        )
    return None


def _is_no_character(code: int) -> bool:
    return code > 0x10FFFF or 0xD800 <= code <= 0xDFFF


def tag_fault(text: str, first: int) -> SyntaxFault:
    """The tag that starts at `first`."""
    match = re.compile(r"!(?:<[^>\s]*>?|[^\s,\[\]{}]*)").match(text, first)
    last = match.end() if match else first + 1
    return SyntaxFault(f"tag {show(text[first:last])} is not allowed", NO_TAGS, first, last, code="tag")


def _tag(broken: Break) -> SyntaxFault:
    found = broken.text.find("!", broken.since)
    return tag_fault(broken.text, found if found >= 0 else broken.since)


def _directive(broken: Break) -> SyntaxFault:
    first = broken.since if broken.since >= 0 else broken.at
    hint = "a spec needs no directive; text that starts with `%` needs quotes"
    return broken.fault("`%` starts a directive of YAML", hint, first, broken.positions.line_end(first))


def _anchor(broken: Break) -> SyntaxFault:
    mark = broken.text[broken.since]
    what = "an alias" if mark == "*" else "an anchor"
    return broken.at_word(
        f"`{mark}` starts {what}, and its name is missing or not plain",
        f"put text that starts with `{mark}` in quotes",
        broken.since,
    )


def _text_block(broken: Break) -> SyntaxFault:
    mark = broken.text[broken.since]
    hint = f"after `{mark}` the text starts on the next line; in quotes it can stand here"
    last = broken.positions.line_end(broken.since)
    return broken.fault(f"{show(broken.text[broken.since : last])} starts no block of text", hint, broken.since, last)


def no_space(text: str, first: int, colon: int) -> SyntaxFault:
    """A key in brackets, `first` to `colon`, whose colon is followed by no space."""
    key = "".join(text[first:colon].splitlines()[-1:]).lstrip()
    first = colon - len(key)
    hint = f"write {show(f'{key}: ...')}, or put the text in quotes"
    return SyntaxFault(f"a space is missing after the colon of {show(key)}", hint, first, colon + 1)


def _no_space(broken: Break) -> SyntaxFault:
    return no_space(broken.text, broken.since, broken.at)


def _glued_key(broken: Break, index: int) -> SyntaxFault | None:
    """`name:net` at `index`, if that is what stands there."""
    line_end = broken.positions.line_end(index)
    key = _GLUED_KEY.match(broken.text, index, line_end)
    if not key:
        return None
    hint = f"write {show(f'{key.group(1)}: {broken.text[key.end() : line_end]}')}"
    return broken.fault(f"a space is missing after the colon of `{key.group(1)}`", hint, index, line_end)


def _forbidden_start(broken: Break) -> SyntaxFault:
    char = "a backtick" if broken.char == "`" else show(broken.char)
    return broken.at_word(f"text can't start with {char}", "put the text in quotes")


def _no_colon(broken: Break) -> SyntaxFault:
    last = broken.positions.line_end(broken.since)
    message = f"{show(broken.text[broken.since : last])} has no colon"
    hint = "a line among keys reads `key: value`"
    return _glued_key(broken, broken.since) or broken.fault(message, hint, broken.since, last)


def _key_too_long(broken: Break, first: int) -> SyntaxFault:
    return broken.fault(
        f"key {show(broken.text[first : broken.at])} is too long", "a key has at most 1024 characters", first, broken.at
    )


def _unexpected_colon(broken: Break) -> SyntaxFault:
    """A colon follows something that can't be a key: too long, on one line with another, or below a value."""
    line = broken.positions.line_of(broken.at)
    first = broken.positions.line_start(broken.at) + len(broken.before) - len(broken.before.lstrip(" -"))
    above = next((number for number in range(line - 1, 0, -1) if _has_content(broken.positions.line_text(number))), 0)
    if broken.at - first > LONGEST_KEY:
        return _key_too_long(broken, first)
    if re.search(r":\s", broken.before) or not above:
        hint = "put the text after the first colon in quotes, or write what it holds in braces"
        return broken.fault("this line has a second colon", hint, broken.at, broken.at + 1)
    return _key_below_value(broken, first, above)


def _has_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _key_below_value(broken: Break, first: int, above: int) -> SyntaxFault:
    start = broken.positions.starts[above - 1]
    line = broken.positions.line_text(above)
    marks = _ITEM_MARKS.match(line.lstrip())
    written = start + len(line) - len(line.lstrip()) + (marks.end() if marks else 0)
    value = broken.text[written : start + len(line)].rstrip()
    key = show(broken.text[first : broken.at].rstrip())
    if glued := _glued_key(broken, written):
        return glued
    if re.search(r":(?:\s|\Z)", value):
        hint = f"align it with the key on line {above}, or write nothing after that key's colon"
    else:
        hint = f"write {show(f'{value}:')} on line {above} if {key} belongs to it"
    return broken.fault(f"key {key} is indented below {show(value)}, which is complete", hint, first, broken.at)


def _item_in_line(broken: Break) -> SyntaxFault:
    hint = "start the list on the next line, or write it in brackets: `[a, b]`"
    return broken.fault("a list item can't start in the middle of a line", hint, broken.at, broken.at + 1)


def _in_brackets(broken: Break) -> SyntaxFault:
    """Inside brackets something else stands where a comma or the closing bracket is due."""
    text, at, char = broken.text, broken.at, broken.char
    if not broken.openers:
        return _not_yaml(broken)
    opener = broken.openers[-1]
    closer = _CLOSER[text[opener]]
    if char == "{" and text[at - 1] == "$":
        hint = "write `$name` or `$(expression)`"
        return broken.fault("`${` can't stand inside brackets", hint, at - 1, at + 1)
    if char in _OPENER and char != closer and not any(text[outer] == _OPENER[char] for outer in broken.openers):
        hint = f"`{text[opener]}`, opened on line {broken.positions.line_of(opener)}, is closed with `{closer}`"
        return broken.fault(f"`{char}` closes no bracket", hint, at, at + 1)
    if char in _OPENER or _at_document_mark(broken) or not _is_closed(text, opener):
        return _never_closed(broken, "bracket", opener, closer)
    if char == ",":
        return broken.fault("nothing before this comma", "remove it, or write what is missing", at, at + 1)
    if char == ":" and re.search(r"[\[{,]\s*\Z", broken.before):
        return broken.at_word(*_NO_KEY)
    if char == "-":
        return broken.fault("`-` starts no list item inside brackets", "separate items with commas there", at, at + 1)
    return _no_comma(broken, opener, closer)


def _at_document_mark(broken: Break) -> bool:
    return broken.column(broken.at) == 0 and broken.text.startswith(("---", "..."), broken.at)


def _is_closed(text: str, opener: int) -> bool:
    """Whether as many brackets close as open, from `opener` on; in quotes and comments they don't count."""
    depth = 0
    for token in _FLOW_TOKEN.finditer(text, opener):
        depth += (token.group() in _CLOSER) - (token.group() in _OPENER)
        if depth == 0:
            return True
    return False


def _no_comma(broken: Break, opener: int, closer: str) -> SyntaxFault:
    first, last = broken.word(broken.at)
    key = _LAST_WORD.search(broken.before) if broken.char == ":" else None
    if key:
        first = broken.at - len(broken.before) + key.start()
        last = first + len(key.group())
    if last - first > LONGEST_KEY:
        return _key_too_long(broken, first)
    hint = f"what is between `{broken.text[opener]}` and `{closer}` is separated by commas"
    return broken.fault(f"a comma is missing before {show(broken.text[first:last])}", hint, first, last)


def _in_block(broken: Break) -> SyntaxFault:
    """A line, or the rest of one, that neither goes on with the keys or items above nor ends them."""
    if broken.char in _OPENER:
        return _closes_nothing(broken)
    if broken.before.strip():
        return _after_value(broken)
    if broken.column(broken.at) != broken.column(broken.since):
        return broken.at_word(
            "the indentation of {} fits no line above", "align it with the keys or items it belongs to"
        )
    if broken.char == "-":
        return broken.at_word("list item among keys", "give the list a key, and indent its items below it")
    if broken.char == ":":
        return broken.at_word(*_NO_KEY)
    return broken.at_word("{} is no list item", "start it with `- `, or indent it below an item")


def _closes_nothing(broken: Break) -> SyntaxFault:
    hint = f"remove it, or open the bracket with `{_OPENER[broken.char]}`"
    return broken.fault(f"`{broken.char}` closes no bracket", hint, broken.at, broken.at + 1)


def _after_value(broken: Break) -> SyntaxFault:
    """Text on the line of a value that has ended already."""
    ending = broken.before.rstrip()[-1]
    if ending in _OPENER:
        return broken.at_word(f"{{}} follows the closing `{ending}`", "remove it, or put the whole value in quotes")
    if ending not in "\"'":
        return _not_yaml(broken)
    escaped = "''" if ending == "'" else '\\"'
    hint = f"inside these quotes write `{escaped}` for `{ending}`"
    opened = broken.positions.line_of(broken.quote)
    if broken.quote >= 0 and opened < broken.positions.line_of(broken.at):
        hint = f"this quote was opened on line {opened}; is one missing there?"
    return broken.at_word(f"{{}} follows the closing `{ending}`", hint)


def _after_end(broken: Break) -> SyntaxFault:
    """More text where the whole value of the file has ended."""
    if not broken.char:  # the file ends below a directive
        return _directive(replace(broken, since=broken.text.find("%")))
    if broken.char in _OPENER:
        return _closes_nothing(broken)
    if broken.before.strip():
        return _after_value(broken)
    above = broken.text[: broken.at]
    if re.search(r"^\.\.\.\s", above, re.MULTILINE):
        return broken.at_word("{} follows `...`, the end of the spec", "remove the line `...`")
    return broken.at_word(
        "{} does not belong to what is above it",
        "indent all keys of the top level alike, and write no brackets around them",
    )


_KINDS: list[tuple[re.Pattern[str], Callable[[Break], SyntaxFault]]] = [
    (re.compile(pattern), kind)
    for pattern, kind in [
        (r"quoted scalar: .*(end of stream|document)", _quote),
        (r"quoted scalar: ", _escape),
        (r"^while scanning a .*directive|incompatible YAML document|duplicate (%|YAML|tag handle)", _directive),
        (r"^while (scanning|parsing) a tag|undefined tag handle", _tag),
        (r"^while scanning an (anchor|alias)", _anchor),
        (r"^while scanning a block scalar", _text_block),
        (r"found unexpected ':'", _no_space),
        (r"cannot start any token", _forbidden_start),
        (r"^while scanning a simple key", _no_colon),
        (r"mapping values are not allowed", _unexpected_colon),
        (r"sequence entries are not allowed", _item_in_line),
        (r"^while parsing a flow", _in_brackets),
        (r"^while parsing a block (mapping|collection)", _in_block),
        (r"<document start>", _after_end),
        (
            r"^while parsing a block node",
            lambda broken: _closes_nothing(broken) if broken.char in _OPENER else _forbidden_start(broken),
        ),
    ]
]
