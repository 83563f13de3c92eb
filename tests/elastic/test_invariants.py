"""What holds for every elastic network under every setting of its dimensions."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from automl import elastic
from automl.space import dimensions_of


def _settings(subject):
    return list(subject.settings())


def _loss(output: torch.Tensor) -> torch.Tensor:
    return (output * torch.linspace(0.5, 2.5, output.numel(), dtype=output.dtype).reshape(output.shape)).sum()


def test_extracted_equals_active_bitwise(subject):
    for setting in subject.settings():
        inputs = subject.inputs(3, torch.float64)
        with torch.no_grad():
            first, again = subject.module(*inputs), subject.module(*inputs)
            found = elastic.specialise(subject.module)(*inputs)
        assert torch.equal(found, first), setting
        assert torch.equal(again, first), setting


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_extracted_equals_active_with_gradients(subject, dtype, tolerance):
    subject.module.to(dtype)
    for setting in subject.settings():
        inputs = subject.inputs(3, dtype)
        expected = subject.module(*inputs)
        found = elastic.specialise(subject.module)(*inputs)
        assert expected.dtype == dtype
        torch.testing.assert_close(
            found, expected, rtol=tolerance, atol=tolerance, msg=lambda m, s=setting: f"{s}: {m}"
        )


@pytest.mark.parametrize("batch", [0, 1])
def test_empty_batch_and_batch_of_one(subject, batch):
    for _ in subject.settings():
        inputs = subject.inputs(batch, torch.float64)
        with torch.no_grad():
            output = subject.module(*inputs)
            assert output.shape[0] == batch
            assert torch.equal(elastic.specialise(subject.module)(*inputs), output)


def test_activating_another_subnetwork_leaves_no_trace(subject):
    state = {name: tensor.clone() for name, tensor in subject.module.state_dict().items()}
    settings = _settings(subject)
    for a, b in zip(settings, settings[1:] + settings[:1], strict=True):
        subject.activate(a)
        inputs = subject.inputs(2, torch.float64)
        with torch.no_grad():
            expected = subject.module(*inputs)
            subject.activate(b)
            subject.module(*subject.inputs(2, torch.float64))
            elastic.specialise(subject.module)
            subject.activate(a)
            assert torch.equal(subject.module(*inputs), expected)
    for name, tensor in subject.module.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_gradient_reaches_the_active_slice_only(subject):
    if not list(subject.module.parameters()):
        pytest.skip("no parameters")
    for setting in subject.settings():
        subject.module.zero_grad()
        inputs = subject.inputs(3, torch.float64)
        with torch.no_grad():  # leaves kept slices behind, which must not be used below
            subject.module(*inputs)
        output = subject.module(*inputs)
        if not output.requires_grad:
            continue
        _loss(output).backward()
        plain = elastic.specialise(subject.module)
        _loss(plain(*inputs)).backward()
        found = {n: p.grad for n, p in subject.module.named_parameters() if p.grad is not None}
        expected = [p.grad for p in plain.parameters()]
        # the active slice holds exactly the gradients of the extracted model, everything else exactly zero
        assert len(found) == len(expected), setting
        for (name, gradient), reference in zip(found.items(), expected, strict=True):
            active = gradient[gradient != 0].sort().values
            torch.testing.assert_close(active, reference[reference != 0].sort().values, rtol=1e-9, atol=1e-11)
            if not name.endswith("key.bias"):  # a shift of all keys does not change attention: its gradient is rounding
                assert len(active) == reference.numel(), (setting, name)


def test_inactive_weights_are_not_read(subject):
    for setting in subject.settings():
        inputs = subject.inputs(2, torch.float64)
        output = subject.module(*inputs)
        if not output.requires_grad:
            continue
        subject.module.zero_grad()
        _loss(output).backward()
        poisoned = copy.deepcopy(subject.module)
        with torch.no_grad():
            for (name, parameter), original in zip(
                poisoned.named_parameters(), subject.module.parameters(), strict=True
            ):
                if original.grad is None:
                    parameter.fill_(torch.nan)
                elif not name.endswith("key.bias"):
                    parameter.masked_fill_(original.grad == 0, torch.nan)
            assert torch.equal(poisoned(*inputs), subject.module(*inputs)), setting


def test_extracted_is_plain_and_owns_its_memory(subject):
    storages = {t.untyped_storage().data_ptr() for t in (*subject.module.parameters(), *subject.module.buffers())}
    for setting in subject.settings():
        with torch.no_grad():
            subject.module(*subject.inputs(2, torch.float64))
        plain = elastic.specialise(subject.module)
        for name, module in plain.named_modules():
            assert not isinstance(module, elastic.ElasticLayer | elastic.Choice | elastic.Repeat | elastic.Skip), name
            assert not dimensions_of(list(vars(module).values())), name
            assert not module.training, name
        for name, tensor in plain.state_dict(keep_vars=True).items():
            assert tensor.untyped_storage().data_ptr() not in storages, (setting, name)
            assert not tensor.is_meta, name
            assert tensor.is_contiguous(), name
            assert tensor.untyped_storage().nbytes() == tensor.nbytes, name


def test_training_mode_is_kept(subject):
    subject.module.train()
    assert all(module.training for module in elastic.specialise(subject.module).modules())


def test_export_of_the_extracted_model(subject):
    settings = _settings(subject)
    for setting in {settings[0], settings[len(settings) // 2], settings[-1]}:
        subject.activate(setting)
        inputs = subject.inputs(3, torch.float64)
        plain = elastic.specialise(subject.module)
        with torch.no_grad():
            program = torch.export.export(plain, inputs)
            assert torch.equal(program.module()(*inputs), plain(*inputs)), setting


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_independent(subject, duplicate):
    setting = _settings(subject)[0]
    subject.activate(setting)
    inputs = subject.inputs(2, torch.float64)
    with torch.no_grad():
        expected = subject.module(*inputs)
        other, own = duplicate((subject.module, subject.dimensions))
        assert torch.equal(other(*inputs), expected)
        for tensor in (*other.parameters(), *other.buffers()):
            tensor.zero_()
        assert torch.equal(subject.module(*inputs), expected)
        subject.activate(_settings(subject)[-1])
        assert other(*inputs).shape == expected.shape  # the copy has dimensions of its own
        for dimension, index in zip(own, [d.index for d in subject.dimensions], strict=True):
            dimension.set_index(index)
        inputs = subject.inputs(2, torch.float64)
        assert torch.equal(other(*inputs), elastic.specialise(other)(*inputs))


def _double_in_place(module: nn.Module) -> None:
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.mul_(2)


def _load(module: nn.Module) -> None:
    module.load_state_dict({k: v * 2 if v.is_floating_point() else v for k, v in module.state_dict().items()})


def _load_and_assign(module: nn.Module) -> None:
    state = {k: v * 2 if v.is_floating_point() else v for k, v in module.state_dict().items()}
    module.load_state_dict(state, assign=True)


def _replace_data(module: nn.Module) -> None:
    for tensor in (*module.parameters(), *module.buffers()):
        for factor in (3, 2):  # twice, so that the allocator may hand out the first address again
            tensor.data = tensor.data * factor


def _replace_parameters(module: nn.Module) -> None:
    for owner in list(module.modules()):
        for name, tensor in list(owner.named_parameters(recurse=False)):
            setattr(owner, name, nn.Parameter(tensor.detach() * 2))


def _through_data_between_modes(module: nn.Module) -> None:
    module.train()
    for tensor in module.parameters():
        tensor.data.mul_(2)
    module.eval()


def _cast_back_and_forth(module: nn.Module) -> None:
    module.float()
    _double_in_place(module)
    module.double()


def _flatten(module: nn.Module) -> None:
    """Puts all parameters into one tensor, so that a copied slice and a view share their source's memory."""
    parameters = list(module.parameters())
    if parameters:
        flat = torch.nn.utils.parameters_to_vector(parameters).detach()
        torch.nn.utils.vector_to_parameters(flat, parameters)
        with torch.no_grad():
            for layer in module.modules():
                if isinstance(layer, elastic.ElasticLayer):
                    layer._arguments()
        _double_in_place(module)


