"""A page with the errors, all pictures, and the worst structures."""

from html import escape
from pathlib import Path
from typing import Dict, List, Sequence

from .errors import COLUMNS, Errors, Outlier, rows


PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }}
div {{ overflow-x: auto; }}
table {{ border-collapse: collapse; }}
td, th {{ padding: 0.2em 1em; text-align: left; border-bottom: 1px solid #ccc; }}
.number {{ text-align: right; }}
img {{ max-width: 100%; }}
</style></head>
<body>
<h1>{title}</h1>
<p>Errors of the model of {run}</p>
{sections}
</body></html>
"""
NOTE = (
    "<p>Values and errors of a structure refer to the whole structure; “(per atom)” in "
    "the errors of the training means divided by the number of atoms.</p>"
)
STRUCTURES = (
    '<p><a href="structures.html">All structures</a>, with errors, and with vectors '
    "and tensors drawn into them</p>"
)
WORST = (
    "<p>Structures with the largest errors, each with the target in which it is worst: "
    "the RMSE over its own values, also in multiples of the RMSE over all structures. "
    "Structures are counted from 0. Large multiples may be mistakes in the data.</p>"
)
WORST_COLUMNS = ["structure", "formula", "target", "RMSE", "unit", "multiple"]
TEXT = {"target", "unit", "formula"}  # columns that are aligned to the left
CAPTIONS = {
    "parity.png": "Predicted against reference",
    "training.png": "Convergence",
    "learning-curve.png": "Learning curve",
}


def write_overview(
    title: str,
    run: Path,
    table: Dict[str, Errors],
    worst: List[Outlier],
    files: List[Path],
    folder: Path,
) -> Path:
    """Write ``index.html`` beside the pictures.

    :param title: the data that the errors refer to.
    :param run: folder of the training.
    :param table: the errors.
    :param worst: the structures with the largest errors.
    :param files: what has been written: pictures, and the page of the structures.
    :param folder: where they are.
    :return: the page.
    """
    names = {path.name for path in files}
    pictures = {
        name: f'<h2>{caption}</h2><img src="{name}" alt="{caption}">'
        for name, caption in CAPTIONS.items()
        if name in names
    }
    has_structures = "structures.html" in names
    sections = [
        _table(COLUMNS, [[escape(cell) for cell in row] for row in rows(table)]),
        NOTE,
        pictures.get("parity.png", ""),
        pictures.get("training.png", ""),
        "<h2>Structures</h2>",
        WORST,
        _table(WORST_COLUMNS, [_row(outlier, has_structures) for outlier in worst]),
        STRUCTURES if has_structures else "",
        pictures.get("learning-curve.png", ""),
    ]
    page = folder / "index.html"
    page.write_text(
        PAGE.format(
            run=escape(str(run)),
            title=escape(title),
            sections="\n".join(section for section in sections if section),
        ),
        encoding="utf8",
    )
    return page


def _row(outlier: Outlier, has_structures: bool) -> List[str]:
    """The cells of one of the worst structures."""
    number = str(outlier.structure)
    if has_structures:
        number = f'<a href="structures.html#{number}">{number}</a>'
    return [
        number,
        escape(outlier.formula),
        escape(outlier.quantity),
        f"{outlier.rmse:.4g}",
        escape(outlier.unit),
        f"{outlier.ratio:.1f}",
    ]


def _table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A table in HTML, of cells in HTML."""
    classes = ["" if name in TEXT else ' class="number"' for name in columns]
    lines = [
        "".join(f"<{tag}{of}>{cell}</{tag}>" for of, cell in zip(classes, row))
        for tag, row in [("th", columns), *(("td", row) for row in cells)]
    ]
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"<div><table>\n{body}\n</table></div>"
