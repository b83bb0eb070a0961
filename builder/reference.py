"""The reference page of the language, `docs/spec.md`, made from the schema and the classes of the kinds.

Every key and every kind is there: what it means, what it takes, what holds without it, and an example. How the parts
play together is told by hand, in `docs/language.md`.
"""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from builder.codes import LINT_CODES
from builder.expressions import MAX_WHOLE
from builder.fields import ListOf, Schema, schema_types
from builder.kinds import Kind, Nested, OneOf, Parameter, parameters, parameters_schema
from builder.layers import LAYERS, Layer
from builder.layers.base import RANK_NAMES
from builder.layers.composites import COMPOSITES, Composite
from builder.limits import (
    MAX_ACTIVATION,
    MAX_ALIASED_NODES,
    MAX_ALIASES,
    MAX_AUGMENTATIONS,
    MAX_BATCH_SIZE,
    MAX_CHANNELS,
    MAX_CLASSES,
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_EPOCHS,
    MAX_EXPRESSION,
    MAX_FIELD,
    MAX_IMAGES,
    MAX_INTERVALS,
    MAX_LAYERS,
    MAX_LISTS,
    MAX_MACS,
    MAX_MADE_PIXELS,
    MAX_NAME,
    MAX_NESTED_VALUES,
    MAX_NESTING,
    MAX_NODES,
    MAX_NUMBER,
    MAX_PARAMS,
    MAX_PATH,
    MAX_REASON,
    MAX_SEED,
    MAX_SHOWN_PROBLEMS,
    MAX_SIZE,
    MAX_SPEC_BYTES,
    MAX_STEPS,
    MAX_THREADS,
)
from builder.problems import either
from builder.recipe import Budget, Recipe
from builder.recipe.initialisation import ByLayer
from builder.schema import COMMON_FIELDS, net_schema, resolved
from builder.wording import TEXTS, meaning, wanted

REGENERATE = "python -m builder reference > docs/spec.md"

# In examples: layers and branches that any input may meet, and a number for what says no `such as`.
SOME_LAYERS = "[layer_norm, gelu]"
SOME_BRANCHES = "[identity, sigmoid]"
SOME_NUMBER = "2"

LIMITS = (
    ("bytes of a file", MAX_SPEC_BYTES),
    ("keys and values of a file", MAX_NODES),
    ("levels of YAML within each other", MAX_DEPTH),
    ("aliases (`*name`) in a file", MAX_ALIASES),
    ("keys and values that aliases repeat", MAX_ALIASED_NODES),
    ("digits of a number", MAX_DIGITS),
    ("characters of a name", MAX_NAME),
    ("characters of a computed value", MAX_EXPRESSION),
    ("magnitude of a whole number in a computed value", MAX_WHOLE),
    ("height, width, kernel, stride, padding, dilation", MAX_SIZE),
    ("channels, features", MAX_CHANNELS),
    ("learnable numbers of a network", MAX_PARAMS),
    ("numbers that one layer gives for one image", MAX_ACTIVATION),
    ("pixels of a receptive field, and of its stride", MAX_FIELD),
    ("units that each see another part of the image", MAX_INTERVALS),
    ("layers, all repetitions and calls written out", MAX_LAYERS),
    ("lists of layers within each other, calls included", MAX_NESTING),
    ("parameters of a block, variables of a block, lists of a `for`", MAX_LISTS),
    ("values of a list of lists, those of its lists together", MAX_NESTED_VALUES),
    ("classes of a data set", MAX_CLASSES),
    ("images of a data set, or of a part of one", MAX_IMAGES),
    ("pixels of a synthetic data set", MAX_MADE_PIXELS),
    ("characters of a path", MAX_PATH),
    ("images of a batch", MAX_BATCH_SIZE),
    ("epochs", MAX_EPOCHS),
    ("augmentations", MAX_AUGMENTATIONS),
    ("steps of a warm-up, or of a schedule", MAX_STEPS),
    ("the seed", MAX_SEED),
    ("threads", MAX_THREADS),
    ("a number, without its sign", MAX_NUMBER),
    ("multiply-accumulates of a budget", MAX_MACS),
    ("characters of a reason for a lint", MAX_REASON),
    ("problems of one file that are printed one by one", MAX_SHOWN_PROBLEMS),
)

