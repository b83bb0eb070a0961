"""SARIF 2.1.0, for code scanning (docs.oasis-open.org/sarif/sarif/v2.1.0)."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from urllib.parse import quote

from builder.codes import LINT_CODES, PROBLEM_CODES
from builder.formats.report import Report
from builder.formats.repository import in_repository
from builder.lints import page
from builder.problems import Place, Problem, Severity, Use, printable
from builder.version import __version__

MAX_RESULTS = 25_000  # of one run, that GitHub takes
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
HOME = "https://github.com/yamlnet/yamlnet"
FINGERPRINT = "yamlnet/v1"

_LEVELS: MappingProxyType[Severity, str] = MappingProxyType({"error": "error", "warning": "warning", "info": "note"})


def sarif(report: Report) -> Iterator[str]:
    """The log, as one piece of text; of too many problems the errors come first."""
    problems = report.problems
    if len(problems) > MAX_RESULTS:
        problems = sorted(problems, key=lambda problem: list(_LEVELS).index(problem.severity))[:MAX_RESULTS]
    codes = sorted({problem.code for problem in problems})
    driver = {
        "name": "yamlnet",
        "version": __version__,
        "informationUri": HOME,
        "rules": [_rule(code) for code in codes],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": list(_results(problems, codes))}
    yield json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(code: str) -> dict[str, object]:
    meaning = {**PROBLEM_CODES, **LINT_CODES}.get(code)
    if meaning is None:
        return {"id": code}
    return {"id": code, "shortDescription": {"text": meaning}, "help": {"text": page(code), "markdown": page(code)}}


def _results(problems: Sequence[Problem], codes: Sequence[str]) -> Iterator[dict[str, object]]:
    indices = {code: index for index, code in enumerate(codes)}
    seen: Counter[str] = Counter()
    for problem in problems:
        identity = _identity(problem)
        seen[identity] += 1
        uses = [_related(use, index) for index, use in enumerate(problem.uses)]
        yield {
            "ruleId": problem.code,
            "ruleIndex": indices[problem.code],
            "level": _LEVELS[problem.severity],
            "message": _message("\n".join(filter(None, [problem.message, problem.hint]))),
            "locations": [{"physicalLocation": _physical(problem.place)}],
            **({"relatedLocations": uses} if uses else {}),
            "partialFingerprints": {FINGERPRINT: f"{identity}:{seen[identity]}"},
        }


def _identity(problem: Problem) -> str:
    """What stays the same when other lines of the file change: the code and the line's text."""
    from hashlib import sha256

    words = (in_repository(problem.place.source.name), problem.code, problem.place.text.strip())
    return sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _related(use: Use, index: int) -> dict[str, object]:
    return {"id": index, "physicalLocation": _physical(use.place), "message": _message(use.text)}


def _physical(place: Place) -> dict[str, object]:
    region = {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    }
    return {"artifactLocation": {"uri": _uri(place.source.name)}, "region": region}


def _uri(file: str) -> str:
    path = in_repository(file)
    return PurePosixPath(path).as_uri() if path.startswith("/") else quote(path.encode("utf-8", "surrogateescape"))


def _message(text: str) -> dict[str, object]:
    # `[text](1)` would be a link to another location.
    return {"text": _printable_lines(text).replace("](", "] (")}


def _printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))
