"""A page with the table of errors and all pictures."""

from html import escape
from pathlib import Path
from typing import Dict, List

from .errors import COLUMNS, Errors, rows


PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<title>{run}</title>
<style>
body {{ font-family: sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }}
table {{ border-collapse: collapse; }}
td, th {{ padding: 0.2em 1em; text-align: right; border-bottom: 1px solid #ccc; }}
td:first-child, th:first-child, td:nth-child(5), th:nth-child(5) {{ text-align: left; }}
img {{ max-width: 100%; }}
</style></head>
<body>
<h1>{run}</h1>
<p>{title}</p>
<table>
{table}
</table>
<p>Values and errors of a structure refer to the whole structure; “(per atom)” in the
errors of the training means divided by the number of atoms.</p>
{pictures}
</body></html>
"""
STRUCTURES = (
    '<p><a href="structures.html">The structures</a>, with errors, and with vectors '
    "and tensors drawn into them</p>"
)
PICTURE = '<h2>{caption}</h2><img src="{name}" alt="{name}">'
CAPTIONS = {
    "training.png": "Training",
    "parity.png": "Predicted against reference",
    "learning-curve.png": "Learning curve",
}


def write_overview(
    title: str, run: Path, table: Dict[str, Errors], pictures: List[Path], folder: Path
) -> Path:
    """Write ``index.html`` beside the pictures.

    :param title: the data that the errors refer to.
    :param run: folder of the training.
    :param table: the errors.
    :param pictures: the files to show.
    :param folder: where they are.
    :return: the page.
    """
    names = [path.name for path in pictures]
    elements = [STRUCTURES] if "structures.html" in names else []
    for name, caption in CAPTIONS.items():
        if name in names:
            elements.append(PICTURE.format(name=name, caption=caption))
    lines = [
        "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + "</tr>"
        for tag, row in [("th", COLUMNS), *(("td", row) for row in rows(table))]
    ]
    page = folder / "index.html"
    page.write_text(
        PAGE.format(
            run=escape(str(run)),
            title=escape(title),
            table="\n".join(lines),
            pictures="\n".join(elements),
        ),
        encoding="utf8",
    )
    return page
