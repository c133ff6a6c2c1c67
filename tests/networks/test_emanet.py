import copy
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from limner.networks.emanet import EMAttention


def attention(momentum=0.9):
    torch.manual_seed(0)
    return EMAttention(6, bases=3, iterations=2, momentum=momentum).train()


def images(count=4):
    return torch.randn(count, 6, 5, 4, generator=torch.Generator().manual_seed(1))


def bases_of(module, image, first):
    """The paper's equations 10 to 13, pixel by pixel for one image (C, h, w)."""
    pixels = module.project(image[None])[0].flatten(1).t().detach()  # (N, C)
    bases = first[0].t()  # (J, C)
    for _ in range(module.iterations):
        belonging = (pixels @ bases.t()).softmax(dim=1)  # (N, J)
        means = [(belonging[:, j, None] * pixels).sum(0) / belonging[:, j].sum() for j in range(len(bases))]
        bases = torch.stack([mean / mean.norm() for mean in means])
    return bases.t()[None], belonging


def test_pixels_are_rebuilt_from_the_bases_of_their_own_image():
    module = attention().eval()
    found = module(images())
    for index, image in enumerate(images()):
        bases, belonging = bases_of(module, image, module.bases)
        rebuilt = (belonging @ bases[0].t()).t().reshape(1, 6, 5, 4).relu()
        expected = F.relu(image[None] + module.restore(rebuilt))
        torch.testing.assert_close(found[index : index + 1], expected)


def test_the_average_moves_by_the_mean_of_the_images_bases():
    module = attention()
    first = module.bases.clone()
    module(images())
    mean = torch.stack([bases_of(module, image, first)[0] for image in images()]).mean(dim=0)
    torch.testing.assert_close(module.bases, 0.9 * first + 0.1 * mean)


@pytest.mark.parametrize("sizes", [(2, 2), (3, 1), (1, 1, 2)])
def test_parts_of_a_batch_move_it_as_the_whole_does(sizes):
    whole, parts = attention(), attention()
    whole(images())
    for piece in images().split(sizes):
        parts(piece).sum().backward()
    torch.testing.assert_close(parts.bases, whole.bases)


def test_each_optimizer_step_moves_it_again():
    module = attention()
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.01)
    module(images()).square().sum().backward()
    after_one = module.bases.clone()
    optimizer.step()
    module(images())
    mean = torch.stack([bases_of(module, image, after_one)[0] for image in images()]).mean(dim=0)
    torch.testing.assert_close(module.bases, 0.9 * after_one + 0.1 * mean)


def test_evaluation_leaves_it():
    module = attention().eval()
    first = module.bases.clone()
    module(images())
    assert torch.equal(module.bases, first)


def test_a_resumed_run_goes_on_as_one_that_never_stopped():
    module = attention()
    module(images())
    resumed = attention()
    resumed.load_state_dict(copy.deepcopy(module.state_dict()))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1)  # an optimizer step, as far as anyone can tell
    module(images(3))
    resumed(images(3))
    assert torch.equal(module.bases, resumed.bases)


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch was built without it")
def test_two_processes_with_parts_of_their_halves_keep_the_bases_of_the_whole(tmp_path, emanet_process):
    emanet_process.train(0, 1, tmp_path)
    both = subprocess.run(
        [sys.executable, emanet_process.__file__, str(tmp_path)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert both.returncode == 0, both.stderr
    assert len(both.stdout.splitlines()) == 2 and "gloo" not in both.stdout
    before = emanet_process.build()[1].bases
    for step in range(emanet_process.STEPS):
        whole, *halves = (torch.load(tmp_path / f"{name}-{step}.pt") for name in ("1-0", "2-0", "2-1"))
        assert torch.equal(*halves)
        torch.testing.assert_close(halves[0], whole)
        assert (whole - before).abs().max() > 1e-2  # or it would prove little
        before = whole


@pytest.fixture
def emanet_process():
    spec = importlib.util.spec_from_file_location(
        "emanet_process", Path(__file__).with_name("emanet_process.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
