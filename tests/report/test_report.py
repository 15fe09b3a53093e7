"""``scalar-tensor report``: the numbers and pictures of real trainings."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import ase.io
import matplotlib.image
import numpy as np
import pytest
from ase.calculators.emt import EMT
from matplotlib.colors import rgb_to_hsv
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator
from metatrain.__main__ import main as mtt
from omegaconf import OmegaConf

from files import DATA, PROJECT
from helpers import molecules
from metatrain_scalar_tensor.command import main
from metatrain_scalar_tensor.report.run import Run
from options import write_options


TARGETS = {
    "energy": {"key": "E", "unit": "eV", "forces": {"key": "f"}, "stress": False},
    "mtt::mu": {"key": "mu", "unit": "e*A", "type": {"cartesian": {"rank": 1}}},
    "mtt::alpha": {
        "key": "alpha",
        "unit": "bohr^3",
        "type": {"cartesian": {"rank": 2}},
    },
    "mtt::field": {  # the forces once more, as a spherical tensor of atoms
        "key": "field",
        "unit": "eV/A",
        "sample_kind": "atom",
        "type": {"spherical": {"irreps": [{"o3_lambda": 1, "o3_sigma": 1}]}},
    },
}
QUANTITIES = ["energy", "forces", "mtt::mu", "mtt::alpha", "mtt::field λ=1 σ=+1"]
STRUCTURES = "metatrain_scalar_tensor.report.structures"
SHAPES = "metatrain_scalar_tensor.report.shapes"
PICTURES = ["training.png", "parity.png"]
PAGES = ["index.html", "structures.html", "structures.json.gz"]


def write_data(path):
    """Molecules with energies, forces and tensors; some values are missing."""
    frames = molecules(30)
    for i, frame in enumerate(frames):
        frame.calc = EMT()
        frame.info["E"] = frame.get_potential_energy()
        frame.arrays["f"] = frame.get_forces()
        frame.arrays["field"] = frame.arrays["f"][:, [1, 2, 0]]
        frame.calc = None
        if i % 3 == 0:
            frame.info["mu"] = np.full(3, np.nan)
        if i % 2 == 0:  # with eigenvalues of both signs
            trace = frame.info["alpha"][[0, 4, 8]].sum()
            frame.info["alpha"] = frame.info["alpha"] - trace / 3 * np.eye(3).ravel()
    ase.io.write(path, frames, format="extxyz")


def train(options, *arguments):
    """Run ``mtt train`` in the current folder; returns its output folder."""
    OmegaConf.save(options, "options.yaml")
    before = set(Path().glob("outputs/*/*"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mtt", "train", "options.yaml", *arguments])
        mtt()
    [folder] = set(Path().glob("outputs/*/*")).difference(before)
    return folder.absolute()


def options_of(systems="data.xyz", targets=TARGETS, **changes):
    options = write_options(systems, test_set=0.2)
    options.training_set.targets = targets
    options.architecture.training.num_epochs = 2
    for path, value in changes.items():
        OmegaConf.update(options, path.replace("__", "."), value, merge=False)
    return options


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Where ``mtt train`` is run, with the data."""
    folder = tmp_path_factory.mktemp("workplace")
    write_data(folder / "data.xyz")
    return folder


@pytest.fixture(scope="module")
def run(workplace):
    """The output folder of a training, as a user starts it."""
    options = options_of(architecture__training__num_epochs=20)
    options.architecture.training.learning_rate = 0.01
    OmegaConf.save(options, workplace / "first.yaml")
    subprocess.run(
        [sys.executable, "-m", "metatrain", "train", "first.yaml", "-o", "water.pt"],
        cwd=workplace,
        check=True,
    )
    [folder] = workplace.glob("outputs/*/*")
    return folder


@pytest.fixture(scope="module")
def report(run, tmp_path_factory):
    """What the command prints, started anywhere."""
    return subprocess.run(
        [sys.executable, "-m", "metatrain_scalar_tensor.report", run],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        check=True,
        capture_output=True,
        text=True,
        encoding="utf8",
        env={**os.environ, "PYTHONIOENCODING": "utf8"},
    ).stdout


