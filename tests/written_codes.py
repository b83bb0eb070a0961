"""The codes of problems that the sources write, wherever one is made."""

import ast
from collections.abc import Iterator
from pathlib import Path

BUILDER = Path(__file__).parent.parent / "builder"

# Calls that are given a code: as their first argument, but for `fault`, which takes it as the third.
MAKERS = {"Problem", "Misfit", "Fault", "SyntaxFault", "_problem", "_report", "_refuse", "fault"}


def written_codes() -> set[str]:
    """Those of all modules but the training, which has no place to point at."""
    modules = [path for path in BUILDER.rglob("*.py") if "training" not in path.relative_to(BUILDER).parts]
    written = {code for path in modules for code in _codes(ast.parse(path.read_text(encoding="utf-8")))}
    # A SyntaxFault begins with its message.
    return {code for code in written if code.replace("-", "").isalnum() and code.islower()}


def _codes(tree: ast.AST) -> Iterator[str]:
    """As calls, names and defaults write them."""
    for node in ast.walk(tree):
        written: list[ast.expr | None] = []
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in MAKERS:
                written = [word.value for word in node.keywords if word.arg == "code"]
                written += node.args[2:3] if name == "fault" else node.args[:1]
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            written = [node.value] if ast.unparse(target) == "code" else []
        elif isinstance(node, ast.arguments):
            defaults = zip(reversed(node.args), reversed(node.defaults), strict=False)
            written = [default for argument, default in defaults if argument.arg == "code"]
        yield from (str(code.value) for code in written if isinstance(code, ast.Constant))
