"""Image classification: batches, normalisation, determinism and description, on digits and small arrays."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from automl.errors import ConfigError, DataError
from automl.tasks import ImageClassification


@pytest.fixture(scope="module")
def digits() -> ImageClassification:
    return ImageClassification.load("digits", seed=3)


@pytest.fixture
def colour(tmp_path):
    """Channels of very different level and spread, in a file with the channels last."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 6, 5, 3)) * np.array([1.0, 20.0, 0.1]) + np.array([0.0, -50.0, 3.0])
    path = tmp_path / "colour.npz"
    np.savez(path, x=x.astype(np.float32), y=np.arange(60) % 4)
    return path


def test_digits_are_the_1797_images_of_scikit_learn(digits):
    assert digits.sample_shape == (1, 8, 8)
    assert digits.outputs == 10
    assert digits.input_width == 1
    assert sum(len(rows) for rows in digits.split.values()) == 1797
    assert digits.describe()["samples"] == {"train": 1079, "validation": 359, "test": 359}


def test_description_is_json(digits):
    described = digits.describe()
    assert json.loads(json.dumps(described)) == described


def test_training_part_is_normalised_per_channel_and_only_by_itself(colour):
    task = ImageClassification.load(str(colour), seed=1, options={"augment": "none"})
    assert task.sample_shape == (3, 6, 5)
    x = np.moveaxis(np.load(colour)["x"], -1, 1).astype(np.float64)
    train = x[task.split["train"]]
    normalisation = task.describe()["normalisation"]
    assert np.allclose(normalisation["mean"], train.mean(axis=(0, 2, 3)), rtol=1e-6)
    assert np.allclose(normalisation["deviation"], train.std(axis=(0, 2, 3)), rtol=1e-6)
    expected = (x[task.split["test"]] - train.mean(axis=(0, 2, 3), keepdims=True)[0]) / train.std(
        axis=(0, 2, 3), keepdims=True
    )[0]
    found = torch.cat([batch.inputs[0] for batch in task.batches("test", 5)])
    assert np.allclose(found.numpy(), expected, atol=1e-4)


def test_constant_channel_stays_finite(tmp_path):
    x = np.random.default_rng(0).random((30, 2, 4, 4)).astype(np.float32)
    x[:, 1] = 7
    np.savez(tmp_path / "flat.npz", x=x, y=np.arange(30) % 2)
    task = ImageClassification.load(str(tmp_path / "flat.npz"), seed=0, options={"layout": "NCHW"})
    assert all(torch.isfinite(batch.inputs[0]).all() for batch in task.batches("train", 8))


def test_one_epoch_holds_every_training_sample_once(colour):
    task = ImageClassification.load(str(colour), seed=1, options={"augment": "none"})
    own = torch.cat([batch.inputs[0] for batch in task.batches("train", 7)])
    epoch = torch.cat([batch.inputs[0] for batch in task.train_batches(np.random.default_rng(2), 9)])
    assert len(own) == len(epoch) == len(task.split["train"])
    assert not torch.equal(own, epoch)
    assert torch.equal(own.flatten(1).sort(0).values, epoch.flatten(1).sort(0).values)


def test_targets_follow_their_images_through_shuffling(digits):
    plain = ImageClassification.load("digits", seed=3, options={"augment": "none"})
    known = {}
    for batch in plain.batches("train", 256):
        for image, target in zip(batch.inputs[0], batch.target, strict=True):
            known[image.numpy().tobytes()] = int(target)
    for batch in plain.train_batches(np.random.default_rng(0), 64):
        for image, target in zip(batch.inputs[0], batch.target, strict=True):
            assert known[image.numpy().tobytes()] == int(target)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 39, 41, 100])
def test_steps_per_epoch_counts_batches_and_none_is_a_single_sample(colour, batch_size):
    task = ImageClassification.load(str(colour), seed=1)
    sizes = [len(batch.target) for batch in task.train_batches(np.random.default_rng(0), batch_size)]
    assert len(sizes) == task.steps_per_epoch(batch_size)
    if batch_size > 1:
        assert min(sizes) > 1


