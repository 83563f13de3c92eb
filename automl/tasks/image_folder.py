"""Images from a folder of class folders: ``root/<class>/<image>``."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from automl.errors import DataError
from automl.tasks.image_data import ImageData, check_memory
from automl.tasks.image_options import ImageOptions

__all__ = ["is_class_folder", "read_folder"]

_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"})
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_GREY_MODES = frozenset({"1", "L", "LA", "I;16", "I", "F"})
_log = logging.getLogger(__name__)


def is_class_folder(path: Path) -> bool:
    """Tells whether ``path`` is a folder that has a folder with an image in it."""
    return path.is_dir() and any(next(iter(_images(folder)), None) is not None for folder in _folders(path))


def read_folder(path: Path, options: ImageOptions) -> ImageData:
    """Returns the images below ``path``; the class folders, sorted by name, are the classes 0, 1, ….

    An image is decoded only after its header has shown that it is small enough. The first frame of an animation and
    the orientation noted by a camera are used. A corrupt or giant file stops the reading, because nothing has been spent
    yet and silently training on fewer images would be a wrong answer; the option ``on_bad_file: skip`` leaves such
    files out, lists them in ``skipped`` and logs each, up to the share ``max_skipped``.

    Raises:
        DataError: names the file that is corrupt, giant or of another shape, or the folder that holds no images.
    """
    if not path.is_dir():
        raise DataError(f"{path}: no such folder; expected a folder with one folder of images for each class.")
    try:
        files = {folder.name: _images(folder) for folder in _folders(path)}
    except OSError as error:
        raise DataError(f"{path}: cannot be listed: {error.strerror or error}.") from error
    files = {name: images for name, images in files.items() if images}
    if not files:
        raise DataError(
            f"{path}: holds no class folder with images; expected {path.name}/<class>/<image> with one of the suffixes "
            f"{', '.join(sorted(_SUFFIXES))}."
        )
    classes = tuple(files)
    arrays: list[npt.NDArray[np.uint8]] = []
    labels: list[int] = []
    skipped: dict[str, str] = {}
    kept: list[Path] = []
    channels = options.channels or (3 if _any_colour(files, options) else 1)
    count = sum(map(len, files.values()))
    for label, name in enumerate(classes):
        for file in files[name]:
            try:
                array = _read_image(file, options, channels)
            except _BadImageError as error:
                if options.on_bad_file == "fail":
                    raise DataError(
                        f"{file}: {error} Mend or remove the file, or set 'on_bad_file: skip' to leave such files out."
                    ) from error
                skipped[str(file.relative_to(path))] = str(error)
                _log.warning("%s: left out: %s", file, error)
                continue
            if not arrays:
                check_memory(str(path), array.size * count, options.max_bytes)
            elif array.shape != arrays[0].shape:
                raise DataError(
                    f"{file}: is {_size(array)} pixels, but {kept[0]} is {_size(arrays[0])}; expected one shape. Set the "
                    f"option 'resize: [height, width]' to bring all images to one shape."
                )
            arrays.append(array)
            labels.append(label)
            kept.append(file)
    if len(skipped) > options.max_skipped * count or not arrays:
        first = next(iter(skipped))
        raise DataError(
            f"{path}: {len(skipped)} of {count} images cannot be used, more than the share 'max_skipped' = "
            f"{options.max_skipped:g} allows; the first is {first}: {skipped[first]}"
        )
    pixels = np.stack(arrays).astype(np.float32) / np.float32(255)
    return ImageData(
        source=str(path), pixels=pixels, labels=np.array(labels, np.int64), classes=classes, skipped=skipped
    )


class _BadImageError(Exception):
    """One file cannot be used; the text says why, as a sentence."""


def _read_image(file: Path, options: ImageOptions, channels: int) -> npt.NDArray[np.uint8]:
    """Returns ``(channels, height, width)``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, and of large images, which are refused here
            with Image.open(file, formats=_FORMATS) as image:
                width, height = image.size
                if width * height > options.max_pixels:
                    raise _BadImageError(
                        f"is {height}×{width} pixels, more than the {options.max_pixels:,} of the option 'max_pixels'."
                    )
                upright = ImageOps.exif_transpose(image)
                converted = _eight_bit(upright).convert("L" if channels == 1 else "RGB")
                if options.resize is not None and converted.size != options.resize[::-1]:
                    converted = converted.resize(options.resize[::-1], Image.Resampling.BILINEAR)
                array = np.asarray(converted, dtype=np.uint8)
    except _BadImageError:
        raise
    except UnidentifiedImageError as error:
        raise _BadImageError("is no image that can be read.") from error
    except Exception as error:  # decoders report damage by exceptions of any kind
        reason = str(error).rstrip(".") or type(error).__name__
        raise _BadImageError(f"is corrupt or a giant image: {reason}.") from error
    return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Returns 16-bit grey images scaled to 8 bits, which a plain conversion would clip."""
    if not image.mode.startswith("I"):
        return image
    values: npt.NDArray[Any] = np.asarray(image)
    return Image.fromarray((np.clip(values, 0, 65535) // 257).astype(np.uint8))


def _any_colour(files: dict[str, list[Path]], options: ImageOptions) -> bool:
    """Tells from the headers alone; files that cannot be read are judged when they are decoded."""
    for images in files.values():
        for file in images:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    with Image.open(file, formats=_FORMATS) as image:
                        if image.mode not in _GREY_MODES and not image.mode.startswith("I;16"):
                            return True
            except Exception as error:  # any damage; the second pass reports it with its file
                _log.debug("%s: no header: %s", file, error)
    return False


def _folders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    return sorted(
        child
        for child in folder.iterdir()
        if child.suffix.lower() in _SUFFIXES and not child.name.startswith(".") and child.is_file()
    )


def _size(array: npt.NDArray[Any]) -> str:
    return f"{array.shape[1]}×{array.shape[2]}"
