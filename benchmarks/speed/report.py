"""Rows of measurements as a table for a terminal."""

from collections.abc import Sequence
from typing import Any

# How a column is written; others are printed as they are.
_FORMATS = {
    "us": "{:,.0f}",
    "us_least": "{:,.0f}",
    "us_most": "{:,.0f}",
    "times_torch": "{:.2f}",
    "times_peer": "{:.2f}",
    "images_per_second": "{:,.0f}",
    "evaluated_per_second": "{:,.0f}",
    "in_memory_per_second": "{:,.0f}",
    "share_of_pipeline": "{:.0%}",
    "share_waiting": "{:.0%}",
    "floor_us": "{:,.0f}",
    "share_of_product_rate": "{:.0%}",
    "share_of_bandwidth": "{:.0%}",
    "share_of_the_rest": "{:.0%}",
    "peak_bytes": "{:.3g}",
    "peak_after_first_epoch": "{:.3g}",
    "peak_at_end": "{:.3g}",
    "network_bytes": "{:.3g}",
    "largest_relative_difference": "{:.0e}",
}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """One line for each row under its columns; a column that no row has a value in is left out."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns] + [[_cell(column, row.get(column)) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return _FORMATS.get(column, "{:.3g}").format(value)
    return _FORMATS[column].format(value) if column in _FORMATS else str(value)
