"""The real yaml-language-server, driven over stdio as an editor drives it, and somebody who types into that editor."""

import contextlib
import itertools
import json
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

VERSION = "1.25.0"
PATIENCE = 60  # seconds for one answer; the server's first takes a few
INSTALL_PATIENCE = 180
CURSOR = "|"  # in the texts of tests: where the cursor stands
TAB_STOP = re.compile(r"(?<!\\)\$(?:\d+|\{\d+:[^}]*\})")  # in a snippet: `$1`, or `${1:0}` with a value to type over
STOP = "\0"  # in a text that is being typed: a tab stop yet to be visited

Message = dict[str, Any]


class NoServerError(Exception):
    """The server can't be started here: `str(error)` says why, in a sentence."""


def server_command(cache: Path) -> list[str]:
    """How to start the server, installed from npm below `cache` (or in $YAMLNET_EDITOR) if it isn't yet.

    Raises:
        NoServerError: Node, npm or the package is missing.
    """
    node = shutil.which("node")
    if node is None:
        raise NoServerError("Node is not installed, and the language server runs in it")
    folder = Path(os.environ.get("YAMLNET_EDITOR", cache / f"yaml-language-server-{VERSION}"))
    script = folder / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
    if not script.is_file():
        _install(folder)
    return [node, str(script), "--stdio"]


def _install(folder: Path) -> None:
    """Install into a folder beside it first: a run that is killed leaves nothing half done."""
    npm = shutil.which("npm")
    if npm is None:
        raise NoServerError("npm is not installed, and the language server comes from it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        words = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", scratch]
        try:
            subprocess.run(
                [*words, f"yaml-language-server@{VERSION}"],
                capture_output=True,
                timeout=INSTALL_PATIENCE,
                check=True,
            )
        except (subprocess.SubprocessError, OSError) as error:
            raise NoServerError(f"npm can't install yaml-language-server {VERSION} (is there a connection?)") from error
        folder.mkdir(exist_ok=True)
        with contextlib.suppress(OSError):  # another run was faster
            (Path(scratch) / "node_modules").rename(folder / "node_modules")


@dataclass(frozen=True)
class Mark:
    """A place in a document, from 0."""

    line: int
    character: int

    @property
    def position(self) -> Message:
        return {"line": self.line, "character": self.character}


def marked(text: str) -> tuple[str, Mark]:
    """The text without its cursor, and where the cursor stood."""
    before, cursor, after = text.partition(CURSOR)
    assert cursor, "no cursor in the text"
    assert CURSOR not in after, "two cursors in the text"
    return before + after, Mark(before.count("\n"), len(before.rpartition("\n")[2]))


@dataclass(frozen=True)
class Completion:
    """One entry of the list that an editor shows."""

    label: str
    snippet: str  # with tab stops: `${1:0}`, `$2`
    documentation: str
    start: Mark
    end: Mark


@dataclass(frozen=True)
class Finding:
    """A message at a place: the text that is underlined, and its line, from 1."""

    line: int
    underlined: str
    message: str


