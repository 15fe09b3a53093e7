"""What README and documentation say is what is so."""

import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser

import ase.vibrations  # noqa: F401 - prints to the output at its first import
import pytest
from metatrain.utils.architectures import (
    check_architecture_options,
    get_default_hypers,
)
from metatrain.utils.omegaconf import check_dataset_options, expand_dataset_config
from omegaconf import OmegaConf

from documents import (
    DOCS,
    OPTIONS,
    PAGES,
    README,
    Workplace,
    arguments_of,
    blocks,
    commands,
    lines_of,
    literal_includes,
    name_of,
    text_of,
)
from files import PROJECT


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    return Workplace(tmp_path_factory.mktemp("repository"))


WITH_CODE = [page for page in PAGES if blocks(page, "bash", "python")]


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_code_runs(page, workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace.folder)
    workplace.run_page(page, monkeypatch)
    if page == README:
        lines = re.findall(r"-?\d+\.\d+ eV, dipole \[.*\] e Å", capsys.readouterr().out)
        assert len(lines) == 100


@pytest.mark.parametrize("path", OPTIONS, ids=name_of)
def test_options_files_are_shown_and_run(path):
    lines = [line for page in WITH_CODE for line in commands(page)]
    assert any(name_of(path) in line.split() for line in lines)
    assert any(path in literal_includes(page) for page in PAGES)


FRAGMENTS = [
    pytest.param(code, id=f"{name_of(page)}-{i}")
    for page in PAGES
    for i, (_, code) in enumerate(blocks(page, "yaml"))
]


@pytest.mark.parametrize("code", FRAGMENTS)
def test_fragments_are_options(code):
    """Of options files: they have the names and the values that metatrain knows."""
    options = OmegaConf.create(code)
    assert {"architecture", "training_set"} & set(options)
    if "architecture" in options:
        name = options.architecture.get("name", "experimental.scalar_tensor")
        architecture = OmegaConf.merge(get_default_hypers(name), options.architecture)
        check_architecture_options(name, OmegaConf.to_container(architecture))
    if "training_set" in options:
        check_dataset_options(expand_dataset_config(options.training_set))


def test_readme_shows_the_quickstart():
    """Its options file, and the commands of its script, all and no others."""
    options = (PROJECT / "options" / "molecules.yaml").read_text()
    assert ("yaml", options) in blocks(README, "yaml")
    script = lines_of((PROJECT / "scripts" / "quickstart.sh").read_text())
    programs = ("mtt", "scalar-tensor", "python")
    of_script = [line for line in script if line.split()[0] in programs]
    of_readme = [line for program in programs for line in arguments_of(README, program)]
    assert sorted(map(shlex.split, of_script)) == sorted(of_readme)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_benchmarks_are_there(page):
    """They take too long to be run: their scripts and options exist."""
    lines = re.sub(r"\\\n", " ", text_of(page))
    for path, arguments in re.findall(r"^    .*python (\S+\.py)(.*)$", lines, re.M):
        script = (PROJECT / path).read_text()
        for option in re.findall(r"--[\w-]+", arguments):
            assert f'"{option}"' in script, f"{path} {option}"


def build(folder, source=DOCS):
    """Build the documentation as ``scripts/docs.sh`` does."""
    return subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", str(DOCS)]
        + ["-d", str(folder / "doctrees"), str(source), str(folder / "html")],
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """The pages, built without warnings."""
    for module in ("sphinx", "furo", "latex2mathml", "myst_parser"):
        pytest.importorskip(module, reason="pip install .[docs]")
    folder = tmp_path_factory.mktemp("documentation")
    result = build(folder)
    assert result.returncode == 0, result.stderr
    return folder / "html"


def test_hyperparameters_are_documented(html):
    page = (html / "hyperparameters.html").read_text()
    assert "num_epochs" in page and "Number of times the training set" in page


class Page(HTMLParser):
    """What a page loads, and its formulas."""

    def __init__(self, path):
        super().__init__()
        self.loaded = []
        self.open = []
        self.text = ""
        self.num_formulas = self.num_mathml = 0
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "link" and "stylesheet" in attributes.get("rel", ""):
            self.loaded.append(attributes["href"])
        if "src" in attributes:
            self.loaded.append(attributes["src"])
        self.num_formulas += "math" in (attributes.get("class") or "").split()
        self.num_mathml += tag == "math"
        if tag in ("script", "style", "pre", "code"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and tag == self.open[-1]:
            self.open.pop()

    def handle_data(self, data):
        if not self.open:
            self.text += data


def test_pages_need_no_network(html):
    """They load nothing from elsewhere, and their formulas are MathML."""
    pages = {path: Page(path) for path in html.rglob("*.html")}
    assert {"api.html", "theory.html"} <= {path.name for path in pages}
    for path, page in pages.items():
        for url in page.loaded:
            assert not re.match(r"(https?:)?//", url), f"{path.name} loads {url}"
        for style in re.findall(r"url\(([^)]*)\)|@import([^;]*);", path.read_text()):
            assert "//" not in "".join(style), path.name
        assert page.num_mathml == page.num_formulas, path.name
        tex = re.findall(r"\\[a-zA-Z]{2,}|\\[()\[\],;]|\$\$?", page.text)
        assert not tex, f"{path.name} shows {tex}"
    for path in html.rglob("*.css"):
        assert not re.search(r"(@import|url\()[^;)]*https?:", path.read_text())
    num_formulas = sum(page.num_mathml for page in pages.values())
    assert num_formulas > 100


def test_equations_have_numbers(html):
    page = (html / "theory.html").read_text()
    labels = re.findall(
        r"^\s*\$\$ \(([\w-]+)\)$", (DOCS / "theory.md").read_text(), re.M
    )
    assert len(labels) > 5
    for i, label in enumerate(labels, 1):
        pattern = rf'id="equation-{label}">\s*<span class="eqno">\({i}\)'
        assert re.search(pattern, page), label
    assert re.search(r'href="#equation-sum">\(1\)</a>', page)


def test_unknown_formulas_stop_the_build(tmp_path):
    pytest.importorskip("latex2mathml", reason="pip install .[docs]")
    formulas = [
        r"\nosuchcommand x",
        r"\frac{a}",
        r"x_i_j",
        r"\left( x",
        r"a & b",
        r"a } b",
        r"\begin{nosuch} a \end{nosuch}",
        r"\mathbf x",  # bold only with braces, as one character
    ]
    page = "".join(f"$$\n{formula}\n$$\n\n" for formula in formulas)
    (tmp_path / "index.md").write_text(f"# Formulas\n\n$x^2$ is one.\n\n{page}")
    result = build(tmp_path, tmp_path)
    assert result.returncode != 0
    for formula in formulas:
        assert f"in {formula}" in result.stderr
    assert result.stderr.count("WARNING") == len(formulas)
