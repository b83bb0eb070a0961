"""`results.csv`: the metrics of a run, for people who like spreadsheets."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

RESULTS_FILE = "results.csv"


def results_csv(metrics: Sequence[Mapping[str, Any]]) -> bytes:
    """The lines of `metrics.jsonl` as rows below their names, as RFC 4180 has it."""
    columns = list(dict.fromkeys(name for line in metrics for name in line))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(metrics)
    return text.getvalue().encode()
