"""Class folders: order, modes, sizes and damaged files."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from PIL import Image

from automl.errors import DataError
from automl.tasks import ImageClassification
from automl.tasks.image_folder import read_folder
from automl.tasks.image_options import ImageOptions


def _save(path, seed, size=(6, 5), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = size if mode == "L" else (*size, 3)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "animals"
    for label, name in enumerate(("owl", "cat", "bee")):
        for index in range(4 + label):
            _save(root / name / f"{index}.png", seed=10 * label + index)
    (root / "notes.txt").write_text("not an image")
    (root / "cat" / "notes.txt").write_text("not an image")
    (root / ".cache").mkdir()
    return root


def test_classes_are_sorted_folders_and_pixels_are_those_of_the_files(folder):
    data = read_folder(folder, ImageOptions())
    assert data.classes == ("bee", "cat", "owl")
    assert np.bincount(data.labels).tolist() == [6, 5, 4]
    assert data.pixels.shape == (15, 1, 6, 5)
    with Image.open(folder / "cat" / "2.png") as image:
        assert np.array_equal(data.pixels[6 + 2, 0], np.asarray(image, dtype=np.float32) / np.float32(255))
    assert ImageClassification.recognises(str(folder))
    task = ImageClassification.load(str(folder), seed=0)
    assert task.describe()["classes"] == ["bee", "cat", "owl"]


def test_one_colour_image_makes_all_colour_unless_grey_is_asked_for(folder):
    _save(folder / "owl" / "c.jpg", seed=99, mode="RGB")
    assert read_folder(folder, ImageOptions()).pixels.shape[1] == 3
    assert read_folder(folder, ImageOptions(channels=1)).pixels.shape[1] == 1


def test_sixteen_bit_images_are_scaled_not_clipped(folder):
    values = np.array([[0, 257 * 40], [257 * 200, 65535]], dtype=np.uint16)
    for file in folder.glob("*/*.png"):
        Image.fromarray(values).save(file)
    data = read_folder(folder, ImageOptions())
    assert np.allclose(data.pixels[3, 0] * 255, [[0, 40], [200, 255]])


def test_other_shape_is_refused_with_both_files_unless_resized(folder):
    _save(folder / "cat" / "1.png", seed=5, size=(7, 5))
    with pytest.raises(DataError) as caught:
        read_folder(folder, ImageOptions())
    assert f"{folder / 'cat' / '1.png'}: is 7×5 pixels, but {folder / 'bee' / '0.png'} is 6×5" in str(caught.value)
    assert read_folder(folder, ImageOptions(resize=(3, 4))).pixels.shape == (15, 1, 3, 4)


def _truncate(file):
    file.write_bytes(file.read_bytes()[:60])


def _text(file):
    file.write_text("no image")


def _empty(file):
    file.write_bytes(b"")


def _giant(file):
    Image.new("1", (3000, 2000)).save(file)


def _bomb(file):
    Image.new("1", (30000, 20000)).save(file)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_truncate, "is corrupt"),
        (_text, "is no image that can be read"),
        (_empty, "is no image that can be read"),
        (_giant, "is 2000×3000 pixels, more than the 1,000,000 of the option 'max_pixels'"),
        (_bomb, "giant image"),
    ],
)
def test_corrupt_or_giant_image_stops_the_job_or_is_skipped_with_its_name(folder, damage, reason, caplog):
    damage(folder / "cat" / "3.png")
    with pytest.raises(DataError) as caught:
        read_folder(folder, ImageOptions(max_pixels=1_000_000))
    assert str(caught.value).startswith(f"{folder / 'cat' / '3.png'}: ")
    assert reason in str(caught.value)
    assert "on_bad_file: skip" in str(caught.value)

    with caplog.at_level(logging.WARNING):
        data = read_folder(folder, ImageOptions(max_pixels=1_000_000, on_bad_file="skip"))
    assert len(data.pixels) == 14
    assert list(data.skipped) == ["cat/3.png"]
    assert reason in data.skipped["cat/3.png"]
    assert "3.png" in caplog.text
    task = ImageClassification.load(str(folder), seed=0, options={"on_bad_file": "skip", "max_pixels": 1_000_000})
    assert list(task.describe()["skipped"]) == ["cat/3.png"]


def test_too_many_skipped_files_stop_the_job(folder):
    for file in list(folder.glob("*/*.png"))[:3]:
        _text(file)
    with pytest.raises(DataError, match=r"3 of 15 images cannot be used, more than the share 'max_skipped' = 0\.1"):
        read_folder(folder, ImageOptions(on_bad_file="skip"))
    assert len(read_folder(folder, ImageOptions(on_bad_file="skip", max_skipped=0.5)).pixels) == 12


def test_all_files_skipped_is_an_error_whatever_the_allowance(folder):
    for file in folder.glob("*/*.png"):
        _text(file)
    with pytest.raises(DataError, match="15 of 15 images cannot be used"):
        read_folder(folder, ImageOptions(on_bad_file="skip", max_skipped=0.99))


def test_folder_without_images_with_one_class_or_missing_is_named(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        read_folder(tmp_path / "nowhere", ImageOptions())
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no class folder with images"):
        read_folder(tmp_path / "empty", ImageOptions())
    _save(tmp_path / "one" / "cat" / "a.png", seed=0)
    with pytest.raises(DataError, match="all 1 samples are of one class, 'cat'"):
        read_folder(tmp_path / "one", ImageOptions())


def test_missing_path_offers_what_lies_beside_it(folder):
    with pytest.raises(DataError, match=r"Did you mean '.*animals'"):
        ImageClassification.load(str(folder.parent / "animasl"), seed=0)
    with pytest.raises(DataError, match=r"is no \.npz file"):
        ImageClassification.load(str(folder / "notes.txt"), seed=0)


def test_memory_limit_is_checked_before_all_files_are_read(folder):
    with pytest.raises(DataError, match="raise the option 'max_bytes'"):
        read_folder(folder, ImageOptions(max_bytes=15 * 30 * 4 - 1))
    assert len(read_folder(folder, ImageOptions(max_bytes=15 * 30 * 4)).pixels) == 15
