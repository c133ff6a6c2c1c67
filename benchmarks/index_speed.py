"""How long limner takes to index large folders, how much memory, and how much of it when asked again.

    python benchmarks/index_speed.py [--images 118000] [--runs 3] [--folder /tmp/large]

Three folders are made: COCO's layout, with a JSON of the size of train2017 (118 000 images, 860 000 polygons,
about 450 MB); its panoptic layout (as many images and PNGs, 1.3 million segments); and the same number of
images and masks paired by name. Image files are links to a few tiny
ones: indexing reads names, not pixels. Each row is a process of its own, from the import on; ``first`` has an
empty cache of its own, ``again`` finds what it left. Medians over the runs; ``cpu`` is what a busy machine
takes away less from; memory is the peak of the process, torch not loaded.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ANNOTATIONS_PER_IMAGE = 7.3
NUM_CATEGORIES = 80
SECONDS_TO_SETTLE = 3
"""No index is kept of files that changed within two seconds before it was made."""

MOST_LINKS = 30_000
"""Of one file: ext4 ends at 65 000."""


def link_files(folder: Path, count: int, suffix: str, content: bytes) -> None:
    """Make `count` files that are links to a few."""
    folder.mkdir(parents=True)
    for number in range(count):
        path = folder / f"{number:012}{suffix}"
        if number % MOST_LINKS == 0:
            path.write_bytes(content)
            first = path
        else:
            os.link(first, path)


def annotations(num_images: int) -> Iterator[str]:
    """Yield COCO's annotations as text: polygons with two decimals, one in a hundred run lengths."""
    rng = np.random.default_rng(0)
    for number in range(int(num_images * ANNOTATIONS_PER_IMAGE)):
        points = int(rng.integers(6, 44))
        x, y, r = rng.uniform(60, 580), rng.uniform(60, 420), rng.uniform(5, 55)
        angles = np.sort(rng.uniform(0, 2 * np.pi, points))
        ring = np.stack([x + r * np.cos(angles), y + r * np.sin(angles)], 1).round(2).ravel()
        shape: object = [ring.tolist()]
        crowd = number % 100 == 0
        if crowd:
            shape = {"counts": [1000, 200, 480 * 640 - 1200], "size": [480, 640]}
        yield json.dumps(
            {
                "segmentation": shape,
                "area": round(3.14 * r * r, 4),
                "iscrowd": int(crowd),
                "image_id": int(rng.integers(num_images)),
                "bbox": [round(v, 2) for v in (x - r, y - r, 2 * r, 2 * r)],
                "category_id": 1 + number % NUM_CATEGORIES,
                "id": number + 1,
            }
        )


def segments(num_images: int) -> Iterator[str]:
    """Yield the annotations of COCO's panoptic JSON as text."""
    rng = np.random.default_rng(0)
    for image in range(num_images):
        infos = [
            {
                "id": int(rng.integers(1, 256**3)),
                "category_id": 1 + int(rng.integers(NUM_CATEGORIES)),
                "iscrowd": int(rng.integers(100) == 0),
                "bbox": rng.integers(1, 300, 4).tolist(),
                "area": int(rng.integers(1, 90_000)),
            }
            for _ in range(int(rng.integers(5, 18)))
        ]
        name = f"{image:012}.png"
        yield json.dumps({"segments_info": infos, "file_name": name, "image_id": image})


def make_coco(root: Path, num_images: int) -> None:
    """Write COCO's layout, JSON as large as the real one."""
    link_files(root / "train2017", num_images, ".jpg", tiny_image())
    (root / "annotations").mkdir()
    write_json(root / "annotations/instances_train2017.json", num_images, annotations(num_images))


def make_panoptic(root: Path, num_images: int) -> None:
    """Write COCO's panoptic layout."""
    link_files(root / "train2017", num_images, ".jpg", tiny_image())
    link_files(root / "annotations/panoptic_train2017", num_images, ".png", tiny_image())
    write_json(root / "annotations/panoptic_train2017.json", num_images, segments(num_images))


def tiny_image() -> bytes:
    """Return the bytes of an image file."""
    return next((Path(__file__).parents[1] / "src/limner/example/nuclei").rglob("*.png")).read_bytes()


def write_json(path: Path, num_images: int, rows: Iterator[str]) -> None:
    """Write a COCO file with these annotations."""
    images = (
        {"license": 1, "file_name": f"{i:012}.jpg", "coco_url": f"http://images.cocodataset.org/{i:012}.jpg"}
        | {"height": 480, "width": 640, "date_captured": "2013-11-14 17:02:52", "id": i}
        for i in range(num_images)
    )
    categories = [
        {"supercategory": "thing", "id": i + 1, "name": f"thing {i}"} for i in range(NUM_CATEGORIES)
    ]
    with path.open("w") as file:
        file.write('{"info": {"year": 2017}, "licenses": [], "images": [')
        file.writelines(("" if i == 0 else ", ") + json.dumps(row) for i, row in enumerate(images))
        file.write('], "annotations": [')
        file.writelines(("" if i == 0 else ", ") + row for i, row in enumerate(rows))
        file.write(f'], "categories": {json.dumps(categories)}}}')


def make_pairs(root: Path, num_images: int) -> None:
    """Write images/ and masks/ with the same names."""
    link_files(root / "images", num_images, ".jpg", tiny_image())
    link_files(root / "masks", num_images, ".png", tiny_image())


def index_once(root: Path) -> None:
    """Index a folder and read the labels' place of one record; print seconds and peak memory."""
    start = time.perf_counter()
    from limner.formats import open_source

    source = open_source(root)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    if source.name == "coco-instances":
        source.read_segments(source.records[len(source.records) // 2])
    sample = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    cpu = time.process_time()
    print(
        json.dumps(
            {"seconds": seconds, "cpu": cpu, "gb": peak, "records": len(source.records), "sample": sample}
        )
    )


def measured(root: Path, cache: Path) -> dict[str, float]:
    """Run `index_once` in a process of its own."""
    command = [sys.executable, __file__, "--index", str(root)]
    ran = subprocess.run(
        command, env={**os.environ, "LIMNER_CACHE": str(cache)}, check=True, capture_output=True, text=True
    )
    return json.loads(ran.stdout)


def report(name: str, root: Path, runs: int, scratch: Path) -> None:
    """Print a row for the first time and one for the next."""
    time.sleep(SECONDS_TO_SETTLE)
    first, again = [], []
    for run in range(runs):
        cache = scratch / f"cache-{name}-{run}"
        first.append(measured(root, cache))
        again.append(measured(root, cache))
        shutil.rmtree(cache, ignore_errors=True)
    for label, rows in (("first", first), ("again", again)):
        middle = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        print(
            f"| {name} | {label} | {middle['records']:,} | {middle['seconds']:.2f} | {middle['cpu']:.2f} "
            f"| {middle['gb']:.2f} | {1000 * middle['sample']:.0f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=118_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, help="keep the made folders here, and take them if they are there"
    )
    parser.add_argument("--index", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.index:
        index_once(arguments.index)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        print(
            "| folder | time | records | s | cpu s | GB | first sample, ms |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            sep="\n",
        )
        for name, make in (("coco", make_coco), ("panoptic", make_panoptic), ("pairs", make_pairs)):
            root = folder / f"{name}-{arguments.images}"
            if not root.exists():
                root.mkdir(parents=True)
                make(root, arguments.images)
            report(name, root, arguments.runs, Path(scratch))


if __name__ == "__main__":
    main()
