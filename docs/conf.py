"""Configuration of Sphinx: ``scripts/docs.sh`` builds the pages."""

import os
from importlib.metadata import metadata
from pathlib import Path


# metatensor and metatomic then define their classes in Python, with documentation
os.environ["METATENSOR_IMPORT_FOR_SPHINX"] = "1"
os.environ["METATOMIC_IMPORT_FOR_SPHINX"] = "1"
os.environ["PYTORCH_JIT"] = "0"

BUILD = Path(__file__).parent / "_build"

project = "metatrain-scalar-tensor"
author = copyright = f"The {project} developers"
release = metadata(project)["Version"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"{project} {release}"

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
myst_url_schemes = ["http", "https"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True


def setup(app: object) -> None:
    """Write the defaults of all hyperparameters, for the page that shows them."""
    from metatrain.utils.architectures import write_hypers_yaml

    BUILD.mkdir(exist_ok=True)
    write_hypers_yaml("experimental.scalar_tensor", BUILD / "default-hypers.yaml")