def table(text):
    """The rows of the first table: number of values, MAE, RMSE and %."""
    number = r"([-+.\de]+|nan)"
    rows = re.findall(
        rf"^(.+?)  +(\d+) +{number} +{number} +(\S+) +{number}$", text, re.M
    )
    return {
        name: tuple(float(value) for value in (count, mae, rmse, percent))
        for name, count, mae, rmse, _, percent in rows
    }


def expected_row(predicted, reference):
    predicted, reference = np.asarray(predicted), np.asarray(reference)
    known = np.isfinite(reference).all(axis=1)
    predicted, reference = predicted[known], reference[known]
    rmse = np.sqrt(np.mean((predicted - reference) ** 2))
    std = np.sqrt(reference.var(axis=0).mean())
    mae = np.abs(predicted - reference).mean()
    return reference.size, mae, rmse, 100 * rmse / std


def test_errors_are_those_of_the_exported_model(run, workplace, report):
    frames = ase.io.read(workplace / "data.xyz", ":")
    frames = [frames[i] for i in np.loadtxt(run / "indices" / "test.txt", dtype=int)]
    calculator = MetatomicCalculator(workplace / "water.pt")
    structure = {
        name: ModelOutput(sample_kind="system") for name in ("mtt::mu", "mtt::alpha")
    }
    outputs = {**structure, "mtt::field": ModelOutput(sample_kind="atom")}
    pairs = {name: ([], []) for name in QUANTITIES}
    for frame in frames:
        predicted = calculator.run_model(frame, outputs)
        values = {
            "energy": ([[calculator.get_potential_energy(frame)]], [[frame.info["E"]]]),
            "forces": (calculator.get_forces(frame), frame.arrays["f"]),
            "mtt::mu": (
                predicted["mtt::mu"].block().values.reshape(1, 3),
                [frame.info["mu"]],
            ),
            "mtt::alpha": (
                predicted["mtt::alpha"].block().values.reshape(1, 9),
                [frame.info["alpha"]],
            ),
            "mtt::field λ=1 σ=+1": (
                predicted["mtt::field"].block().values[..., 0],
                frame.arrays["field"],
            ),
        }
        for name, (of_model, of_data) in values.items():
            pairs[name][0].extend(np.asarray(of_model))
            pairs[name][1].extend(np.asarray(of_data))

    found = table(report)
    assert list(found) == QUANTITIES
    assert "Test set: 6 structures" in report
    for name, (predicted, reference) in pairs.items():
        assert found[name] == pytest.approx(
            expected_row(predicted, reference), rel=1e-3
        ), name
    missing = [np.isnan(frame.info["mu"]).any() for frame in frames]
    assert 0 < sum(missing) < 6  # or the test of missing values is none
    assert found["mtt::mu"][0] == 3 * (6 - sum(missing))


def test_pictures_and_pages_are_written(run, report):
    for name in PICTURES + PAGES:
        assert str(run / "report" / name) in report
        assert (run / "report" / name).stat().st_size > 500
    for name in PICTURES:
        assert matplotlib.image.imread(run / "report" / name).std() > 0.05
    overview = (run / "report" / "index.html").read_text()
    for text in [*QUANTITIES, *PICTURES, "structures.html"]:
        assert text in overview
    parts = ["<table>", "parity.png", "training.png", "structures.html"]
    assert sorted(parts, key=overview.index) == parts
    assert not (run / "report" / "learning-curve.png").exists()


@pytest.fixture(scope="module")
def page(run, report):
    """The data of the page of the structures."""
    return json.loads(gzip.decompress((run / "report/structures.json.gz").read_bytes()))


def in_order(run, workplace):
    frames = ase.io.read(workplace / "data.xyz", ":")
    return [frames[i] for i in np.loadtxt(run / "indices" / "test.txt", dtype=int)]


