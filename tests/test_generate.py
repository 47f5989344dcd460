"""Generated architectures: the best of what was scored, within bounds, and what is said and written of them."""

import json
from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_tasks import SMALL, SPACE, drawn_weights, known_table

import ednag_jax as ed
from ednag_jax import cli
from ednag_jax.config import PredictorConfig
from ednag_jax.features.untrained import NUM_FEATURES
from ednag_jax.generate import Scored, best_distinct, denoised
from ednag_jax.generated_report import as_markdown, meaning, notes
from ednag_jax.networks import build, num_parameters
from ednag_jax.predictor import encode_dataset, predicted_benchmark, save_predictor
from ednag_jax.predictor.data_sets import data_set_of
from ednag_jax.predictor.examples import examples_of, fit_standards
from ednag_jax.predictor.fitness import PARAMS
from ednag_jax.predictor.model import Predictor, PredictorNetwork, dataset_vectors, smallest_inputs

MAX_PARAMS = 0.6
MADE = {"date": "2000-01-01", "command": "ednag", "environment": {"device": "1 x cpu", "jax": "0"}}


@cache
def predictor(config: PredictorConfig = SMALL, space=SPACE) -> Predictor:
    """A predictor that knows nothing, of features that need no weights: no test depends on what it says."""
    table = known_table(num_tasks=6, width=NUM_FEATURES)
    standards, network = fit_standards(table, config.components), PredictorNetwork(space, config)
    drawn = [drawn_weights(network.init, *smallest_inputs(network), seed=member) for member in range(2)]
    weights = jax.tree.map(lambda *leaves: jnp.stack(leaves), *drawn)
    examples = examples_of(table, standards)
    vectors = dataset_vectors(weights, examples.features, examples.mask, network=network)
    return Predictor(weights, standards, space, config, "untrained", table.tasks, vectors, "a hash")


