"""Checks of a block: what design invariants 1, 2 and 5 demand, and the contract of slots."""

from __future__ import annotations

import copy
import inspect
import io
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn

from automl.elastic import specialise
from automl.host import Family, Host
from automl.space import Architecture, dimensions_of
from automl.supernet import Supernet
from automl.testing.active_weights import active_weights
from automl.testing.block_network import BlockNetwork, Setting, covering_architectures, settings_of
from automl.testing.check import Check, expect
from automl.testing.documentation import check_examples
from automl.testing.weights import assert_close, randomise

__all__ = ["family_checks"]

DOUBLE_TOLERANCE: Final = 1e-12
SINGLE_TOLERANCE: Final = 1e-5
_DRAWS: Final = 4
_FEW: Final = 7  # enough for every type of nodes to have more than one: a length of 1 is kept fixed by an export
_MANY: Final = 11


def family_checks(family: Family, host: Host) -> list[Check]:
    """Returns the checks of a block or head.

    Args:
        family: its record.
        host: where its signal kinds are looked up.
    """
    subject = f"family {family.name}"
    checks: dict[str, Callable[[Family, Host], None]] = {
        "takes widths, and keyword options with defaults": _check_signature,
        "examples run": _check_documentation,
        "extraction equals activation for every choice": _check_extraction,
        "extraction equals activation in single precision": _check_single_precision,
        "the extracted model is plain and independent": _check_plain,
        "another subnetwork leaves no trace": _check_no_trace,
        "the exported program equals the subnetwork": _check_export,
        "gradient reaches all active weights and no other": _check_gradient,
        "keeps the contract of its signals": _check_signal,
        "is deterministic": _check_determinism,
        "takes one sample and none": _check_small_batches,
        "repr names the block": _check_repr,
    }
    return [Check(subject, name, partial(function, family, host)) for name, function in checks.items()]


def _check_signature(family: Family, host: Host) -> None:
    parameters = list(inspect.signature(family.load()).parameters.values())
    names = [p.name for p in parameters[:2]]
    expect(names == ["inp", "out"], f"the first parameters must be 'inp' and 'out', they are {names}.")
    facts = host.find("signal", family.accepts).load()().facts()
    for option in parameters[2:]:
        expect(option.kind is option.KEYWORD_ONLY, f"option {option.name!r} must be keyword-only.")
        if option.name in facts:
            continue
        expect(option.default is not option.empty, f"option {option.name!r} needs a default that works.")
    stride = next((p for p in parameters if p.name == "stride"), None)
    expect(stride is None or stride.default == 1, "the default of 'stride' must be 1.")


def _check_documentation(family: Family, host: Host) -> None:
    check_examples(family.load(), torch=torch, nn=nn)


def _check_extraction(family: Family, host: Host) -> None:
    visited: set[str] = set()
    for setting, supernet, network in _supernets(family, host):
        for architecture in covering_architectures(supernet.space, seed=1):
            visited |= set(architecture)
            _compare(setting, supernet, network, architecture, torch.float64, DOUBLE_TOLERANCE)
        unvisited = set(supernet.space.dimensions) - visited
        expect(not unvisited, f"{setting}: no architecture has the dimensions {sorted(unvisited)}.")


def _check_single_precision(family: Family, host: Host) -> None:
    for setting, supernet, network in _supernets(family, host, dtype=torch.float32):
        for architecture in covering_architectures(supernet.space, seed=2)[:4]:
            _compare(setting, supernet, network, architecture, torch.float32, SINGLE_TOLERANCE)