@pytest.mark.parametrize("augment", ["none", "shift", "shift-flip"])
def test_same_generator_same_epoch_other_generator_other_epoch(colour, augment):
    task = ImageClassification.load(str(colour), seed=1, options={"augment": augment})
    first, again, other = (
        torch.cat([batch.inputs[0] for batch in task.train_batches(np.random.default_rng(s), 8)]) for s in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_mirror_images_come_with_shift_flip_only(colour):
    found = {}
    for augment in ("shift", "shift-flip"):
        task = ImageClassification.load(str(colour), seed=1, options={"augment": augment, "shift": 0})
        plain = {image.numpy().tobytes() for batch in task.batches("train", 9) for image in batch.inputs[0]}
        epoch = torch.cat([batch.inputs[0] for batch in task.train_batches(np.random.default_rng(0), 9)])
        found[augment] = sum(image.numpy().tobytes() not in plain for image in epoch)
        assert all(
            image.numpy().tobytes() in plain or image.flip(-1).contiguous().numpy().tobytes() in plain
            for image in epoch
        )
    assert found["shift"] == 0
    assert 5 < found["shift-flip"] < 31


def test_shift_of_digits_is_one_pixel_by_default_and_cannot_empty_an_image(digits):
    assert digits.describe()["augmentation"] == {"kind": "shift", "shift": 1}
    far = ImageClassification.load("digits", seed=3, options={"shift": 99})
    assert far.describe()["augmentation"]["shift"] == 7


def test_batches_are_limited_and_in_fixed_order(digits):
    whole = torch.cat([batch.target for batch in digits.batches("validation", 100)])
    some = torch.cat([batch.target for batch in digits.batches("validation", 32, limit=50)])
    assert len(whole) == 359
    assert torch.equal(some, whole[:50])


def test_calibration_subset_is_fixed_by_its_seed_and_comes_from_the_training_part(colour):
    task = ImageClassification.load(str(colour), seed=1)
    first, again, other = (
        torch.cat([batch.inputs[0] for batch in task.calibration_batches(s, 10, 4)]) for s in (1, 1, 2)
    )
    assert len(first) == 10
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    train = {image.numpy().tobytes() for batch in task.batches("train", 9) for image in batch.inputs[0]}
    assert all(image.numpy().tobytes() in train for image in first)


def test_to_changes_type_of_images_but_not_of_targets(colour):
    task = ImageClassification.load(str(colour), seed=1)
    before = torch.cat([batch.inputs[0] for batch in task.train_batches(np.random.default_rng(0), 8)])
    task.to("cpu", torch.float64)
    batches = list(task.train_batches(np.random.default_rng(0), 8))
    assert {batch.inputs[0].dtype for batch in batches} == {torch.float64}
    assert {batch.target.dtype for batch in batches} == {torch.int64}
    assert torch.equal(torch.cat([batch.inputs[0] for batch in batches]).float(), before)


def test_shards_of_a_batch_are_disjoint_and_equal_in_size(digits):
    batch = next(digits.batches("train", 7))
    shards = [digits.shard(batch, rank, 3) for rank in range(3)]
    assert [len(shard.target) for shard in shards] == [2, 2, 2]
    together = torch.cat([shard.inputs[0] for shard in shards])
    assert len(together.unique(dim=0)) == 6
    assert digits.shard(batch, 0, 1) is batch


def test_example_inputs_are_real_and_of_any_number(digits):
    (many,) = digits.example_inputs(400)
    assert many.shape == (400, 1, 8, 8)
    assert torch.equal(many[0], many[359])
    assert digits.example_inputs(1)[0].shape == (1, 1, 8, 8)
    assert len(digits.input_names) == len(digits.dynamic_axes) == 1


def test_label_smoothing_raises_the_loss_of_a_sure_answer(digits):
    batch = next(digits.batches("train", 4))
    sure = torch.nn.functional.one_hot(batch.target, 10).float() * 20
    assert digits.loss(sure, batch) < 1e-3 < digits.loss(sure, batch, label_smoothing=0.1)


def test_distillation_loss_is_least_at_the_outputs_of_the_teacher(digits):
    batch = next(digits.batches("train", 6))
    teacher = torch.randn(6, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    student = teacher.clone().requires_grad_()
    loss = digits.distillation_loss(student, teacher, batch)
    loss.backward()
    assert student.grad.abs().max() < 1e-6
    assert digits.distillation_loss(teacher.roll(1, 0), teacher, batch) > loss + 0.1


def test_split_is_stored_and_handed_back(digits):
    again = ImageClassification.load("digits", seed=99, split=digits.split)
    assert again.split == digits.split
    assert ImageClassification.load("digits", seed=99).split != digits.split
    with pytest.raises(DataError, match="digits: split: part 'test' holds index 1797"):
        ImageClassification.load("digits", seed=0, split=digits.split | {"test": [1797]})


def test_fingerprint_depends_on_pixels_labels_and_nothing_else(colour, tmp_path):
    first = ImageClassification.load(str(colour), seed=1).fingerprint
    arrays = dict(np.load(colour))
    np.savez(tmp_path / "renamed.npz", **arrays)
    assert ImageClassification.load(str(tmp_path / "renamed.npz"), seed=2).fingerprint == first
    for name, index in (("x", (5, 2, 2, 1)), ("y", 7)):
        changed = {key: array.copy() for key, array in arrays.items()}
        changed[name][index] = 0 if changed[name][index] else 1
        np.savez(tmp_path / "changed.npz", **changed)
        assert ImageClassification.load(str(tmp_path / "changed.npz"), seed=1).fingerprint != first


def test_sources_are_recognised_by_name_suffix_or_folder(colour, tmp_path):
    assert ImageClassification.recognises("digits")
    assert ImageClassification.recognises("missing.NPZ")
    assert not ImageClassification.recognises("karate")
    assert not ImageClassification.recognises(str(tmp_path))
    assert not ImageClassification.recognises("a" * 5000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agument": "shift"}, "unknown option 'agument'. Did you mean 'augment'?"),
        (
            {"augment": "spin"},
            "task options.augment: 'spin' is not valid: input should be 'none', 'shift' or 'shift-flip'",
        ),
        ({"validation": 0.6, "test": 0.5}, "leave nothing to train on"),
        ({"validation": -0.1}, "task options.validation: -0.1 is not valid: input should be greater than 0"),
        ({"shift": -1}, "greater than or equal to 0"),
        ({"resize": [0, 4]}, "must be two positive numbers"),
    ],
)
def test_option_that_is_unknown_or_out_of_range_is_named(options, message):
    with pytest.raises(ConfigError) as caught:
        ImageClassification.load("digits", seed=0, options=options)
    assert message in str(caught.value)


def test_options_are_validated_without_importing_torch():
    code = "import sys; import automl.tasks; from automl.tasks import ImageOptions; ImageOptions(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