@cache
def images() -> ed.ImageSet:
    """Three classes, told apart by their colour."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3, dtype=np.int32), 12)
    pixels = rng.integers(0, 90, (len(labels), 8, 8, 3))
    pixels[np.arange(len(labels)), :, :, labels] += 150
    return ed.ImageSet("colours", pixels.astype(np.uint8), labels, ("red", "green", "blue"))


@cache
def generated(**options) -> ed.Generated:
    """One program for all tests: bounds and roots are no part of it."""
    return ed.generate(
        images(), **{"predictor": predictor(), "seeds": 2, "max_params": MAX_PARAMS, "top": 4, **options}
    )


def structures(found):
    return SPACE.canonical_id(jnp.array([each.phenotype for each in found.architectures])).tolist()


# What comes out


def test_the_best_of_every_structure_come_first_and_what_has_no_accuracy_never():
    pool = 4
    cells = np.zeros((5, 6), np.int32)
    cells[:, 3] = pool
    cells[1, 0] = pool  # into a node that nothing leaves: the same structure as cell 0
    cells[2, 5], cells[3, 4], cells[4, 3] = 3, 3, 3
    ids = np.asarray(SPACE.canonical_id(jnp.asarray(cells)))
    accuracy = np.array([50.0, 60.0, 55.0, np.nan, 70.0])
    found = best_distinct(Scored(cells, accuracy, (0.0, 0.0)), SPACE, 3)
    best = {}
    for row in np.argsort(-np.nan_to_num(accuracy, nan=-1)):
        if np.isfinite(accuracy[row]):
            best.setdefault(ids[row], row)
    np.testing.assert_array_equal(found, cells[list(best.values())[:3]])
    np.testing.assert_array_equal(found[:2], cells[[4, 1]])


@pytest.mark.slow
def test_generated_are_the_best_distinct_of_what_was_scored_within_the_bound():
    found = generated()
    benchmark = _benchmark()
    scored = denoised(benchmark, max_params=MAX_PARAMS, seeds=range(2), root=0)
    assert len(scored.phenotype) == found.num_scored < SPACE.size / 10
    assert len(np.unique(np.asarray(SPACE.arch_index(jnp.asarray(scored.phenotype))))) == found.num_scored
    sizes = np.asarray(benchmark.lookup(jnp.asarray(scored.phenotype), PARAMS))
    np.testing.assert_array_equal(np.isnan(scored.accuracy), sizes > MAX_PARAMS * 1e6)
    greatest = np.nanmax(scored.accuracy)
    assert found.architectures[0].predicted == pytest.approx(greatest, rel=1e-5)
    said = [each.predicted for each in found.architectures]
    assert said == sorted(said, reverse=True)
    assert len(set(structures(found))) == len(found.architectures) == 4
    assert said[0] > found.random_predicted[0]


def _benchmark() -> ed.Benchmark:
    key = jax.random.split(jax.random.key(0))[0]
    target = encode_dataset(predictor(), *data_set_of(images(), "untrained", key=key))
    return predicted_benchmark(predictor(), target, dataset="colours", num_classes=3)


@pytest.mark.slow
@pytest.mark.parametrize("root", [0, 1])
def test_no_architecture_is_larger_than_allowed_and_sizes_are_those_of_the_networks(root):
    found = generated(root=root).architectures
    assert max(each.num_params for each in found) <= MAX_PARAMS * 1e6
    for each in found[:2]:
        assert each.num_params == num_parameters(build("nasbench201", each.phenotype, num_classes=3))
        small = build("nasbench201", each.phenotype, num_classes=3, channels=8, num_cells=1)
        assert each.num_params_small == num_parameters(small)
        assert SPACE.from_str(each.arch).tolist() == list(each.phenotype)


@pytest.mark.slow
def test_the_same_root_gives_the_same_and_another_another(compilations):
    first = generated()
    before = compilations.count
    again = ed.generate(images(), predictor=predictor(), seeds=2, max_params=MAX_PARAMS, top=4)
    assert compilations.count == before
    assert again.architectures == first.architectures
    assert again.nearest_tasks == first.nearest_tasks
    assert generated(root=1).num_scored != first.num_scored


@pytest.mark.slow
def test_the_code_builds_the_network():
    each = generated().architectures[0]
    names = {}
    exec(each.code.replace("variables =", "# "), names)
    assert num_parameters(names["published"]) == each.num_params
    assert num_parameters(names["network"], (8, 8, 3)) == each.num_params_small


@pytest.mark.slow
def test_the_code_draws_weights_of_the_network():
    names = {}
    exec(generated().architectures[0].code, names)
    assert names["network"].apply(names["variables"], jnp.zeros((2, 8, 8, 3))).shape == (2, 3)


@pytest.mark.slow
def test_without_a_bound_large_networks_are_allowed():
    found = ed.generate(images(), predictor=predictor(), seeds=2, top=40)
    assert max(each.num_params for each in found.architectures) > MAX_PARAMS * 1e6
    assert found.max_params is None


@pytest.mark.slow
@pytest.mark.parametrize("space", ["transnas101_micro", "darts"])
def test_other_spaces_generate_with_a_predictor_of_theirs(space):
    found = ed.generate(
        images(), space=space, predictor=predictor(space=ed.SPACES[space]), max_params=3.0, seeds=2
    )
    for each in found.architectures:
        network = build(space, each.phenotype, num_classes=3)
        assert each.num_params == num_parameters(network, (64, 64, 3)) <= 3e6
        assert ed.SPACES[space].from_str(each.arch).tolist() == list(each.phenotype)


# What cannot be


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": "moon"}, "space must be one of"),
        (
            {"space": "nasbench101", "predictor": None},
            "take one of those, or train one on accuracies of your own",
        ),
        ({"space": "darts"}, "the predictor is for space 'nasbench201', got space 'darts'"),
        ({"top": 0}, "top must be at least 1"),
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"selection": "all"}, "selection must be one of coreset, random"),
        pytest.param({"max_params": -1.0}, "must be above 0", marks=pytest.mark.slow),
        pytest.param(
            {"max_params": 0.001},
            r"max_params must be at least 0\.\d+ million to allow the smallest",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_cannot_be_generated_says_what_to_do(options, message):
    with pytest.raises(ValueError, match=message):
        generated(**options)


# What is said


@pytest.mark.slow
def test_the_report_says_what_predictions_are_why_these_and_what_was_measured():
    found = generated()
    text = as_markdown(found, MADE, [{"held_out_accuracy": 91.256, "epoch": 7}])
    assert meaning(found) in text
    for name, distance in found.nearest_tasks:
        assert f"{name} (distance {distance:.2f})" in text
    for each in found.architectures:
        assert f"`{each.arch}`" in text
        assert each.code in text
    assert "At most 0.6 million were allowed" in text
    assert "91.26 %" in text
    assert "after 7 epochs" in text
    assert "--model architecture_1" in text
    assert "--model architecture_2" not in text


@pytest.mark.slow
def test_where_nothing_was_held_out_nothing_is_said_to_be_measured():
    lines = notes(generated(), [{"held_out_accuracy": None, "epoch": 7}])
    assert lines[-1] == "Measured: nothing, as no images were held out."


@pytest.mark.slow
def test_a_blind_predictor_is_said_to_be_blind_and_names_no_tasks():
    found = replace(generated(), is_blind=True, nearest_tasks=())
    assert "This predictor does not look at the images" in as_markdown(found, MADE, [])
    assert "most like" not in as_markdown(found, MADE, [])


@pytest.mark.slow
def test_fewer_than_asked_for_is_said():
    found = replace(generated(), top=9)
    assert any("9 architectures were asked for, and no more than 4" in line for line in notes(found))


@pytest.mark.slow
def test_a_blind_predictor_generates_the_same_for_all_images():
    blind = predictor(replace(SMALL, blind=True))
    dark = ed.ImageSet("dark", images().images // 4, images().labels, images().classes)
    first, second = (ed.generate(these, predictor=blind, seeds=2) for these in (images(), dark))
    assert first.is_blind
    assert first.nearest_tasks == ()
    assert first.architectures == second.architectures


# The commands


@pytest.fixture
def folder(tmp_path):
    """Images as files, a folder a class."""
    from PIL import Image

    for row, (pixels, label) in enumerate(zip(images().images, images().labels, strict=True)):
        path = tmp_path / "photos" / images().classes[label] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path / "photos"


def test_a_space_without_a_predictor_ends_with_one_line_that_says_what_to_run(tmp_path, capsys):
    arguments = ["generate", "--images", "digits", "--space", "nasbench101", "--out", str(tmp_path)]
    assert cli.main(arguments) == cli.USER_ERROR
    assert (
        "no predictor for space 'nasbench101' comes with the package (spaces that have one: darts,"
        in capsys.readouterr().err
    )


@pytest.mark.slow
def test_from_a_folder_to_trained_networks_to_a_table_of_answers(folder, tmp_path, capsys):
    out, file = tmp_path / "out", save_predictor(predictor(), tmp_path / "predictor.npz")
    arguments = ["generate", "--images", str(folder), "--predictor", str(file), "--out", str(out), "--top", "2"]
    arguments += ["--max-params", "0.6", "--seeds", "2"]
    assert cli.main(arguments) == 0
    assert "a score to compare architectures by" in " ".join(capsys.readouterr().out.split())
    files = {"report.md", "architectures.json", "cell_1.png", "cell_2.png"}
    assert {path.name for path in out.iterdir()} == files
    before = json.loads((out / "architectures.json").read_text())
    assert "measured" not in before["architectures"][0]

    trained = [*arguments, "--train", "--budget", "0.02", "--no-flips"]
    assert cli.main(trained) == 0
    stored = json.loads((out / "architectures.json").read_text())
    assert [each["arch"] for each in stored["architectures"]] == [
        each["arch"] for each in before["architectures"]
    ]
    assert {path.name for path in out.iterdir()} == files | {"architecture_1", "architecture_2"}
    model = ed.load_trained(out / "architecture_1")
    recipe, measured = model.description["recipe"], stored["architectures"][0]["measured"]
    assert (recipe["flip_rate"], measured["epoch"]) == (0, 4)
    assert model.description["images"]["num_images"] + 6 == len(images())
    assert f"{measured['held_out_accuracy']:.2f} %" in (out / "report.md").read_text()
    capsys.readouterr()
    assert cli.main(trained) == 0  # finished trainings are read, not run again
    again = json.loads((out / "architectures.json").read_text())
    assert again["architectures"] == stored["architectures"]

    capsys.readouterr()
    ask = ["predict", "--images", str(folder), "--model"]
    assert cli.main([*ask, str(out / "architecture_1")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "file,label,probability"
    assert len(lines) == 1 + len(images())
    assert lines[1].startswith("blue/24.png,")
    assert cli.main([*ask, str(out / "architecture_1"), "--out", str(tmp_path / "said.csv")]) == 0
    assert (tmp_path / "said.csv").read_text().splitlines() == lines
    assert cli.main([*ask, str(out)]) == cli.USER_ERROR
    assert f"give one of {out / 'architecture_1'}, " in capsys.readouterr().err
    assert cli.main([*trained[:-3], "--budget", "0.04"]) == cli.USER_ERROR
    assert "has another training: recipe differ" in capsys.readouterr().err