OPENING = f"""\
# The spec, key by key

What may be written in a spec: every key and every kind, with its meaning, its bounds, its default and an example. How
values are computed, names found, blocks called and layers named is told in [language.md](language.md).

This page is made from the code (`{REGENERATE}`).

**Contents**: [The file](#the-file), [Blocks](#blocks), [Layers](#layers), [Composites](#composites),
[Training](#training), [Budget](#budget), [Lint](#lint), [Limits](#limits)

A kind is a key: `conv2d: {{out_channels: 32, kernel_size: 3}}`, or its word alone, `relu`, where it needs nothing.
Kinds are named as torch names them, in snake_case, and their parameters as torch's class names them. Where a number,
a list, `true`, `false` or one of several words is due, a [computed value](language.md#computed-values) may stand too.
"""


def reference_text() -> str:
    """The page as `docs/spec.md` holds it, in Markdown."""
    sections = (_file(), _blocks(), _layers(), _composites(), _training(), _budget(), _lint(), _limits())
    return "\n".join((OPENING, *(line for section in sections for line in section)))


# ------------------------------------------------------------------------------------------------------------- sections


def _file() -> Iterator[str]:
    properties = net_schema()["properties"]
    shown = {"input": _sample(properties["input"]), "layers": SOME_LAYERS}
    yield from _heading(2, "The file")
    yield from _paragraph("The keys of a spec, at its left margin.")
    yield from _key_table("key", net_schema())
    yield from _example([f"{key}: {value}" for key, value in shown.items()])


def _blocks() -> Iterator[str]:
    (block,) = net_schema()["properties"]["blocks"]["patternProperties"].values()
    yield from _heading(2, "Blocks")
    yield from _paragraph(
        "What stands behind the name of a block below `blocks`: a list of layers, or a mapping with these keys. "
        "[Blocks](language.md#blocks) shows how they are called."
    )
    yield from _key_table("key", block)
    yield from _example(["blocks:", f"  Block: {SOME_LAYERS}"])


def _layers() -> Iterator[str]:
    yield from _heading(2, "Layers")
    yield from _paragraph(
        "What arrives at a layer (`in_channels`, `in_features`, `num_features`) is computed, never written. "
        "Shapes are those of one image, without the batch. Every kind, and every call of a block, may also be given:"
    )
    every = _layer_schemas()["relu"]
    yield from _key_table("key", every | {"properties": {key: every["properties"][key] for key in COMMON_FIELDS}})
    families = _families()
    yield from (f"- [{title}](#{_anchor(title)}): {_links(kinds)}" for title, kinds in families.items())
    yield ""
    for title, kinds in families.items():
        yield from _heading(3, title)
        for kind in kinds:
            yield from _layer(LAYERS[kind])


def _families() -> dict[str, list[str]]:
    """The layer kinds by family, whose title is how the docstring of its module begins."""
    families: dict[str, list[str]] = {}
    for kind, cls in LAYERS.items():
        described = inspect.getdoc(sys.modules[cls.__module__]) or ""
        families.setdefault(re.split(r"[.:]", described)[0], []).append(kind)
    return families


def _layer(cls: type[Layer]) -> Iterator[str]:
    facts = []
    if cls.ranks != Layer.ranks:
        facts.append(f"It takes {either([RANK_NAMES[rank] for rank in cls.ranks])}.")
    if cls.macs is not Layer.macs:
        facts.append(f"MACs: {inspect.getdoc(cls.macs)}")
    yield from _kind(cls, _layer_schemas()[cls.kind], facts)
    yield from _example([f"- {_written(cls)}"])


def _composites() -> Iterator[str]:
    yield from _heading(2, "Composites")
    yield from _paragraph(
        "Kinds that hold layers. Where one has a list form, the list may stand in place of the mapping: "
        f"`residual: {SOME_LAYERS}` is `residual: {{layers: {SOME_LAYERS}}}`. "
        "[Composites](language.md#composites) tells what each is for."
    )
    for cls in COMPOSITES.values():
        facts = [f"List form: its `{cls.list_form}`."] if cls.list_form else []
        yield from _kind(cls, _layer_schemas()[cls.kind], facts)
        yield from _example([f"- {_written_composite(cls)}"])