@dataclass
class Server:
    """One server, with one document open at a time."""

    process: subprocess.Popen[bytes]
    root: Path
    settings: Mapping[str, Any]
    numbers: Iterator[int] = field(default_factory=itertools.count)
    arrived: "queue.Queue[Message | None]" = field(default_factory=queue.Queue)

    def initialize(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()
        capabilities = {
            "workspace": {"configuration": True, "workspaceFolders": True},
            "textDocument": {
                "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
                "hover": {"contentFormat": ["markdown"]},
                "publishDiagnostics": {},
            },
        }
        folder = {"uri": self.root.as_uri(), "name": self.root.name}
        self._request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": folder["uri"],
                "capabilities": capabilities,
                "workspaceFolders": [folder],
            },
        )
        self._notify("initialized", {})
        self._notify("workspace/didChangeConfiguration", {"settings": {"yaml": self.settings}})
        deadline = time.monotonic() + PATIENCE
        while not self.diagnostics("nothing: of the kind\n"):  # until it has read its settings and the schema
            assert time.monotonic() < deadline, "the server never reads the schema"

    def diagnostics(self, text: str, folder: str = "specs") -> list[Finding]:
        """What the editor underlines in a spec with this text."""
        with self.opened(text, folder) as uri:
            while True:
                message = self._next()
                if message.get("method") != "textDocument/publishDiagnostics" or message["params"]["uri"] != uri:
                    continue
                return [_finding(found, text.splitlines()) for found in message["params"]["diagnostics"]]

    def completions(self, text: str) -> dict[str, Completion]:
        """What the editor offers at the cursor, by label."""
        text, mark = marked(text)
        with self.opened(text) as uri:
            where = {"textDocument": {"uri": uri}, "position": mark.position}
            items = self._request("textDocument/completion", where)["items"]
        completions = [_completion(item, mark) for item in items]
        found = {completion.label: completion for completion in completions}
        assert len(found) == len(completions), f"offered twice: {sorted(c.label for c in completions)}"
        return found

    def hover(self, text: str) -> str:
        """What the editor shows when the mouse rests at the cursor."""
        text, mark = marked(text)
        with self.opened(text) as uri:
            answer = self._request("textDocument/hover", {"textDocument": {"uri": uri}, "position": mark.position})
        return str(answer["contents"]["value"]) if answer else ""

    @contextlib.contextmanager
    def opened(self, text: str, folder: str = "specs") -> Iterator[str]:
        """The document while it is open, as its address: of a new file each time, which need not exist."""
        number = next(self.numbers)
        uri = (self.root / folder / f"opened_{number}.yaml").as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": number, "text": text}
        self._notify("textDocument/didOpen", {"textDocument": document})
        try:
            yield uri
        finally:
            self._notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _request(self, method: str, params: Message) -> Any:
        number = next(self.numbers)
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def _next(self) -> Message:
        """The next message of the server, its questions answered."""
        message = self.arrived.get(timeout=PATIENCE)
        assert message is not None, "the server ended"
        if "id" in message and "method" in message:
            self._send({"id": message["id"], "result": self._answer(message)})
        return message

    def _answer(self, question: Message) -> Any:
        if question["method"] != "workspace/configuration":
            return None
        return [self.settings if item["section"] == "yaml" else {} for item in question["params"]["items"]]

    def _notify(self, method: str, params: Message) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: Message) -> None:
        body = json.dumps({"jsonrpc": "2.0"} | message).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def _read(self) -> None:
        """Run in a thread, so that a server that says nothing doesn't stop the tests for ever."""
        assert self.process.stdout is not None
        for message in _messages(self.process.stdout):
            self.arrived.put(message)
        self.arrived.put(None)


def _messages(stream: IO[bytes]) -> Iterator[Message]:
    while header := stream.readline():
        length = int(header.partition(b":")[2])
        while stream.readline().strip():  # other headers, to the empty line
            pass
        yield json.loads(stream.read(length))


def _completion(item: Message, mark: Mark) -> Completion:
    edit = item.get("textEdit") or {"range": {"start": mark.position, "end": mark.position}, "newText": item["label"]}
    documentation = item.get("documentation") or ""
    return Completion(
        label=item["label"],
        snippet=edit["newText"],
        documentation=documentation if isinstance(documentation, str) else documentation["value"],
        start=Mark(**edit["range"]["start"]),
        end=Mark(**edit["range"]["end"]),
    )


def _finding(diagnostic: Message, lines: list[str]) -> Finding:
    start, end = (Mark(**diagnostic["range"][side]) for side in ("start", "end"))
    line = lines[start.line] if lines else ""
    underlined = line[start.character : end.character if end.line == start.line else None]
    return Finding(start.line + 1, underlined, diagnostic["message"])


@contextlib.contextmanager
def started(command: list[str], root: Path, settings: Mapping[str, Any]) -> Iterator[Server]:
    """A server that is ready, with these settings of `yaml`."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    server = Server(process, root, settings)
    try:
        server.initialize()
        yield server
    finally:
        server.close()


@dataclass
class Typist:
    """Somebody who writes a spec: accepts completions, types, and goes from tab stop to tab stop."""

    server: Server
    before: str = ""  # the cursor
    after: str = ""

    @property
    def text(self) -> str:
        return self.before + self.after.replace(STOP, "")

    def offered(self) -> dict[str, Completion]:
        return self.server.completions(f"{self.before}{CURSOR}{self.after.replace(STOP, '')}")

    def accept(self, label: str) -> "Typist":
        """Insert a completion as an editor does, later lines as deep as the cursor's, and go to its first tab stop."""
        completion = self.offered()[label]
        line = self.before.rpartition("\n")[2]
        assert completion.start.line == completion.end.line == self.before.count("\n")
        assert completion.end.character == len(line), "what stands behind the cursor would be replaced"
        self.before = self.before.removesuffix(line[completion.start.character :])
        indent = line[: len(line) - len(line.lstrip(" "))]
        first, *others = TAB_STOP.split(completion.snippet.replace("\n", f"\n{indent}"))
        self.before += first
        self.after = STOP.join(["", *others])[1:] + (STOP if others else "") + self.after
        return self

    def type(self, text: str) -> "Typist":
        self.before += text
        return self

    def tab(self) -> "Typist":
        """Go to the next tab stop."""
        passed, _, self.after = self.after.partition(STOP)
        self.before += passed
        return self

    def line(self, text: str) -> "Typist":
        """A new line with this before the cursor, at the end of the text."""
        self.before, self.after = f"{self.text}\n{text}", ""
        return self
