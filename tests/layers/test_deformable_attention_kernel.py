"""The Triton kernel in Triton's interpreter on the CPU, against PyTorch's operators and by its properties."""

import importlib.util
import sys

import pytest
import torch

from limner.layers import deformable_attention
from limner.layers.deformable_attention import sum_by_operators, sum_of_samples

SIZES = [(2, 3), (4, 5)]


@pytest.fixture(scope="module")
def kernel():
    """The file of the kernel, loaded so that its functions are interpreted."""
    pytest.importorskip("triton", reason="Triton is not installed")
    name = "limner.layers.deformable_attention_kernel"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        spec = importlib.util.spec_from_file_location(
            "interpreted_kernel", importlib.util.find_spec(name).origin
        )
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        module.BLOCK = 8  # the interpreter takes its time for each row
        yield module


def arguments_of(kernel, **shape):
    """Values, locations and weights; a third of the points lies outside of its level, or at its border."""
    return kernel.random_arguments(SIZES, **{"queries": 4, "heads": 2, "points": 2, "depth": 3, **shape})


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"queries": 7, "depth": 6},  # more rows than a program has, and channels that are no power of two
        {"batch": 1, "queries": 1, "heads": 1, "points": 1, "depth": 1},
    ],
)
def test_equals_the_operators(kernel, shape):
    arguments = arguments_of(kernel, **shape)
    found, *gradients = kernel.with_gradients(kernel.sum_by_kernel, arguments, SIZES)
    expected, *others = kernel.with_gradients(sum_by_operators, arguments, SIZES)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for gradient, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(gradient, other, atol=1e-4, rtol=1e-4)


def test_points_on_the_borders_and_far_outside(kernel):
    corners = torch.tensor([[0, 0], [1, 1], [0, 1], [-1e-3, 0.5], [1.5, 0.5], [-7, 9], [1e9, 0.5]])
    values, _, _ = arguments_of(kernel, batch=1, heads=1)
    locations = corners.view(1, 7, 1, 1, 1, 2).expand(-1, -1, -1, 2, -1, -1)
    weights = torch.full((1, 7, 1, 2, 1), 0.5)
    found = kernel.sum_by_kernel(values, locations, weights, SIZES)
    torch.testing.assert_close(
        found, sum_by_operators(values, locations, weights, SIZES), atol=1e-5, rtol=1e-5
    )
    assert not found[0, 4:].any()


def test_gradients_are_those_of_a_function_linear_in_values_and_weights(kernel):
    # For out = A v, the inner product of v and the gradient by v is that of out and its gradient (Euler).
    leaves = [tensor.requires_grad_() for tensor in arguments_of(kernel)]
    out = kernel.sum_by_kernel(*leaves, SIZES)
    wanted = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    of_values, _, of_weights = torch.autograd.grad(out, leaves, wanted)
    product = (out * wanted).sum()
    torch.testing.assert_close((leaves[0] * of_values).sum(), product, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close((leaves[2] * of_weights).sum(), product, rtol=1e-4, atol=1e-4)


def test_the_gradient_by_the_locations_is_a_difference(kernel):
    # Between the centres of pixels the sum is linear in x and in y, so a difference is exact up to rounding.
    values, locations, weights = arguments_of(kernel, batch=1, queries=3)
    scale = torch.tensor([[width, height] for height, width in SIZES]).view(2, 1, 2)
    locations = ((locations * scale - 0.5).floor() + 0.5 + 0.5) / scale  # the middle of four centres
    locations.requires_grad_()
    out = kernel.sum_by_kernel(values, locations, weights, SIZES)
    wanted = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(out, locations, wanted)
    direction = torch.zeros_like(gradient)
    direction[..., 0] = 0.2 / scale[..., 0]
    with torch.no_grad():
        above, below = (
            (kernel.sum_by_kernel(values, locations + way * direction, weights, SIZES) * wanted).sum()
            for way in (1, -1)
        )
    torch.testing.assert_close((gradient * direction).sum(), (above - below) / 2, rtol=1e-3, atol=1e-4)


def test_half_precision_is_summed_in_full(kernel):
    values, locations, weights = arguments_of(kernel)
    found = kernel.sum_by_kernel(values.bfloat16(), locations, weights, SIZES)
    assert found.dtype == torch.bfloat16
    expected = sum_by_operators(values.bfloat16().float(), locations, weights, SIZES)
    torch.testing.assert_close(found.float(), expected, atol=2e-2, rtol=1e-2)


@pytest.fixture
def small_trial(kernel, monkeypatch):
    for name, number in {"TRIED_QUERIES": 3, "TRIED_SIDE": 4, "TRIED_RUNS": 1}.items():
        monkeypatch.setattr(kernel, name, number)

    def run(other):
        return kernel.try_kernel(other, torch.device("cpu"), heads=1, levels=2, points=1, depth=2)

    return run


def test_a_trial_tells_equal_from_different(small_trial):
    with torch.inference_mode():  # the first image of a prediction
        trial = small_trial(lambda *arguments: sum_by_operators(*arguments))
    assert trial.is_equal and "times as fast" in trial.reason
    trial = small_trial(lambda *arguments: 1.01 * sum_by_operators(*arguments))
    assert not trial.is_equal and not trial.is_better and trial.reason.startswith("differs")


def test_a_kernel_that_cannot_be_compiled_is_not_used(small_trial, kernel, monkeypatch):
    def fail(*_):
        raise RuntimeError("no C compiler\nsecond line")

    monkeypatch.setattr(kernel, "sum_by_kernel", fail)
    trial = small_trial(lambda *arguments: sum_by_operators(*arguments))
    assert trial.reason == "cannot be used: RuntimeError: no C compiler"
    assert not trial.is_better


@pytest.mark.parametrize("is_better", [True, False])
def test_attention_uses_the_kernel_where_it_is_better(kernel, monkeypatch, is_better):
    monkeypatch.setitem(sys.modules, "limner.layers.deformable_attention_kernel", kernel)
    monkeypatch.setattr(deformable_attention, "compiles_triton", lambda _: True)
    trial = kernel.KernelTrial(True, is_better, "")
    monkeypatch.setattr(kernel, "try_kernel", lambda *_, **__: trial)
    monkeypatch.setattr(kernel, "sum_by_kernel", lambda *_: "by the kernel")
    arguments = arguments_of(kernel)
    assert (sum_of_samples(*arguments, SIZES) == "by the kernel") is is_better
    doubles = [tensor.double() for tensor in arguments]
    assert sum_of_samples(*doubles, SIZES).dtype == torch.float64  # which the kernel does not compute


def test_a_cpu_does_not_ask_for_triton():
    assert not deformable_attention._prefers_kernel(torch.zeros(1), torch.zeros(1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_equals_the_operators_on_a_gpu():
    from limner.layers.deformable_attention_kernel import try_kernel

    trial = try_kernel(sum_by_operators, torch.device("cuda"), heads=8, levels=3, points=4, depth=32)
    assert trial.is_equal, trial.reason
