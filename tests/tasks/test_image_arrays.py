"""``.npz`` files: layouts, types and everything that can be wrong with them."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from automl.errors import DataError
from automl.tasks.image_arrays import read_digits, read_npz
from automl.tasks.image_options import ImageOptions

RNG = np.random.default_rng(0)
Y = np.arange(12) % 3


def _write(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.npz"


def test_digits_are_scaled_to_one():
    digits = read_digits()
    assert digits.pixels.shape == (1797, 1, 8, 8)
    assert (digits.pixels.min(), digits.pixels.max()) == (0, 1)


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((12, 5, 7), {}, (12, 1, 5, 7)),
        ((12, 3, 5, 7), {}, (12, 3, 5, 7)),
        ((12, 5, 7, 3), {}, (12, 3, 5, 7)),
        ((12, 3, 5, 4), {"layout": "NHWC"}, (12, 4, 3, 5)),
        ((12, 9, 5, 7), {"layout": "NCHW"}, (12, 9, 5, 7)),
    ],
)
def test_axes_are_put_in_order(path, shape, options, expected):
    x = RNG.random(shape).astype(np.float32)
    pixels = read_npz(_write(path, x=x, y=Y), ImageOptions(**options)).pixels
    assert pixels.shape == expected
    moved = {3: x[:, None], 4: np.moveaxis(x, -1, 1)}[x.ndim] if expected[1:] != shape[1:] else x
    assert np.array_equal(pixels, moved)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535), (np.bool_, 1), (np.float64, 1)])
def test_integers_are_scaled_to_one_and_floats_are_kept(path, dtype, top):
    x = np.zeros((12, 4, 4), dtype)
    x[3, 1, 2] = top
    pixels = read_npz(_write(path, x=x, y=Y), ImageOptions()).pixels
    assert pixels.dtype == np.float32
    assert pixels[3, 0, 1, 2] == 1
    assert pixels.sum() == 1


def test_labels_may_be_whole_floats_or_one_column(path):
    x = np.zeros((12, 4, 4))
    for y in (Y.astype(np.float32), Y[:, None], Y.astype(np.uint8)):
        assert read_npz(_write(path, x=x, y=y), ImageOptions()).labels.tolist() == Y.tolist()


def _nan(x):
    x = x.copy()
    x[4, 1, 1] = np.nan
    return x


X = RNG.random((12, 4, 5))


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"x": X}, {}, "has no array 'y'"),
        ({"images": X, "y": Y}, {}, "has no array 'x'; expected 'x' (images) and 'y' (labels), found 'images', 'y'"),
        ({"x": _nan(X), "y": Y}, {}, "image 4 has a pixel that is NaN"),
        ({"x": X * 1e300, "y": Y}, {}, "NaN or infinite"),
        ({"x": X[:9], "y": Y}, {}, "has 9 images but 12 labels"),
        ({"x": X[:, 0], "y": Y}, {}, "x has shape [12, 5]; expected (N, H, W)"),
        ({"x": X[:, None], "y": Y}, {"layout": "NHW"}, "which is not NHW"),
        ({"x": RNG.random((12, 3, 6, 3)), "y": Y}, {}, "both of axis 1 and axis 3 could be the channels"),
        ({"x": RNG.random((12, 8, 6, 9)), "y": Y}, {}, "neither of axis 1 and axis 3"),
        ({"x": X.astype(np.complex64), "y": Y}, {}, "x has the type complex64"),
        ({"x": X.astype(np.int64), "y": Y}, {}, "x has the type int64"),
        ({"x": X, "y": Y + 0.5}, {}, "y has the type float64"),
        ({"x": X, "y": Y.astype(str)}, {}, "y has the type <U"),
        ({"x": X, "y": np.eye(3)[Y]}, {}, "y has shape [12, 3]"),
        ({"x": X, "y": Y - 1}, {}, "label -1 of sample 0 is out of range; expected 0 to 1 for 2 classes"),
        ({"x": X, "y": Y}, {"classes": 2}, "label 2 of sample 2 is out of range; expected 0 to 1"),
        ({"x": X, "y": np.where(Y == 1, 10**12, Y)}, {}, "label 1000000000000 of sample 1 is out of range"),
        ({"x": X, "y": Y * 0}, {}, "all 12 samples are of one class, '0'"),
        ({"x": X[:0], "y": Y[:0]}, {}, "holds no image"),
        ({"x": X, "y": Y}, {"max_bytes": 100}, "raise the option 'max_bytes'"),
        ({"x": np.array([X[0], X[1][:2]] * 6, dtype=object), "y": Y}, {}, "cannot be read as an .npz file of plain"),
    ],
)
def test_unfit_arrays_are_refused_with_file_and_reason(path, arrays, options, message):
    with pytest.raises(DataError) as caught:
        read_npz(_write(path, **arrays), ImageOptions(**options))
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_missing_truncated_and_foreign_files_are_named(path):
    with pytest.raises(DataError, match=r"data\.npz: no such file"):
        read_npz(path, ImageOptions())
    _write(path, x=X, y=Y)
    content = path.read_bytes()
    for broken in (content[: len(content) // 2], b"", b"hello, I am text"):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"data\.npz: cannot be read as an \.npz file"):
            read_npz(path, ImageOptions())
    flipped = bytearray(content)
    flipped[200] ^= 0xFF
    path.write_bytes(flipped)
    with pytest.raises(DataError, match=r"data\.npz: cannot be read as an \.npz file"):
        read_npz(path, ImageOptions())


def test_archive_that_unpacks_to_too_much_is_refused_before_it_is_read(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\0" * 9_000_000)  # no valid array either: reading it would give another message
        archive.writestr("y.npy", b"\0")
    with pytest.raises(DataError, match="raise the option 'max_bytes'"):
        read_npz(path, ImageOptions(max_bytes=1_000_000))
