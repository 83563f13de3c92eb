"""Scans, the selective operator and the bidirectional block: checks 1 to 4, 6 and half of 11 of Graph Mamba's description."""

from __future__ import annotations

import pytest
import torch
from automl_graph.ssm import (
    BiSelectiveSSM,
    chunked_scan,
    doubling_scan,
    selective_scan,
    sequential_scan,
)
from automl_graph.ssm.scan import chunk_length
from automl_graph.ssm.selective import _operator, _traced
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from automl.space import Ordinal
from automl.testing.weights import randomise

CHUNK = chunk_length(2708)
SCANS = [sequential_scan, chunked_scan, doubling_scan, lambda a, b: doubling_scan(a, b, rounds=20)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("length", [0, 1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 2708])
def test_all_scans_agree(length: int, dtype: torch.dtype, tolerance: float) -> None:
    """Check 1, first half."""
    assert CHUNK == 53
    generator = torch.Generator().manual_seed(length)
    a = torch.rand(2, length, 3, 5, generator=generator, dtype=dtype)
    b = torch.randn(2, length, 3, 5, generator=generator, dtype=dtype)
    expected = torch.empty_like(b)
    state = torch.zeros(2, 3, 5, dtype=dtype)
    for t in range(length):
        state = expected[:, t] = a[:, t] * state + b[:, t]
    for scan in SCANS:
        torch.testing.assert_close(scan(a, b), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("scan", SCANS)
def test_scans_have_the_closed_forms(scan: object) -> None:
    """Check 2."""
    b = torch.randn(1, 130, 2, dtype=torch.float64)
    ones, t = torch.ones_like(b), torch.arange(1, 131, dtype=torch.float64)[None, :, None]
    torch.testing.assert_close(scan(ones, b), b.cumsum(1), rtol=0, atol=1e-11)  # type: ignore[operator]
    assert torch.equal(scan(0 * ones, b), b)  # type: ignore[operator]
    torch.testing.assert_close(scan(0.8 * ones, 3 * ones), (3 * (1 - 0.8**t) / 0.2).expand_as(b), rtol=0, atol=1e-11)  # type: ignore[operator]


def arguments(length: int, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    first = torch.rand(2, length, generator=generator) < 0.1
    step, rate = draw(2, length, 3).abs(), -draw(3, 4).abs() - 0.1
    return step, rate, draw(2, length, 4), draw(2, length, 4), draw(2, length, 3), first


@pytest.mark.parametrize("length", [1, 7, 70])
def test_backward_pass_is_the_derivative(length: int) -> None:
    """Check 1, second half; 70 steps are beyond the length up to which single steps are taken."""
    *tensors, first = arguments(length)
    inputs = [tensor.requires_grad_() for tensor in tensors]
    assert torch.autograd.gradcheck(lambda *given: selective_scan(*given, first), inputs, fast_mode=length > 7)


@pytest.mark.parametrize("length", [0, 1, 64, 65, 300])
def test_operator_equals_states_written_out_and_its_traced_form(length: int) -> None:
    step, rate, write, read, x, first = arguments(length)
    decay = torch.exp(step[..., None] * rate) * (~first)[..., None, None]
    states = sequential_scan(decay, (step * x)[..., None] * write[:, :, None])
    expected = (states * read[:, :, None]).sum(-1)
    found = selective_scan(step, rate, write, read, x, first)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    if length:
        torch.testing.assert_close(_traced(step, rate, write, read, x, (~first).double()), expected, rtol=0, atol=1e-12)


def test_step_size_decides_what_is_kept() -> None:
    """Check 3: a is in (0, 1] since rates are negative; no step keeps the state, a large one forgets it."""
    step, rate, write, read, x, _ = arguments(9)
    first = torch.zeros(2, 9, dtype=torch.bool)
    module = BiSelectiveSSM(4, 6, states=5)
    rates = -torch.exp(module.ahead.rate_log(torch.arange(6)))
    torch.testing.assert_close(rates, -torch.arange(1.0, 6).expand(6, 5))
    sizes = torch.nn.functional.softplus(module.ahead.step.bias)  # type: ignore[arg-type]
    assert bool(((sizes >= 0.99e-3) & (sizes <= 1.01e-1)).all())
    still = step.clone()
    still[:, 5:] = 0
    read = read[:, :1].expand_as(read)
    kept = selective_scan(still, rate, write, read, x, first)
    torch.testing.assert_close(kept[:, 5:], kept[:, 4:5].expand(-1, 4, -1), rtol=0, atol=1e-14)
    large = step.clone()
    large[:, 5] = 1e4
    changed = x.clone()
    changed[:, :5] += 1
    assert torch.equal(
        selective_scan(large, rate, write, read, x, first)[:, 5:],
        selective_scan(large, rate, write, read, changed, first)[:, 5:],
    )


def test_no_weights_or_inputs_make_a_state_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check 3: ``a = exp(dt A)`` is above 0 and at most 1 whatever is learned, and changes with the input."""
    seen: list[tuple[Tensor, Tensor]] = []

    def watched(step: Tensor, rate: Tensor, *others: Tensor) -> Tensor:
        seen.append((step, rate))
        return selective_scan(step, rate, *others)

    monkeypatch.setattr("automl_graph.ssm.block.selective_scan", watched)
    module = BiSelectiveSSM(6, 10, states=3).double()
    for seed in range(5):
        randomise(module, seed=seed)
        with torch.no_grad():
            module(5 * torch.randn(2, 12, 6, dtype=torch.float64), flags(2, 12))
    assert len(seen) == 10
    for step, rate in seen:
        decay = torch.exp(step[..., None] * rate)
        assert bool(((decay > 0) & (decay <= 1)).all())
        assert float(decay.std(1).min()) > 0


@pytest.mark.parametrize("direction", ["ahead", "back"])
def test_direction_is_its_formula_step_by_step(direction: str) -> None:
    module, u = block(), torch.randn(1, 9, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    part = getattr(module, direction)
    p = {name: value.detach() for name, value in part.named_parameters()}
    entered, kernel = u[0] @ p["enter.weight"].T, p["taps.weight"].shape[1]
    state, expected = torch.zeros(10, 3, dtype=torch.float64), []
    for t in range(9):
        taps = [p["taps.weight"][:, j] * entered[t - j] for j in range(kernel) if t >= j]
        z = torch.nn.functional.silu(torch.stack(taps).sum(0) + p["offset.weight"][:, 0])
        step = torch.log1p(torch.exp(p["step.weight"] @ (p["step_rank.weight"] @ z) + p["step.bias"]))
        decay = torch.exp(-step[:, None] * torch.exp(p["rate_log.weight"]))
        state = decay * state + (step * z)[:, None] * (p["write.weight"] @ z)
        y = state @ (p["read.weight"] @ z) + p["skip.weight"][:, 0] * z
        expected.append(p["leave.weight"] @ (y * torch.nn.functional.silu(p["gate.weight"] @ u[0, t])))
    torch.testing.assert_close(part(u, flags(1, 9))[0], torch.stack(expected), rtol=0, atol=1e-12)


def block(direction: str = "bi") -> BiSelectiveSSM:
    module = BiSelectiveSSM(6, 10, states=3, direction=direction).double()
    randomise(module, seed=3)
    return module


def flags(rows: int, length: int) -> Tensor:
    return (torch.arange(length) == 0).expand(rows, length)


def test_forward_block_is_causal() -> None:
    """Check 4, first half."""
    module, x = block("forward"), torch.randn(2, 12, 6, dtype=torch.float64, requires_grad=True)
    out = module(x, flags(2, 12))
    for t in range(12):
        (gradient,) = torch.autograd.grad(out[:, t].sum(), x, retain_graph=True)
        assert not gradient[:, t + 1 :].any()
        assert bool(gradient[:, : t + 1].any(-1).all())


def test_swapped_directions_flip_the_output() -> None:
    """Check 4, second half."""
    module, swapped = block(), block()
    assert module.back is not None
    assert swapped.back is not None
    swapped.ahead.load_state_dict(module.back.state_dict())
    swapped.back.load_state_dict(module.ahead.state_dict())
    x = torch.randn(2, 12, 6, dtype=torch.float64)
    flipped = swapped(x.flip(1), flags(2, 12)).flip(1)
    torch.testing.assert_close(flipped, module(x, flags(2, 12)), rtol=0, atol=1e-13)


def test_sequences_in_one_row_do_not_meet() -> None:
    """Check 5 without a network: convolution and scan stop at borders in both directions."""
    module, x = block(), torch.randn(1, 100, 6, dtype=torch.float64)
    starts, lengths = (0, 1, 4, 80), (1, 3, 76, 20)
    first = torch.zeros(1, 100, dtype=torch.bool)
    first[0, list(starts)] = True
    alone = [module(x[:, s : s + n], flags(1, n)) for s, n in zip(starts, lengths, strict=True)]
    torch.testing.assert_close(module(x, first), torch.cat(alone, 1), rtol=0, atol=1e-12)


def test_number_of_parameters_of_a_direction() -> None:
    """Check 6."""
    module = BiSelectiveSSM(64, 128, states=16)
    assert sum(p.numel() for p in module.ahead.parameters()) == 32_640


def test_fewer_states_and_taps_are_prefixes() -> None:
    states, kernel, inner = Ordinal(2, 5), Ordinal(2, 4), Ordinal(3, 8)
    module = BiSelectiveSSM(6, inner, states=states, kernel=kernel).double()
    randomise(module, seed=3)
    x = torch.randn(1, 9, 6, dtype=torch.float64)
    states.value, kernel.value, inner.value = 2, 2, 3
    small = BiSelectiveSSM(6, 3, states=2, kernel=2).double()
    cut = {n: module.get_parameter(n)[tuple(map(slice, p.shape))] for n, p in small.named_parameters()}
    small.load_state_dict(cut)
    assert torch.equal(module(x, flags(1, 9)), small(x, flags(1, 9)))


def test_scan_is_counted_as_multiply_accumulates() -> None:
    with FlopCounterMode(display=False) as counter:
        selective_scan(*arguments(100))
    assert counter.get_total_flops() == 2 * 3 * 2 * 100 * 3 * 4


def test_inference_holds_no_tensor_of_all_states() -> None:
    """Check 11, second half: the largest tensor that the operator makes is far below length x channels x states."""
    length, channels, states = 4096, 8, 64
    sizes = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = func(*args, **(kwargs or {}))
            sizes.extend(
                t.numel() for t in (result if isinstance(result, tuple | list) else [result]) if isinstance(t, Tensor)
            )
            return result

    with torch.no_grad(), Watch():
        _operator._init_fn(  # the function inside: an operator hides its steps from the dispatcher
            torch.rand(1, length, channels),
            -torch.rand(channels, states),
            torch.randn(1, length, states),
            torch.randn(1, length, states),
            torch.randn(1, length, channels),
            torch.ones(1, length),
        )
    assert len(sizes) > 64
    assert max(sizes) <= length * states < length * channels * states // 4
