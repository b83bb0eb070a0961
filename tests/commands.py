"""Commands as a person starts them: in a process of their own, into a pipe or a terminal of any width."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUILDER = [sys.executable, "-m", "builder"]
RUNNER = [sys.executable, str(ROOT / "runner.py")]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours, without what would change the output."""
    kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | dict(extra or {})


def run(
    words: Sequence[str], cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command with its output in pipes."""
    return subprocess.run(
        words, cwd=cwd, env=environment(env), capture_output=True, encoding="utf-8", timeout=60, check=False
    )


def run_in_terminal(words: Sequence[str], width: int, env: Mapping[str, str] | None = None) -> str:
    """What the command shows in a terminal that is `width` columns wide."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    surroundings = environment({"TERM": "xterm"} | dict(env or {}))
    process = subprocess.Popen(words, cwd=ROOT, env=surroundings, stdin=child, stdout=child, stderr=child)
    os.close(child)
    output = b""
    try:
        while chunk := os.read(parent, 65536):
            output += chunk
    except OSError:  # Linux's way to say that the other end of a terminal is closed
        pass
    os.close(parent)
    process.wait(timeout=60)
    return output.decode().replace("\r\n", "\n")
