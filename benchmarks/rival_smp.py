"""The usual script: segmentation_models_pytorch's U-Net on ResNet-18 from scratch.

AdamW, Dice + cross-entropy, flips (and quarter turns where orientation is meaningless), batches of 8 crops
of 256x256 held in memory, float32, the learning rate falling from 1e-3 along a cosine.
"""

import math
import time

import cv2
import numpy as np
import torch
from torch import nn

CROP, BATCH, RATE = 256, 8, 1e-3

IGNORED = 255


def train_and_predict(train, val, labels, *, seconds: float, seed: int, turns: bool, short_side: int | None):  # noqa: ANN001, ANN201
    """Return the number of steps, and the predicted labels (H, W) of each validation case."""
    import segmentation_models_pytorch as smp

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    pairs = [(_as_float(case.image, short_side), _resized(case.labels, short_side)) for case in train]
    pixels = np.concatenate([image.reshape(-1, image.shape[-1]) for image, _ in pairs])
    mean, std = pixels.mean(0), pixels.std(0)
    pairs = [((image - mean) / std, labels) for image, labels in pairs]
    count = len(labels.names)
    model = smp.Unet("resnet18", encoder_weights=None, in_channels=len(mean), classes=count).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    dice = smp.losses.DiceLoss("multiclass", ignore_index=IGNORED)
    cross_entropy = nn.CrossEntropyLoss(ignore_index=IGNORED)
    steps, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        for group in optimizer.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * passed / seconds))
        crops = [augmented_crop(pairs[rng.integers(len(pairs))], rng, turns) for _ in range(BATCH)]
        images, masks = zip(*crops, strict=True)
        x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        y = torch.from_numpy(np.stack(masks)).long()
        optimizer.zero_grad()
        logits = model(x)
        loss = dice(logits, y) + cross_entropy(logits, y)
        loss.backward()
        optimizer.step()
        steps += 1
    model.eval()
    return steps, [_predict(model, case, mean, std, short_side) for case in val]


def augmented_crop(pair: tuple[np.ndarray, np.ndarray], rng: np.random.Generator, turns: bool):  # noqa: ANN201
    image, mask = pair
    missing = [max(0, CROP - side) for side in mask.shape]
    image = cv2.copyMakeBorder(image, 0, missing[0], 0, missing[1], cv2.BORDER_REFLECT_101)
    image = image.reshape(*image.shape[:2], -1)
    mask = cv2.copyMakeBorder(mask, 0, missing[0], 0, missing[1], cv2.BORDER_CONSTANT, value=IGNORED)
    top, left = (int(rng.integers(length - CROP + 1)) for length in mask.shape)
    quarter, mirrored = int(rng.integers(4)) if turns else 0, bool(rng.integers(2))
    cut = (np.rot90(a[top : top + CROP, left : left + CROP], quarter) for a in (image, mask))
    image, mask = (a[:, ::-1] if mirrored else a for a in cut)
    return image.copy(), mask.copy()


def _as_float(image: np.ndarray, short_side: int | None) -> np.ndarray:
    resized = _resized(image.astype(np.float32), short_side, cv2.INTER_AREA)
    return resized.reshape(*resized.shape[:2], -1)


def _resized(array: np.ndarray, short_side: int | None, how: int = cv2.INTER_NEAREST) -> np.ndarray:
    if short_side is None:
        return array
    factor = short_side / min(array.shape[:2])
    height, width = (round(side * factor) for side in array.shape[:2])
    return cv2.resize(array, (width, height), interpolation=how)


def _predict(model: nn.Module, case, mean, std, short_side: int | None) -> np.ndarray:  # noqa: ANN001
    image = (_as_float(case.image, short_side) - mean) / std
    height, width = image.shape[:2]
    padded = cv2.copyMakeBorder(image, 0, -height % 32, 0, -width % 32, cv2.BORDER_REFLECT_101)
    x = torch.from_numpy(padded.reshape(*padded.shape[:2], -1)).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        logits = model(x)[:, :, :height, :width]
        logits = nn.functional.interpolate(logits, case.labels.shape, mode="bilinear")
    return logits[0].argmax(0).numpy()