def _step(module: nn.Module) -> None:
    if list(module.parameters()):
        optimiser = torch.optim.SGD(module.parameters(), lr=0.5)
        for tensor in module.parameters():
            tensor.grad = torch.ones_like(tensor)
        optimiser.step()
        module.zero_grad()


@pytest.mark.parametrize(
    "change",
    [
        _double_in_place,
        _load,
        _load_and_assign,
        _replace_data,
        _replace_parameters,
        _through_data_between_modes,
        _cast_back_and_forth,
        _flatten,
        _step,
    ],
)
def test_kept_slices_follow_every_change_of_weights(subject, change):
    settings = _settings(subject)
    for setting in (settings[0], settings[-1]):
        subject.activate(setting)
        inputs = subject.inputs(2, torch.float64)
        with torch.no_grad():
            before = subject.module(*inputs)
        change(subject.module)
        with torch.no_grad():
            after = subject.module(*inputs)
            assert torch.equal(after, elastic.specialise(subject.module)(*inputs)), setting
    if (
        next(iter(subject.module.parameters()), None) is not None
    ):  # seen under the largest setting: all of them took part
        assert not torch.equal(after, before)


def test_inference_mode(subject):
    for setting in (_settings(subject)[0], _settings(subject)[-1]):
        subject.activate(setting)
        inputs = subject.inputs(2, torch.float64)
        with torch.inference_mode():
            found = subject.module(*inputs).clone()
        with torch.no_grad():
            assert torch.equal(subject.module(*inputs), found)
        assert torch.equal(subject.module(*inputs).detach(), elastic.specialise(subject.module)(*inputs).detach())
