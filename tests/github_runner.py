"""What the runner of GitHub Actions makes of a line: the rules of ActionCommand.cs in github.com/actions/runner."""

import re
from dataclasses import dataclass, field

DATA = {"%0D": "\r", "%0A": "\n", "%25": "%"}
PROPERTY = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}
KNOWN = {"error", "warning", "notice", "debug", "add-mask", "stop-commands", "group", "endgroup", "add-matcher", "echo"}


@dataclass(frozen=True)
class Command:
    """`::name key=value,...::data`."""

    name: str
    data: str
    properties: dict[str, str] = field(default_factory=dict)


def obeyed(output: str) -> list[Command]:
    """The commands in all that a step prints."""
    return [command for line in re.split(r"\r\n|\r|\n", output) if (command := _parsed(line))]


def _parsed(line: str) -> Command | None:
    text = line.lstrip()
    if text.startswith("::") and (end := text.find("::", 2)) >= 0:
        name, _, written = text[2:end].partition(" ")
        if name.lower() in KNOWN:
            pairs = (pair.split("=", 1) for pair in written.strip().split(",") if "=" in pair)
            properties = {key: _unescaped(value, PROPERTY) for key, value in pairs}
            return Command(name, _unescaped(text[end + 2 :], DATA), properties)
    old = re.search(r"##\[([^\] ]*)[^\]]*\](.*)", line)
    return Command(old[1], old[2]) if old and old[1].lower() in KNOWN else None


def _unescaped(text: str, marks: dict[str, str]) -> str:
    for mark, char in marks.items():
        text = text.replace(mark, char)
    return text
