"""What README and documentation say is what is so."""

import re
import subprocess
import sys

import pytest
from documents import (
    DOCS,
    OPTIONS,
    PAGES,
    PROJECT,
    README,
    Workplace,
    blocks,
    commands,
    literal_includes,
    name_of,
    text_of,
)
from metatrain.utils.architectures import (
    check_architecture_options,
    get_default_hypers,
)
from metatrain.utils.omegaconf import check_dataset_options, expand_dataset_config
from omegaconf import OmegaConf


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
    options = (PROJECT / "options" / "qm7x.yaml").read_text()
    assert ("yaml", options) in blocks(README, "yaml")
    script = (PROJECT / "scripts" / "quickstart.sh").read_text()
    for command in commands(README):
        if command.startswith(("mtt eval", "mtt export")):
            assert command in script


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


def test_sphinx_has_no_warnings(tmp_path):
    for module in ("sphinx", "furo", "myst_parser"):
        pytest.importorskip(module, reason="pip install .[docs]")
    subprocess.check_call(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"]
        + ["-d", str(tmp_path / "doctrees"), str(DOCS), str(tmp_path / "html")]
    )
    html = (tmp_path / "html" / "hyperparameters.html").read_text()
    assert "num_epochs" in html and "Number of times the training set" in html
