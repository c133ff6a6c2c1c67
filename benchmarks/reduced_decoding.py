"""Decoding JPEGs at a part of their size before they are resized: time, and difference from all pixels.

    python benchmarks/reduced_decoding.py [--photos FOLDER] [--size 3000x4000] [--shortest 512] [--rounds 5]

The images are those of a folder, enlarged to the size, or else smooth noise with fine noise on it. Each is
The images are those of a folder, enlarged to the size, or else smooth noise with fine noise on it. Each is
size it is resized to (`OVERSAMPLING`). The reference is all pixels, averaged by area.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from limner.core.plan import ResizePlan
from limner.images.pixels import REDUCTIONS
from limner.images.read_image import read_image
from limner.transforms.fitted_size import fitted_size
from limner.transforms.resize_array import resize_image

MOST_PHOTOS = 8


def make_photos(folder: Path, photos: Path | None, size: tuple[int, int]) -> list[Path]:
    """Write JPEGs of one size."""
    rng = np.random.default_rng(0)
    named = sorted(photos.iterdir())[:MOST_PHOTOS] if photos else [None] * 4
    paths = []
    for number, photo in enumerate(named):
        if photo is None:
            blocks = rng.integers(0, 256, (size[0] // 40, size[1] // 40, 3), dtype=np.uint8)
            smooth = cv2.resize(blocks, size[::-1], interpolation=cv2.INTER_CUBIC)
            pixels = np.clip(smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
        else:
            pixels = cv2.resize(cv2.imread(str(photo)), size[::-1], interpolation=cv2.INTER_CUBIC)
        paths.append(folder / f"{number}.jpg")
        cv2.imwrite(str(paths[-1]), pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return paths


def largest_reduction(size: tuple[int, ...], wanted: tuple[int, ...], oversampling: int) -> int:
    """Return the reduction that leaves so many times the wanted size."""
    pairs = [*zip(size, wanted, strict=True)]
    fits = [f for f in REDUCTIONS if all(s >= oversampling * w * f for s, w in pairs)]
    return max(fits, default=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--size", default="3000x4000", help="height x width")
    parser.add_argument("--shortest", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    height, width = map(int, given.size.split("x"))
    wanted = fitted_size(height, width, ResizePlan(shortest=given.shortest))
    factors = {"all pixels": 1}
    factors |= {f"at least {k} times": largest_reduction((height, width), wanted, k) for k in (2, 1)}
    with tempfile.TemporaryDirectory() as folder:
        paths = make_photos(Path(folder), given.photos, (height, width))
        times: dict[str, list[float]] = {name: [] for name in factors}
        errors: dict[str, list[float]] = {name: [] for name in factors}
        for _ in range(given.rounds):
            for path in paths:
                reference = None
                for name, factor in factors.items():
                    began = time.process_time()
                    picture = read_image(path, reduce=lambda height, width, factor=factor: factor)
                    small = resize_image(picture.array, wanted)
                    times[name].append(time.process_time() - began)
                    if reference is None:
                        whole = picture.array
                        area = cv2.resize(whole, wanted[::-1], interpolation=cv2.INTER_AREA)
                        reference = area.astype(float)
                    errors[name].append(float(((small - reference) ** 2).mean()))
    sizes = f"{width}x{height} to {wanted[1]}x{wanted[0]}"
    print(f"{len(paths)} JPEGs of {sizes}, one thread, {given.rounds} rounds")
    for name, factor in factors.items():
        error = statistics.mean(errors[name])
        psnr = f"{10 * np.log10(255**2 / error):.1f} dB" if error else "the same"
        print(f"{name}: 1/{factor}, {1000 * statistics.median(times[name]):.1f} ms of CPU, {psnr}")


if __name__ == "__main__":
    main()