def test_arrows_are_the_vectors(run, workplace, page):
    frames = in_order(run, workplace)
    drawn = page["shapes"]["mtt::mu reference"]["parameters"]["structure"]
    mu = np.array([frame.info["mu"] for frame in frames])
    arrows = np.array([arrow["vector"] for arrow in drawn])
    is_known = np.isfinite(mu).all(axis=1)
    scale = np.linalg.norm(arrows[is_known]) / np.linalg.norm(mu[is_known])
    np.testing.assert_allclose(arrows[is_known], scale * mu[is_known], atol=1e-6)
    np.testing.assert_allclose(arrows[~is_known], 0.0, atol=1e-5)
    predicted = page["shapes"]["mtt::mu predicted"]["parameters"]["structure"]
    for arrow, other in zip(drawn, predicted):
        assert arrow["position"] == other["position"]

    forces = page["shapes"]["forces reference"]["parameters"]["atom"]
    spherical = page["shapes"]["mtt::field reference"]["parameters"]["atom"]
    forces, spherical = [
        np.array([arrow["vector"] for arrow in arrows])
        for arrows in (forces, spherical)
    ]
    expected = np.concatenate([frame.arrays["f"] for frame in frames])
    for arrows in (forces, spherical):
        scale = np.linalg.norm(arrows) / np.linalg.norm(expected)
        np.testing.assert_allclose(arrows, scale * expected, atol=1e-6)


def test_arrows_are_not_hidden(run, workplace, page):
    """They start in the center, or beyond all atoms if these would hide half of one."""
    started = []
    shapes = [page["shapes"][f"mtt::mu {kind}"] for kind in ("reference", "predicted")]
    drawn = [shape["parameters"]["structure"] for shape in shapes]
    for frame, *arrows in zip(in_order(run, workplace), *drawn):
        vectors = np.array([arrow["vector"] for arrow in arrows])
        lengths = np.linalg.norm(vectors, axis=1)
        if np.isnan(frame.info["mu"]).any():
            vectors, lengths = vectors[1:], lengths[1:]
        start = arrows[0]["position"] - frame.get_center_of_mass()
        direction = vectors.sum(axis=0)
        direction = direction / np.linalg.norm(direction)
        np.testing.assert_allclose(np.cross(start, direction), 0.0, atol=1e-6)
        along = (frame.positions - frame.get_center_of_mass()) @ direction
        beyond = along.max() + 0.4  # Å, the radius of an atom
        is_beyond = lengths.min() < 2 * beyond
        assert start @ direction == pytest.approx(beyond if is_beyond else 0.0)
        started.append(is_beyond)
    assert any(started)


def test_ellipsoids_have_the_roots_of_the_eigenvalues(run, workplace, page):
    """Of the references there are three rings, through the ends of the semiaxes."""
    shape = page["shapes"]["mtt::alpha reference"]["parameters"]
    with_negative = []
    ratios = []
    for frame, drawn in zip(in_order(run, workplace), shape["structure"]):
        eigenvalues, axes = np.linalg.eigh(frame.info["alpha"].reshape(3, 3))
        bases, vectors = np.array(drawn["bases"]), np.array(drawn["vectors"])
        for points in (bases, bases + vectors):
            # x / a of the ellipsoid: unit vectors, up to the scale
            scaled = points @ axes / np.sqrt(np.abs(eigenvalues))
            ratios.append(np.linalg.norm(scaled, axis=1))
        for axis, eigenvalue in zip(axes.T, eigenvalues):
            semiaxis = np.abs(bases @ axis).max() / np.sqrt(np.abs(eigenvalue))
            ratios.append([semiaxis])
        with_negative.append(eigenvalues[0] < 0)
        other_color = drawn.get("colors", shape["global"]["colors"])
        assert (other_color != shape["global"]["colors"]) == with_negative[-1]
    np.testing.assert_allclose(np.concatenate(ratios), ratios[0][0], rtol=1e-3)
    assert 0 < sum(with_negative) < len(with_negative)

    predicted = page["shapes"]["mtt::alpha predicted"]
    assert predicted["kind"] == "ellipsoid"
    for drawn in predicted["parameters"]["structure"]:
        assert len(drawn["semiaxes"]) == 3 and min(drawn["semiaxes"]) > 0


