"""One page with the table of errors and all pictures."""

from html import escape
from pathlib import Path
from typing import Dict, List

from .errors import COLUMNS, Errors, rows


STYLE = """
body { font-family: sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; }
td, th { padding: 0.2em 1em; text-align: right; border-bottom: 1px solid #ccc; }
td:first-child, th:first-child, td:nth-child(5), th:nth-child(5) { text-align: left; }
img { max-width: 100%; }
"""
CAPTIONS = {
    "training.png": "Training",
    "parity.png": "Predicted against reference",
    "learning-curve.png": "Learning curve",
}
NOTE = (
    "Values and errors of a structure are those of the whole structure; "
    "“(per atom)” in the errors of the training means divided by its number of atoms."
)


def write_overview(
    title: str, run: Path, table: Dict[str, Errors], pictures: List[Path], folder: Path
) -> Path:
    """Write ``index.html`` beside the pictures.

    :param title: what the errors are of.
    :param run: folder of the training.
    :param table: the errors.
    :param pictures: the files to show.
    :param folder: where they are.
    :return: the page.
    """
    parts: List[str] = [
        f"<h1>{escape(str(run))}</h1>",
        f"<p>{escape(title)}</p>",
        _table(table),
        f"<p>{NOTE}</p>",
    ]
    names = [path.name for path in pictures]
    if "structures.html" in names:
        parts.append(
            '<p><a href="structures.html">The structures</a>, with errors, and vectors '
            "and tensors drawn into them</p>"
        )
    for name, caption in CAPTIONS.items():
        if name in names:
            parts.append(f'<h2>{escape(caption)}</h2><img src="{name}" alt="{name}">')
    page = folder / "index.html"
    page.write_text(
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(str(run))}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n",
        encoding="utf8",
    )
    return page


def _table(table: Dict[str, Errors]) -> str:
    lines = [
        "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + "</tr>"
        for tag, row in [("th", COLUMNS), *(("td", row) for row in rows(table))]
    ]
    return "<table>\n" + "\n".join(lines) + "\n</table>"
