"""GitHub Actions, whose runner obeys commands in what a step prints.

The grammar of commands is that of the runner (github.com/actions/runner, src/Runner.Common/ActionCommand.cs).
"""

import os
import re

# The runner obeys `::name::` at the start of a line, and `##[name]` anywhere in it.
_COMMAND_IN_TEXT = re.compile(r"^(\s*):(?=:)|#(?=#\[)", re.MULTILINE)


def in_actions() -> bool:
    """Whether this is a step of a workflow."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def inert(text: str) -> str:
    """The text; within a step, without commands."""
    return without_commands(text) if in_actions() else text


def without_commands(text: str) -> str:
    """Lines that the runner takes for no command, whatever a spec or the name of a file holds.

    The escape is one of JSON too, so that a document keeps its meaning.
    """
    return _COMMAND_IN_TEXT.sub(lambda found: (found.group(1) or "") + _escaped(found.group()[-1]), text)


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}"