def _training() -> Iterator[str]:
    yield from _heading(2, "Training")
    yield from _paragraph("What stands below `training`.")
    yield from _key_table("key", parameters_schema(Recipe))
    yield from _example(["training:", *(f"  {key}: {value}" for key, value in _shown(Recipe).items())])
    for field in parameters(Recipe):
        yield from _nested(field)
        choice = _choice(field)
        if choice is None:
            continue
        family = choice.family
        yield from _heading(3, _plural(family.family))
        yield from _paragraph(family.__doc__ or "")
        for cls in family.table.values():
            yield from _kind(cls, parameters_schema(cls))
            yield from _example([f"{field.name}: {_in_its_place(field, _written(cls, inside_line=True))}"])


def _nested(field: Parameter) -> Iterator[str]:
    """The keys of a mapping that stands below a key of the recipe, if one does."""
    nested = getattr(field.type, "other", field.type)
    if isinstance(nested, Nested):
        yield from _heading(3, f"`{field.name}`")
        yield from (inspect.getdoc(nested.cls) or "").splitlines()
        yield ""
        yield from _key_table("key", parameters_schema(nested.cls))
        yield from _example([f"{field.name}: {_mapping(_shown(nested.cls))}"])


def _in_its_place(field: Parameter, written: str) -> str:
    """A kind as the value of a field, or as one of those that the field holds."""
    if isinstance(field.type, ByLayer):
        return f"{{conv2d: {written}}}"
    return f"[{written}]" if isinstance(field.type, ListOf) else written


def _choice(field: Parameter) -> OneOf | None:
    """The choice that is made at a field, or for each of those that it holds."""
    choice = getattr(field.type, "other", field.type)
    choice = getattr(choice, "item", choice)
    return choice if isinstance(choice, OneOf) else None


def _plural(family: str) -> str:
    return f"{family.capitalize()}{'es' if family.endswith('s') else 's'}"


def _budget() -> Iterator[str]:
    yield from _heading(2, "Budget")
    yield from _paragraph("What stands below `budget`. What breaks it is an error: of the spec, or of the run.")
    yield from _key_table("key", parameters_schema(Budget))
    yield from _example([f"budget: {_mapping(_shown(Budget))}"])


def _lint() -> Iterator[str]:
    yield from _heading(2, "Lint")
    yield from _paragraph("What stands below `lint`.")
    yield from _key_table("key", net_schema()["properties"]["lint"])
    yield from _table(("code", "meaning"), ((f"`{code}`", what) for code, what in LINT_CODES.items()))
    yield from _example(["lint:", "  allow:", f"    {next(iter(LINT_CODES))}: it is the lesson of this file"])


def _limits() -> Iterator[str]:
    yield from _heading(2, "Limits")
    yield from _paragraph(
        "A spec may come from anybody, so reading one takes bounded time and memory; what goes beyond is an error."
    )
    yield from _table(("of", "at most"), ((what, f"{limit:,}") for what, limit in LIMITS))


# --------------------------------------------------------------------------------------------------------- kind by kind


def _layer_schemas() -> dict[str, Schema]:
    """What may stand behind the word of each layer kind and composite."""
    schemas: dict[str, Schema] = net_schema()["definitions"]["layer"]["else"]["properties"]
    return schemas


def _kind(cls: type[Kind], schema: Schema, facts: Iterable[str] = ()) -> Iterator[str]:
    own = {key: value for key, value in schema["properties"].items() if key not in COMMON_FIELDS}
    yield from _heading(4, _title(cls))
    yield from (inspect.getdoc(cls) or "").splitlines()
    yield ""
    if facts := list(facts):
        yield from _paragraph(" ".join(facts))
    if own:
        yield from _key_table("parameter", schema | {"properties": own})


def _key_table(title: str, schema: Schema) -> Iterator[str]:
    required = schema.get("required", [])
    rows = (
        (f"`{key}`", meaning(inner), _taken(inner), "required" if key in required else _default(inner))
        for key, inner in schema["properties"].items()
    )
    yield from _table((title, "meaning", "takes", "default"), rows)


