"""The floors of the house: who may import whom, and what `check` leaves out of memory."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the top floor down: a module imports only what stands above it. Doors may import any room.
DOORS = {"runner", "builder", "builder.__main__"}
FLOORS = (
    *("version", "limits", "codes", "exits", "processes", "workflow", "problems", "geometry"),
    *("signals", "fields", "kinds", "table", "layers", "recipe", "schema", "source", "expressions", "paths"),
    *("computed", "lists", "overrides"),
    *("inheritance", "other_words", "wording", "hints", "reference", "refusals", "validation", "items", "circles"),
    *("scopes", "writing", "spec", "starter", "editor", "plan", "lints", "formats", "fixing", "checking"),
    *("requirements", "options", "mnist_sample"),
    *("modules", "algorithms", "transforms", "losses", "muon", "model", "data", "runs", "training", "report"),
)
FIRST_TORCH_FLOOR = FLOORS.index("modules")
TORCH = {"torch", "torchvision", "tqdm", "numpy", "PIL", "matplotlib", "tensorboard"}

# The methods of kinds that may import torch, and these rooms, locally.
BUILD_ROOMS = {"builder.modules", "builder.transforms", "builder.losses", "builder.muon"}
BUILD_METHODS = {
    *("module", "training_loss", "test_loss", "optimizer", "scheduler", "transformed", "augment", "fill", "averaged"),
}


def modules() -> dict[str, Path]:
    paths = [*sorted((ROOT / "builder").rglob("*.py")), ROOT / "runner.py"]
    return {name_of(path): path for path in paths if path.name != "make_sample.py"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor(module: str) -> int:
    return FLOORS.index(module.split(".")[1])


def imports(tree: ast.AST) -> set[str]:
    """Every module that the code imports, in functions too; imports for type checking only are left out."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
        found |= imports(node)
    return found


def known(name: str) -> str:
    """The longest part of a dotted name that is a module of ours, or the name."""
    while name.startswith("builder") and name not in modules():
        name = name.rpartition(".")[0]
    return name


def is_in_build_method(tree: ast.AST, imported: str) -> bool:
    """Whether every import of this name stands in a build method of a kind."""
    inside = {
        name
        for method in ast.walk(tree)
        if isinstance(method, ast.FunctionDef) and method.name in BUILD_METHODS
        for name in imports(method)
    }
    outside = imports(_without_build_methods(tree))
    return imported in inside and imported not in outside


def _without_build_methods(tree: ast.AST) -> ast.AST:
    class Remover(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST | None:
            return None if node.name in BUILD_METHODS else self.generic_visit(node)

    return Remover().visit(ast.parse(ast.unparse(tree)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("module", sorted(set(modules()) - DOORS))
def test_every_module_stands_on_a_floor_and_imports_only_from_above(module: str) -> None:
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    for imported in {known(name) for name in imports(tree)}:
        if not imported.startswith("builder.") or floor(imported) == floor(module):
            continue
        if imported in BUILD_ROOMS and is_in_build_method(tree, imported):
            continue
        assert floor(imported) < floor(module), f"{module} imports {imported}, which stands below it"


@pytest.mark.parametrize("module", sorted(set(modules()) - DOORS))
def test_torch_is_imported_only_below_the_line_or_in_a_build_method(module: str) -> None:
    if floor(module) >= FIRST_TORCH_FLOOR:
        return
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    for name in imports(tree):
        if name.split(".")[0] in TORCH:
            assert module.split(".")[1] in ("layers", "recipe"), f"{module} imports {name}"
            assert is_in_build_method(tree, name), f"{module} imports {name} outside of a build method"


def test_no_module_of_ours_is_imported_from_outside_the_house() -> None:
    outside = {name for path in modules().values() for name in imports(ast.parse(path.read_text(encoding="utf-8")))}
    ours = {name.split(".")[0] for name in outside} & {"runner", "tests", "benchmarks"}
    assert ours <= {"runner"}


def test_check_and_show_leave_torch_out_of_memory() -> None:
    code = (
        "import sys; from builder.__main__ import main; "
        "statuses = [main(['check', 'specs']), main(['show', 'specs/net.yaml']), main(['schema'])]; "
        f"print(statuses, sorted(set(sys.modules) & {TORCH!r}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[<Status.DONE: 0>, <Status.DONE: 0>, <Status.DONE: 0>] []"