def _compare(
    setting: Setting,
    supernet: Supernet,
    network: BlockNetwork,
    architecture: Architecture,
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    supernet.activate(architecture)
    inputs = network.inputs(3, seed=3, dtype=dtype)
    with torch.no_grad():
        expected = network(*inputs)
        found = supernet.extract(architecture)(*inputs)
    expect(expected.dtype == dtype, f"{setting}, {architecture}: {dtype} in, {expected.dtype} out.")
    assert_close(found, expected, tolerance=tolerance, what=f"{setting}, {architecture}: extracted against active")


def _check_plain(family: Family, host: Host) -> None:
    for setting, supernet, network in _supernets(family, host):
        architecture = covering_architectures(supernet.space, seed=4)[-1]
        model = supernet.extract(architecture)
        own = {t.data_ptr() for t in (*network.parameters(), *network.buffers()) if t.numel()}
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            expect(tensor.data_ptr() not in own or not tensor.numel(), f"{setting}: {name} is shared, not copied.")
        for name, module in model.named_modules():
            elastic = hasattr(type(module), "specialise")  # containers without it, such as attention, may stay
            expect(not elastic, f"{setting}: {name or 'the model'} is still {type(module).__name__}.")
            left = [a for a, value in vars(module).items() if dimensions_of(value)]
            expect(not left, f"{setting}: {name or 'the model'} still holds dimensions in {left}.")
        again = specialise(copy.deepcopy(model))
        expect(
            list(again.state_dict()) == list(model.state_dict()), f"{setting}: specialising again changes the model."
        )


def _check_no_trace(family: Family, host: Host) -> None:
    for setting, supernet, network in _supernets(family, host):
        architectures = covering_architectures(supernet.space, seed=5)
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        with torch.no_grad():
            for first, second in zip(architectures, [*architectures[1:], architectures[0]], strict=True):
                supernet.activate(first)
                inputs = network.inputs(3, seed=6)
                expected = network(*inputs)
                supernet.activate(second)
                network(*network.inputs(2, seed=7))
                supernet.extract(second)
                expect(supernet.active == second, f"{setting}: extraction changes the active subnetwork.")
                supernet.activate(first)
                expect(
                    torch.equal(network(*inputs), expected), f"{setting}: {first} differs after {second} was active."
                )
        for name, tensor in network.state_dict().items():
            expect(torch.equal(tensor, before[name]), f"{setting}: evaluation changes {name}.")


def _check_export(family: Family, host: Host) -> None:
    # Export takes seconds, so two slots with one subnetwork each, not the same, stand for all.
    for number, (setting, supernet, network) in enumerate(list(_supernets(family, host))[:2]):
        architecture = covering_architectures(supernet.space, seed=8)[: number + 1][-1]
        supernet.activate(architecture)
        model = supernet.extract(architecture)
        inputs, other = network.inputs(_FEW, seed=9), network.inputs(_MANY, seed=10)
        file = io.BytesIO()
        torch.export.save(torch.export.export(model, inputs, dynamic_shapes=(_varying_axes(inputs, other),)), file)
        file.seek(0)
        program = torch.export.load(file).module()
        with torch.no_grad():
            for batch in (inputs, other):
                what = f"{setting}, {architecture}: exported against extracted, batch {len(batch[0])}"
                assert_close(program(*batch), model(*batch), tolerance=DOUBLE_TOLERANCE, what=what)


def _varying_axes(
    inputs: tuple[Tensor, ...], other: tuple[Tensor, ...]
) -> tuple[dict[int, torch.export.dynamic_shapes._DimHint], ...]:
    """Axes whose length depends on the batch, for the export to keep them open."""
    return tuple(
        {axis: torch.export.Dim.AUTO for axis in range(a.dim()) if a.shape[axis] != b.shape[axis]}
        for a, b in zip(inputs, other, strict=True)
    )


def _check_gradient(family: Family, host: Host) -> None:
    for setting, supernet, network in _supernets(family, host):
        for architecture in covering_architectures(supernet.space, seed=11)[:6]:
            where = f"{setting}, {architecture}"
            active = active_weights(supernet, architecture)
            supernet.activate(architecture)
            unreached: set[str] = set()
            for draw in range(_DRAWS):
                if draw:  # one draw of weights may leave a whole bottleneck on the dead side of its activation
                    randomise(network, seed=40 + draw)
                missing = _without_gradient(network, active, where)
                unreached = unreached & missing if draw else missing
                if not unreached:
                    break
            for name, _ in network.named_parameters():
                expect(name not in unreached, f"{where}: no gradient reaches {name}, which is part of the subnetwork.")


def _without_gradient(network: BlockNetwork, active: Mapping[str, Tensor] | None, where: str) -> set[str]:
    """Names of the active weights that a backward pass does not reach; checks that it reaches no others."""
    if not any(True for _ in network.parameters()):
        return set()  # a block without weights, such as plain propagation
    network.zero_grad(set_to_none=True)
    output = network(*network.inputs(_MANY, seed=12))
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(13), dtype=output.dtype)
    (output * weights).sum().backward()
    missing = set()
    for name, parameter in network.named_parameters():
        gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        expect(bool(torch.isfinite(gradient).all()), f"{where}: the gradient of {name} is not finite.")
        if active is None:
            continue
        inside = active[name]
        expect(not gradient[~inside].any(), f"{where}: weights of {name} outside the subnetwork get gradient.")
        if inside.any() and not gradient[inside].any():
            missing.add(name)
    return missing


