"""What speed.py measured, kept comparison by comparison, and the page that shows it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import Row, table

from builder.table import Column, Table

FORMAT = 1
TITLE = "# Speed against the script that a user would write"
PREFACE = """\
Theirs are the scripts of [benchmarks/scripts](../scripts), which follow a teaching notebook and PyTorch's own example;
ours is what `runner.py` does, through the same loop. Both run on the CPU, on MNIST, in turn (every other round begins
at the other end), each time in a process of its own. The table shows medians over the rounds, or means over the seeds,
then lowest to highest; *times better* says how many times ours is faster or smaller, and below 1 how much it loses.

Images per second are those of each side's whole loop, loading included, behind a few steps to warm up;
what a run finds out once at its start is not in them. The share is that of the floating-point operations of a training
step (six for each multiply-accumulate, less the gradient of the images) in what the same process reaches with a product
of two matrices of 2048x2048 in its precision. Bytes are those that torch's operations read, write and ask for; what PIL
and numpy copy for the script comes on top. The time to an accuracy begins behind the imports and holds everything else;
pytorch/examples ends at its first epoch that is good enough, ours at the end of its fixed schedule. Where there are
several seeds, they are 1, 2, 3 and so on, none left out; otherwise the seed is 1."""

Comparisons = dict[str, dict[str, Any]]  # by name: how each was measured, and its rows


@dataclass(frozen=True)
class Results:
    """The two files in a folder."""

    folder: Path

    @property
    def json_file(self) -> Path:
        return self.folder / "speed.json"

    def comparisons(self) -> Comparisons:
        """All that is kept."""
        if not self.json_file.exists():
            return {}
        kept: Comparisons = json.loads(self.json_file.read_text(encoding="utf-8"))["comparisons"]
        return kept

    def keep(self, name: str, how: Mapping[str, str], rows: Sequence[Row], order: Iterable[str]) -> None:
        """Put a comparison in the place of what was measured before, and write both files anew."""
        kept = self.comparisons() | {name: {**how, "rows": [row.to_json() for row in rows]}}
        kept = {each: kept[each] for each in order if each in kept}
        document = json.dumps({"format": FORMAT, "comparisons": kept}, indent=1)
        self.json_file.write_text(document + "\n", encoding="utf-8")
        (self.folder / "speed.md").write_text(page(kept), encoding="utf-8")


def page(kept: Comparisons) -> str:
    """The tables, and how each comparison came about."""
    rows = [Row.of_json(row) for comparison in kept.values() for row in comparison["rows"]]
    columns = dict.fromkeys(key for comparison in kept.values() for key in comparison if key != "rows")
    how = [[name, *(comparison.get(column, "") for column in columns)] for name, comparison in kept.items()]
    provenance = Table([Column(column) for column in ("comparison", *columns)], how)
    return "\n\n".join([TITLE, PREFACE, table(rows).markdown(), "## How it was measured", provenance.markdown()]) + "\n"
