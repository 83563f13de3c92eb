"""Images from arrays: scikit-learn's handwritten digits, and ``.npz`` files with ``x`` and ``y``."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.errors import DataError
from automl.tasks.image_data import ImageData, check_memory
from automl.tasks.image_options import ImageOptions

__all__ = ["read_digits", "read_npz"]

_CHANNELS = range(1, 5)


def read_digits() -> ImageData:
    """Returns the 1,797 handwritten digits of scikit-learn: 10 classes, 1×8×8 pixels, 17 grey levels scaled to 0…1.

    Source:
        E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI 1998; its test part, shipped with
        scikit-learn.
    """
    from sklearn.datasets import load_digits  # weighty, and needed for this source only

    bunch = load_digits()
    pixels = (np.asarray(bunch.images)[:, None] / 16).astype(np.float32)
    labels = np.asarray(bunch.target).astype(np.int64)
    return ImageData(source="digits", pixels=pixels, labels=labels, classes=tuple(str(i) for i in range(10)))


def read_npz(path: Path, options: ImageOptions) -> ImageData:
    """Returns the images ``x`` and labels ``y`` of an ``.npz`` file.

    ``x`` is ``(N, H, W)``, ``(N, C, H, W)`` or ``(N, H, W, C)``; unsigned 8-bit and 16-bit integers and booleans are
    scaled to 0…1, floating-point numbers stay as they are. ``y`` is ``(N,)``, whole numbers from 0.

    Raises:
        DataError: missing, unreadable or oversized file, missing array, unfit shape or type, or unfit values.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected an .npz file with the arrays 'x' and 'y'.")
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = {entry.filename.removesuffix(".npy"): entry.file_size for entry in archive.infolist()}
        missing = [name for name in ("x", "y") if name not in unpacked]
        if missing:
            raise DataError(
                f"{path}: has no array {' and '.join(map(repr, missing))}; expected 'x' (images) and 'y' (labels), "
                f"found {', '.join(map(repr, sorted(unpacked))) or 'nothing'}."
            )
        # The directory of the archive states the unpacked size, so an oversized array is refused before it is read.
        check_memory(str(path), unpacked["x"] // 8, options.max_bytes)
        with np.load(path, allow_pickle=False) as arrays:
            x, y = arrays["x"], arrays["y"]
    except DataError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise DataError(
            f"{path}: cannot be read as an .npz file of plain numbers: {error}. Write it again with "
            f"numpy.savez(path, x=images, y=labels); arrays of Python objects are not accepted."
        ) from error
    check_memory(str(path), x.size, options.max_bytes)
    images = _channels_first(x, options, path)
    labels = _whole_numbers(y, path)
    if images.size == 0 or len(labels) == 0:
        raise DataError(f"{path}: holds no image (x has shape {list(x.shape)}, y has shape {list(y.shape)}).")
    return ImageData(
        source=str(path),
        pixels=_scaled(images, path),
        labels=labels,
        classes=tuple(str(label) for label in range(_class_count(labels, options, path))),
    )


def _channels_first(x: npt.NDArray[Any], options: ImageOptions, path: Path) -> npt.NDArray[Any]:
    layout: str = options.layout
    if layout == "auto":
        layout = _guess_layout(x.shape, path)
    if len(layout) != x.ndim:
        raise DataError(
            f"{path}: x has shape {list(x.shape)}, which is not {layout}; expected (N, H, W), (N, C, H, W) or "
            f"(N, H, W, C). All images must have one shape."
        )
    if layout == "NHW":
        return x[:, None]
    return np.moveaxis(x, -1, 1) if layout == "NHWC" else x


def _guess_layout(shape: tuple[int, ...], path: Path) -> str:
    if len(shape) == 3:
        return "NHW"
    if len(shape) != 4:
        raise DataError(
            f"{path}: x has shape {list(shape)}; expected (N, H, W), (N, C, H, W) or (N, H, W, C). All images must "
            f"have one shape."
        )
    first, last = shape[1] in _CHANNELS, shape[3] in _CHANNELS
    if first == last:
        found = "both" if first else "neither"
        raise DataError(
            f"{path}: x has shape {list(shape)}; {found} of axis 1 and axis 3 could be the channels (1 to 4). Say which "
            f"with the option 'layout': NCHW or NHWC."
        )
    return "NCHW" if first else "NHWC"


def _scaled(images: npt.NDArray[Any], path: Path) -> npt.NDArray[np.float32]:
    if images.dtype == np.bool_:
        return images.astype(np.float32)
    if images.dtype in (np.dtype(np.uint8), np.dtype(np.uint16)):
        return images.astype(np.float32) / np.float32(np.iinfo(images.dtype).max)
    if np.issubdtype(images.dtype, np.floating):
        with np.errstate(over="ignore"):  # a number too large for float32 becomes infinite and is reported as such
            return images.astype(np.float32)
    raise DataError(
        f"{path}: x has the type {images.dtype}; expected uint8 (0 to 255), uint16, bool or floating-point numbers."
    )


def _whole_numbers(y: npt.NDArray[Any], path: Path) -> npt.NDArray[np.int64]:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(f"{path}: y has shape {list(y.shape)}; expected (N,), one label for each image.")
    if np.issubdtype(y.dtype, np.floating) and np.isfinite(y).all() and (y == np.floor(y)).all():
        return y.astype(np.int64)
    if not np.issubdtype(y.dtype, np.integer):
        shown = ", ".join(map(str, y[:3].tolist()))
        raise DataError(f"{path}: y has the type {y.dtype} ({shown}, …); expected whole numbers from 0.")
    return y.astype(np.int64)


def _class_count(labels: npt.NDArray[np.int64], options: ImageOptions, path: Path) -> int:
    if options.classes is not None:
        return options.classes
    highest = int(labels.max())
    if highest >= len(labels):
        sample = int(labels.argmax())
        raise DataError(
            f"{path}: label {highest} of sample {sample} is out of range; expected labels 0 to classes − 1, each on "
            f"several of the {len(labels)} samples."
        )
    return max(highest + 1, 1)
