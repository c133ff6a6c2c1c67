"""Requests to `limner serve` from many clients: errors, times, memory, and throughput.

    python benchmarks/serving.py --requests 10000 --clients 64
    python benchmarks/serving.py --requests 500 --clients 64 --model runs/nuclei/model

Without --model, an untrained small U-Net is served. The image is a JPEG of noise, which is the slowest to
decode. The times of the model alone and of `limner predict` are measured before, in the same run.
"""

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import httpx
import numpy as np

import limner
from limner.core.labels import LabelClass, LabelTable
from limner.core.plan import DataPlan, InputPlan, NetworkPlan, OptimizerPlan, Plan, TrainPlan
from limner.weights.bundle import save_model
from limner.weights.model import Model

IMAGES_OF_PREDICT = 100


def untrained(folder):
    labels = LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("cell", (255,), (255, 0, 0))))
    plan = Plan(
        data=DataPlan(path="none", format="paired-folders", num_images={}, labels=labels.to_dict()),
        network=NetworkPlan(name="unet", options={"widths": [16, 32, 64, 128]}),
        input=InputPlan(spatial_dims=2, channels=3, crop_size=(256, 256), mean=(128.0,) * 3, std=(64.0,) * 3),
        optimizer=OptimizerPlan(learning_rate=0.001),
        train=TrainPlan(steps=1, batch_size=1, validate_every=1, save_every=1),
    )
    save_model(folder, Model.from_plan(plan), origin={})
    return folder


def started(model, device):
    command = [sys.executable, "-m", "limner", "serve", str(model), "--port", "0", "--device", device]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    return process, re.search(r"http://[\d.]+:\d+", process.stdout.readline())[0]


def memory_of(url):
    text = httpx.get(f"{url}/metrics").text
    return int(re.search(r"^process_resident_memory_bytes (\d+)", text, re.M)[1])


async def requests(url, data, number, clients, headers):
    """Send requests from clients that each wait for their answer; returns seconds of each, and statuses."""
    seconds, statuses, left = [], {}, iter(range(number))

    async def client():
        async with httpx.AsyncClient(timeout=300) as session:
            for _ in left:
                began = time.perf_counter()
                answer = await session.post(
                    f"{url}/predict", files={"images": ("a.jpg", data)}, headers=headers
                )
                seconds.append(time.perf_counter() - began)
                statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1

    await asyncio.gather(*(client() for _ in range(clients)))
    return seconds, statuses


def bare_seconds(model, image, device):
    predictor = limner.load(model, device=device)
    predictor.share_cores()
    times = []
    for _ in range(20):
        began = time.perf_counter()
        predictor.predict(image)
        times.append(time.perf_counter() - began)
    return float(np.median(times[5:]))


def predict_rate(model, data, folder, device):
    images = folder / "images"
    images.mkdir()
    for number in range(IMAGES_OF_PREDICT):
        (images / f"{number}.jpg").write_bytes(data)
    predictor = limner.load(model, device=device)
    limner.predict(predictor, images / "0.jpg", out=folder / "warm", overlay=False)
    began = time.perf_counter()
    limner.predict(predictor, images, out=folder / "out", overlay=False)
    return IMAGES_OF_PREDICT / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    image = np.random.default_rng(0).integers(0, 256, (options.size, options.size, 3), np.uint8)
    data = cv2.imencode(".jpg", image)[1].tobytes()
    headers = {"Accept": "image/png"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = options.model or untrained(folder / "model")
        bare = bare_seconds(model, image, options.device)
        rate = predict_rate(model, data, folder, options.device)
        process, url = started(model, options.device)
        try:
            asyncio.run(requests(url, data, 20, 1, headers))
            alone, _ = asyncio.run(requests(url, data, 50, 1, headers))
            asyncio.run(requests(url, data, 2 * options.clients, options.clients, headers))
            before, began = memory_of(url), time.perf_counter()
            seconds, statuses = asyncio.run(requests(url, data, options.requests, options.clients, headers))
            served = options.requests / (time.perf_counter() - began)
            after = memory_of(url)
        finally:
            process.terminate()
            code = process.wait(60)
    p50, p95 = (1000 * float(np.percentile(seconds, part)) for part in (50, 95))
    print(f"model alone:           {1000 * bare:8.1f} ms an image")
    print(f"one client:            {1000 * float(np.median(alone)):8.1f} ms a request (median)")
    print(f"{options.clients} clients:  p50 {p50:.0f} ms, p95 {p95:.0f} ms; statuses {statuses}")
    print(
        f"throughput:            {served:8.2f} images/s; limner predict {rate:.2f}; ratio {served / rate:.3f}"
    )
    print(
        f"memory:                {before / 2**20:.0f} -> {after / 2**20:.0f} MiB ({after / before - 1:+.1%})"
    )
    print(f"exit code after SIGTERM: {code}")


if __name__ == "__main__":
    main()
