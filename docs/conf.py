"""Configuration of Sphinx: ``scripts/docs.sh`` builds the pages."""

import html
import os
import re
from importlib.metadata import metadata
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml import commands
from latex2mathml.converter import convert_to_element
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator


# metatensor and metatomic then define their classes in Python, with documentation
os.environ["METATENSOR_IMPORT_FOR_SPHINX"] = "1"
os.environ["METATOMIC_IMPORT_FOR_SPHINX"] = "1"
os.environ["PYTORCH_JIT"] = "0"

LOGGER = logging.getLogger(__name__)
BUILD = Path(__file__).parent / "_build"

project = "metatrain-scalar-tensor"
author = copyright = f"The {project} developers"
release = metadata(project)["Version"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"{project} {release}"

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
myst_update_mathjax = False
myst_url_schemes = ["http", "https"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True

html_static_path = ["_static"]
html_css_files = ["mathml.css", "phone.css"]
html_math_renderer = "mathml"

# What a MathML element of two or three arguments must have
CHILDREN = {
    **dict.fromkeys(("mfrac", "mover", "mroot", "msub", "msup", "munder"), 2),
    **dict.fromkeys(("msubsup", "munderover"), 3),
}


def mathml(tex: str, display: str) -> str:
    """A formula in MathML, which browsers show without JavaScript.

    :param tex: the formula in TeX.
    :param display: ``inline`` or ``block``.
    :return: the ``<math>`` element.
    :raises ValueError: if there is something that the converter doesn't know.
    """
    tex = tex.replace("{aligned}", "{split}")  # the same, but known to the converter
    tex = tex.replace(r"\mathrm{", r"\mathrm {")  # or the d of \mathrm{d} is italic
    tex = tex.replace("'", r"\prime ")  # not a superscript: the sign is raised already
    for name in re.findall(r"\\begin\s*{(.*?)}", tex):
        if f"\\{name}" not in commands.MATRICES:
            raise ValueError(f"unknown environment '{name}'")
    try:
        formula = convert_to_element(tex, display=display)
    except Exception as error:  # its errors have no class in common
        raise ValueError(f"{type(error).__name__} {error}".strip()) from error
    for element in formula.iter():
        if len(element) != CHILDREN.get(element.tag, len(element)):
            raise ValueError(f"wrong number of arguments of an <{element.tag}>")
        if element.get("mathvariant", "normal") != "normal":  # browsers know no other
            raise ValueError(f"unknown font '{element.get('mathvariant')}'")
        # Symbols are character references here: what is TeX was not understood
        text = element.text or ""
        unknown = re.search(r"\\[A-Za-z]*.?|[{}$&#^_~%]", re.sub(r"&#x\w+;", "", text))
        if unknown:
            raise ValueError(f"unknown '{unknown[0]}'")
        element.text = html.unescape(text)
    set_as_in_tex(formula)
    return ElementTree.tostring(formula, encoding="unicode")


def set_as_in_tex(formula: ElementTree.Element) -> None:
    """Bars, signs of numbers and wide hats, where browsers differ from TeX."""
    for element in formula.iter():
        if element.text == "|":  # an ordinary symbol, whatever is around it
            element.attrib.update(lspace="0", rspace="0")
        if element.tag == "mover" and "accent" not in element.attrib:
            if element[1].text == "^":
                element[1].text = "\N{COMBINING CIRCUMFLEX ACCENT}"  # stretches
        for before, sign in pairwise(element):
            is_sign = sign.tag == "mo" and sign.text in ("+", "−", "±")
            if is_sign and before.tag == "mo" and before.text not in (*")]}|!",):
                sign.set("form", "prefix")


def add_mathml(self: HTML5Translator, node: nodes.Element, display: str) -> None:
    """Add a formula to a page, or warn, which stops the build."""
    formula = tex = node.astext().strip()
    if display == "block" and r"\\" in tex and not tex.startswith(r"\begin"):
        tex = rf"\begin{{split}}{tex}\end{{split}}"
    try:
        self.body.append(mathml(tex, display))
    except ValueError as error:
        LOGGER.warning("formula: %s in %s", error, formula, location=node)
        self.body.append(self.encode(node.astext()))


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """A formula in a line."""
    self.body.append(self.starttag(node, "span", "", CLASS="math notranslate"))
    add_mathml(self, node, "inline")
    self.body.append("</span>")
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """A formula on a line of its own, with its number if it has a label."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    add_mathml(self, node, "block")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Write the defaults of all hyperparameters, for the page that shows them."""
    from metatrain.utils.architectures import write_hypers_yaml

    BUILD.mkdir(exist_ok=True)
    write_hypers_yaml("experimental.scalar_tensor", BUILD / "default-hypers.yaml")
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