def _check_signal(family: Family, host: Host) -> None:
    for setting, supernet, network in _supernets(family, host):
        for architecture in covering_architectures(supernet.space, seed=14)[:4]:
            where = f"{setting}, {architecture}"
            supernet.activate(architecture)
            inputs = network.inputs(3, seed=15)
            entered = network.accepts.features(network.accepts.pack(*inputs))
            with torch.no_grad():
                payload = network.block(network.accepts.pack(*inputs))
            width = int(network.out)
            if network.produces is None:
                expect(isinstance(payload, Tensor), f"{where}: a head must give a tensor, got {type(payload)}.")
                expect(
                    payload.dim() == 2 and payload.shape[1] == width,
                    f"{where}: logits {tuple(payload.shape)}, expected (rows, {width}).",
                )
                continue
            example = network.produces.example(3, 4, torch.Generator().manual_seed(16))
            expected_type = type(network.produces.pack(*example))
            expect(type(payload) is expected_type, f"{where}: gives {type(payload)}, its signal is {expected_type}.")
            features = network.produces.features(payload)
            axis = network.produces.channel_axis
            expect(features.shape[axis] == width, f"{where}: {features.shape[axis]} output features, expected {width}.")
            if family.accepts == family.produces:
                stride = setting.stride or 1
                lengths = [length if a == 0 else -(-length // stride) for a, length in enumerate(entered.shape)]
                lengths[axis] = width
                expect(
                    list(features.shape) == lengths,
                    f"{where}: output {tuple(features.shape)}, expected {tuple(lengths)} at stride {stride}.",
                )


def _check_determinism(family: Family, host: Host) -> None:
    for setting in settings_of(family):
        first, second = (BlockNetwork.build(family, setting, host, seed=17).double().eval() for _ in range(2))
        for (name, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
            expect(torch.equal(a, b), f"{setting}: the same seed gives different initial values of {name}.")
        inputs = first.inputs(3, seed=18)
        with torch.no_grad():
            expect(torch.equal(first(*inputs), first(*inputs)), f"{setting}: the same input gives different outputs.")
            expect(torch.equal(first(*inputs), second(*inputs)), f"{setting}: two equal blocks differ.")


def _check_small_batches(family: Family, host: Host) -> None:
    for setting, supernet, network in _supernets(family, host):
        for architecture in (supernet.space.smallest(), supernet.space.largest()):
            where = f"{setting}, {architecture}"
            supernet.activate(architecture)
            with torch.no_grad():
                three = network.inputs(3, seed=19)
                together = network(*three)
                alone = network(*network.inputs(1, seed=20))
                none = network(*network.inputs(0, seed=21))
                expect(bool(torch.isfinite(alone).all()), f"{where}: one sample gives values that are not finite.")
                expect(len(alone) == 1, f"{where}: one sample gives {len(alone)} rows.")
                expect(
                    none.shape == (0, *together.shape[1:]), f"{where}: an empty batch gives shape {tuple(none.shape)}."
                )
                if not network.accepts.samples_interact:
                    single = network(*(t[1:2] for t in three))
                    what = f"{where}: a sample alone against the same in a batch"
                    assert_close(single, together[1:2], tolerance=DOUBLE_TOLERANCE, what=what)


def _check_repr(family: Family, host: Host) -> None:
    network = BlockNetwork.build(family, settings_of(family)[0], host)
    name = type(network.block).__name__
    expect(repr(network.block).startswith(name), f"repr must start with {name!r}, it is {repr(network.block)[:60]!r}.")


def _supernets(
    family: Family, host: Host, dtype: torch.dtype = torch.float64
) -> Iterator[tuple[Setting, Supernet, BlockNetwork]]:
    for number, setting in enumerate(settings_of(family)):
        network = BlockNetwork.build(family, setting, host).to(dtype).eval()
        randomise(network, seed=100 + number)
        yield setting, Supernet(network), network