def _default(schema: Schema) -> str:
    """The default, as the description tells it."""
    return str(schema["description"]).removeprefix(meaning(schema)).removeprefix(" (default: ").removesuffix(")")


def _taken(schema: Schema) -> str:
    """What may be written, in words."""
    schema = resolved(schema)
    kinds = schema.get("else", {}).get("properties")
    text = TEXTS.get(schema.get("pattern", ""))
    if kinds:
        return either([_link(kind, _titles()[kind]) for kind in kinds] + ["`null`"] * ("null" in schema_types(schema)))
    if text:
        return text.meaning.partition(" is ")[2]
    if schema_types(schema)[0] == "array":
        return _taken_list(schema["items"], schema["minItems"], schema["maxItems"])
    if isinstance(each := schema.get("additionalProperties"), dict):
        return f"a mapping, each value {_taken(each) if 'else' in each else wanted(each)}"
    return wanted(schema)


def _taken_list(item: Schema, least: int, most: int) -> str:
    if "$ref" in item:
        return f"a list of at least {least} layers" if least > 1 else "a list of layers"
    return f"a list of {least if least == most else f'{least} to {most}'}, each {_taken(item)}"


# ------------------------------------------------------------------------------------------------------------- examples


def _sample(schema: Schema) -> str:
    """The value that a description gives as an example."""
    found = re.search(r"such as ([^;]+)", meaning(schema))
    return found[1] if found else SOME_NUMBER


def _shown(cls: type[Kind]) -> dict[str, str]:
    """The parameters that an example shows: those it needs, and the first of the others that has a sample."""
    schemas = {field.name: field.schema() for field in parameters(cls)}
    others = [field for field in parameters(cls) if not field.required and "such as" in field.meaning][:1]
    shown = [field.name for field in parameters(cls) if field.required or field in others]
    return {name: _sample(schemas[name]) for name in shown}


def _written(cls: type[Kind], inside_line: bool = False) -> str:
    """The kind as one would write it; `inside_line`: behind a key, where a mapping needs braces."""
    shown = _shown(cls)
    text = f"{cls.kind}: {_mapping(shown)}" if shown else cls.kind
    return f"{{{text}}}" if shown and inside_line else text


def _written_composite(cls: type[Composite]) -> str:
    some = SOME_BRANCHES if cls.is_branching else SOME_LAYERS
    lists = {held.name: some for held in cls.holds if held.minimum}
    return f"{cls.kind}: {some if cls.list_form else _mapping(_shown(cls) | lists)}"


def _mapping(values: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{key}: {value}' for key, value in values.items())}}}"


# ------------------------------------------------------------------------------------------------------------- Markdown


def _heading(level: int, title: str) -> Iterator[str]:
    yield from (f"{'#' * level} {title}", "")


def _paragraph(text: str) -> Iterator[str]:
    yield from (text, "")


def _example(lines: Iterable[str]) -> Iterator[str]:
    yield from ("```yaml", *lines, "```", "")


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    titles = list(titles)
    yield _row(titles)
    yield _row(["---"] * len(titles))
    yield from map(_row, rows)
    yield ""


def _row(cells: Iterable[str]) -> str:
    escaped = [cell.replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"


def _link(kind: str, title: str = "") -> str:
    return f"[`{kind}`](#{_anchor(title or kind)})"


def _title(cls: type[Kind]) -> str:
    """The heading of a kind; one whose word is also that of a layer tells its family."""
    is_twice = LAYERS.get(cls.kind, cls) is not cls
    return f"`{cls.kind}` ({cls.family})" if is_twice else f"`{cls.kind}`"


@cache
def _titles() -> dict[str, str]:
    """The headings of the kinds that a recipe chooses from."""
    choices = filter(None, map(_choice, parameters(Recipe)))
    return {kind: _title(cls) for choice in choices for kind, cls in choice.family.table.items()}


def _links(kinds: Iterable[str]) -> str:
    return ", ".join(map(_link, kinds))


def _anchor(title: str) -> str:
    """The anchor that GitHub gives a heading of letters, digits, `_`, spaces, brackets and backticks."""
    return re.sub(r"[`()]", "", title).lower().replace(" ", "-")