def test_first_view_shows_arrows_and_ellipsoids(run, workplace, page):
    """Those of structures, of one in which the arrow reaches beyond the atoms."""
    settings = page["settings"]
    [structure] = settings["structure"]
    kinds = ("reference", "predicted")
    assert set(structure["shape"].split(",")) == {
        f"{target} {kind}" for target in ("mtt::mu", "mtt::alpha") for kind in kinds
    }
    [opened] = settings["pinned"]
    frame = in_order(run, workplace)[opened]
    assert np.isfinite(frame.info["mu"]).all()
    shape = page["shapes"]["mtt::mu predicted"]["parameters"]["structure"][opened]
    vector = np.array(shape["vector"])
    length = np.linalg.norm(vector)
    along = (frame.positions - shape["position"]) @ vector / length
    assert length > along.max() + 0.4  # Å, the radius of an atom
    camera = structure["camera"]  # from the side
    up = [camera["up"][x] for x in "xyz"]
    to_eye = [camera["eye"][x] - camera["center"][x] for x in "xyz"]
    np.testing.assert_allclose(up, vector / length, atol=1e-6)
    np.testing.assert_allclose(np.dot(up, to_eye), 0.0, atol=1e-6)


def test_worst_structures_are_linked(run, workplace, report, page):
    """Ordered by their error in multiples of the RMSE of all, each with a view."""
    overview = (run / "report" / "index.html").read_text()
    rows = re.findall(
        r'<a href="structures.html#(\d+)">\1</a></td><td>(\w+)</td><td>(.+?)</td>'
        r'<td class="number">(\S+?)</td><td>.*?</td><td class="number">(\S+?)</td>',
        overview,
    )
    frames = in_order(run, workplace)
    assert sorted(int(number) for number, *_ in rows) == list(range(len(frames)))
    multiples = [float(row[-1]) for row in rows]
    assert multiples == sorted(multiples, reverse=True) and multiples[0] > 1
    for number, formula, quantity, rmse, multiple in rows:
        assert formula == frames[int(number)].get_chemical_formula()
        overall = table(report)[quantity][2]
        assert float(multiple) == pytest.approx(float(rmse) / overall, abs=0.051)
    # mtt::mu is a vector: the RMSE of a structure is the norm of its error over √3
    errors = np.array(page["properties"]["mtt::mu error"]["values"], dtype=float)
    known = np.isfinite(errors)
    worst = np.sqrt(np.mean(errors[known] ** 2) / 3)
    assert worst == pytest.approx(table(report)["mtt::mu"][2], rel=1e-3)
    for number, _, quantity, rmse, _ in rows:
        if quantity == "mtt::mu":
            expected = errors[int(number)] / np.sqrt(3)
            assert float(rmse) == pytest.approx(expected, rel=1e-3)


def test_page_has_at_most_200_structures_and_all_that_are_linked(tmp_path):
    structures = pytest.importorskip(STRUCTURES)
    from metatrain_scalar_tensor.report.evaluation import Block, Evaluation

    frames = molecules(1) * 500
    mu = np.random.default_rng(0).normal(size=(500, 3, 1))
    samples = np.arange(500)[:, None]
    block = Block("mu", "mu", {"_": 0}, "e*A", samples, mu + 0.1, mu)
    linked = [3, 4, 5, 333]
    structures.write_structures(Evaluation(frames, [block]), "many", linked, tmp_path)
    data = json.loads(gzip.decompress((tmp_path / "structures.json.gz").read_bytes()))
    numbers = np.array(data["properties"]["number"]["values"], dtype=int)
    assert len(numbers) <= 200 and set(linked) <= set(numbers)
    references = np.array(data["properties"]["mu reference"]["values"])
    np.testing.assert_allclose(references, np.linalg.norm(mu[numbers, :, 0], axis=1))
    html = (tmp_path / "structures.html").read_text()
    views = json.loads(re.search(r"const view = \((.*)\)\[location", html)[1])
    assert [views[str(n)]["pinned"] for n in numbers] == list(range(len(numbers)))


CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")
def test_page_of_structures_in_a_browser(run, report, tmp_path):
    """Map, molecule and shapes are drawn without any network or script error."""
    result = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
        + ["--no-first-run", "--disable-background-networking", "--disable-sync"]
        + ["--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}"]
        + ["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-unsafe-swiftshader"]
        + ["--enable-logging=stderr", "--window-size=1000,700"]
        + ["--virtual-time-budget=5000", f"--screenshot={tmp_path / 'page.png'}"]
        + ["--dump-dom", (run / "report" / "structures.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert 'data-state="loaded"' in result.stdout
    assert '<div id="problem"></div>' in result.stdout
    assert not re.findall(r"CONSOLE.*(?:Uncaught|Error).*", result.stderr)

    picture = matplotlib.image.imread(tmp_path / "page.png")[:550, :, :3]
    left, right = picture[:, :500], picture[:, 500:]

    def pixels(image, red, green, blue):
        """How many have this color, lit, in shadow or looked through."""
        hue = rgb_to_hsv(np.array([red, green, blue]) / 255)[0]
        hues, saturations, _ = np.moveaxis(rgb_to_hsv(image), 2, 0)
        return ((np.abs(hues - hue) < 0.02) & (saturations > 0.15)).sum()

    assert pixels(left, 255, 0, 0) > 30  # the selected structure on the map
    assert pixels(right, 0x44, 0x77, 0xAA) > 200  # reference: an arrow
    assert pixels(right, 0xEE, 0x77, 0x33) > 200  # predicted
    # ellipsoids have other colors if there are negative eigenvalues
    rings = pixels(right, 0x44, 0x77, 0xAA) + pixels(right, 0xAA, 0x33, 0x77)
    ellipsoid = pixels(right, 0xEE, 0x77, 0x33) + pixels(right, 0xCC, 0xBB, 0x44)
    assert rings > 500
    assert 10_000 < ellipsoid < 0.5 * right[..., 0].size


def test_several_runs_give_a_learning_curve(run, workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    targets = {"mtt::alpha": TARGETS["mtt::alpha"]}
    small = [
        train(options_of(targets=targets, validation_set=0.6, seed=seed))
        for seed in (2, 3)
    ]
    main(["report", str(run), *map(str, small), "-o", "all"])
    printed = capsys.readouterr().out
    assert printed.count("Test set: 6 structures") == 3
    for folder in (run, *small):
        [written] = Path("all").glob(f"**/{folder.name}")
        picture = matplotlib.image.imread(written / "learning-curve.png")
        assert picture.std() > 0.05
        assert "learning-curve.png" in (written / "index.html").read_text()
    sizes = [Run(folder).num_training_structures for folder in (run, *small)]
    assert sizes == [18, 6, 6]


def test_newest_run_and_other_data(run, workplace, tmp_path, monkeypatch, capsys):
    """Without arguments the newest run, here with other data."""
    monkeypatch.chdir(workplace)
    options = {
        "systems": {"read_from": "data.xyz", "length_unit": "angstrom"},
        "targets": {"mtt::alpha": TARGETS["mtt::alpha"]},
    }
    OmegaConf.save(options, "eval.yaml")
    main(["report", "--data", "eval.yaml", "-o", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "30 structures of data.xyz" in printed
    assert {name: row[0] for name, row in table(printed).items()} == {"mtt::alpha": 270}
    assert {path.name for path in tmp_path.iterdir()} == {*PICTURES, *PAGES}


def first_coordinates(data):
    """What tells the structures of data apart."""
    return [
        part.dataset[i]["system"].positions[0, 0].item()
        for part in data.parts
        for i in range(len(part.dataset))
    ]


def test_sets_of_their_own_files(workplace, monkeypatch):
    """Validation and test sets as files of their own, as indices and as fractions."""
    monkeypatch.chdir(workplace)
    x = [frame.positions[0, 0] for frame in ase.io.read("data.xyz", ":")]
    options = options_of(targets={"mtt::alpha": TARGETS["mtt::alpha"]})
    options.architecture.training.num_epochs = 1
    options.training_set.indices = list(range(10, 20))
    for name, numbers in [("validation", range(20, 24)), ("test", [25, 27])]:
        own = OmegaConf.create(OmegaConf.to_container(options.training_set))
        own.indices = list(numbers)
        options[f"{name}_set"] = own
    by_files = Run(train(options))
    assert by_files.num_training_structures == 10
    data = by_files.held_out_data()
    assert data.description == "Test set: 2 structures"
    assert first_coordinates(data) == pytest.approx([x[25], x[27]])

    options.test_set = 0.2
    fraction = Run(train(options))
    assert fraction.num_training_structures == 8
    data = fraction.held_out_data()
    assert data.description == "Test set: 2 structures"
    for found in first_coordinates(data):
        assert np.isclose(x[10:20], found).sum() == 1

    options.test_set = 0.0
    options.validation_set = {"indices": [5, 6, 7]}
    data = Run(train(options)).held_out_data()
    assert data.description == "Validation set: 3 structures"
    assert first_coordinates(data) == pytest.approx(x[5:8])


def test_pairs_of_atoms(tmp_path, monkeypatch, capsys):
    """Targets of pairs are compared pair by pair."""
    monkeypatch.chdir(tmp_path)
    options = OmegaConf.load(PROJECT / "options" / "hamiltonian.yaml")
    data = str(DATA / "hamiltonian" / "water_sto3g.zip")
    options.training_set.systems.read_from = data
    for target in options.training_set.targets.values():
        target.read_from = data
    options.architecture.model = write_options().architecture.model
    options.architecture.training.num_epochs = 2
    options.final_eval = False
    folder = train(options)
    capsys.readouterr()
    main(["report", str(folder)])
    found = table(capsys.readouterr().out)
    # 3 molecules: shells s, s, p of oxygen, s of hydrogen; 6 pairs in both orders
    assert found["mtt::fock_onsite λ=1,1 σ=+1,+1"][0] == 3 * 9
    assert found["mtt::fock_onsite λ=0,0 σ=+1,+1"][0] == 3 * (4 + 1 + 1)
    assert found["mtt::fock_offsite λ=0,0 σ=+1,+1"][0] == 3 * (4 * 2 + 2 * 1)
    assert found["mtt::fock_offsite λ=1,0 σ=+1,+1"][0] == 3 * 2 * 3
    assert all(np.isfinite(row).all() for row in found.values())
    assert (folder / "report" / "structures.html").exists()


def failure(*arguments):
    with pytest.raises(SystemExit) as exit:
        main(["report", *map(str, arguments)])
    return exit.value.code


def test_errors_say_what_to_do(run, workplace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert re.search("no output folder of 'mtt train' here", failure())
    assert re.search("not the output folder of a training", failure(tmp_path))
    assert re.search("no file 'eval.yaml'", failure(run, "--data", "eval.yaml"))

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    for path in copy.glob("water.*"):
        path.unlink()
    assert Run(copy).model_file == workplace / "water.ckpt"  # as the log says
    log = (copy / "train.log").read_text()
    (copy / "train.log").write_text(log.replace(f"{workplace}/water", "/nowhere/water"))
    assert re.search("'/nowhere/water.ckpt'", failure(copy))
    (copy / "train.log").write_text(log.replace(str(workplace), "/nowhere"))
    shutil.copy(run / "water.ckpt", copy)
    assert re.search(r"there is no '/nowhere/data.xyz'.*--data", failure(copy))

    options = {
        "systems": {"read_from": str(workplace / "data.xyz"), "length_unit": "A"},
        "targets": {"mtt::other": TARGETS["mtt::mu"]},
    }
    OmegaConf.save(options, "eval.yaml")
    assert re.search("no mtt::other", failure(run, "--data", "eval.yaml"))
    options["systems"]["length_unit"] = "bohr"
    options["targets"] = {"mtt::mu": TARGETS["mtt::mu"]}
    OmegaConf.save(options, "eval.yaml")
    assert re.search("are in bohr.*convert", failure(run, "--data", "eval.yaml"))


def test_without_chemiscope(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "chemiscope", None)
    monkeypatch.delitem(sys.modules, STRUCTURES, raising=False)
    monkeypatch.delitem(sys.modules, SHAPES, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    main(["report", str(run), "-o", str(tmp_path), "--quiet"])
    shown = capsys.readouterr()
    assert "pip install 'metatrain-scalar-tensor[report]'" in shown.out
    assert "evaluation" not in shown.err  # the progress bar
    assert {path.name for path in tmp_path.iterdir()} == {*PICTURES, "index.html"}
