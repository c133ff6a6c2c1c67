"""Requests to `limner serve` from many clients: errors, times, memory, and throughput.

    python benchmarks/serving.py --requests 10000 --clients 64
    python benchmarks/serving.py --requests 500 --clients 64 --model runs/nuclei/model
    python benchmarks/serving.py --requests 2000 --litserve    # also LitServe with the same model

Without --model, an untrained small U-Net is served. The image is a JPEG of noise, which is the slowest to
decode. The times of the model alone and of `limner predict` are measured before, in the same run.
"""

import argparse
import asyncio
import contextlib
import re
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx
import numpy as np
import psutil

import limner
from limner.core.labels import LabelClass, LabelTable
from limner.core.plan import DataPlan, InputPlan, NetworkPlan, OptimizerPlan, Plan, TrainPlan
from limner.weights.bundle import save_model
from limner.weights.model import Model

IMAGES_OF_PREDICT = 100


@dataclass(frozen=True)
class Load:
    """What a server answered.

    Attributes:
        name: Name of the server.
        alone: Seconds of each request of a single client.
        seconds: Seconds of each request of many clients.
        rate: Answers per second to many clients.
        statuses: HTTP status -> number of answers to many clients.
        memory: Bytes of the process before and after many clients; None where it is not told.
        code: Exit code after SIGTERM.
    """

    name: str
    alone: list
    seconds: list
    rate: float
    statuses: dict
    memory: tuple | None
    code: int


def untrained(folder, widths):
    labels = LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("cell", (255,), (255, 0, 0))))
    plan = Plan(
        data=DataPlan(path="none", format="paired-folders", num_images={}, labels=labels.to_dict()),
        network=NetworkPlan(name="unet", options={"widths": widths}),
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


def started_litserve(model, device):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name("litserve_server.py")
    command = [sys.executable, str(script), str(model), "--port", str(port), "--device", device]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    url, until = f"http://127.0.0.1:{port}", time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return process, url
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    process.terminate()
    raise SystemExit("LitServe did not start; see: python benchmarks/litserve_server.py MODEL")


STARTERS = {"limner serve": started, "LitServe": started_litserve}


def memory_of(url):
    answer = httpx.get(f"{url}/metrics")
    found = re.search(r"^process_resident_memory_bytes (\d+)", answer.text, re.M)
    return int(found[1]) if found else None


def loaded(name, model, data, options):
    """Start a server, and send it the requests of one client, then those of many."""
    headers = {"Accept": "image/png"}
    process, url = STARTERS[name](model, options.device)
    try:
        asyncio.run(requests(url, data, 20, 1, headers))
        alone, _ = asyncio.run(requests(url, data, 50, 1, headers))
        asyncio.run(requests(url, data, 2 * options.clients, options.clients, headers))
        before, began = memory_of(url), time.perf_counter()
        seconds, statuses = asyncio.run(requests(url, data, options.requests, options.clients, headers))
        rate = options.requests / (time.perf_counter() - began)
        memory = None if before is None else (before, memory_of(url))
    finally:
        workers = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        code = process.wait(60)
        for worker in workers:  # LitServe may leave them
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
    return Load(name, alone, seconds, rate, statuses, memory, code)


def show(load, bare, rate):
    p50, p95 = (1000 * float(np.percentile(load.seconds, part)) for part in (50, 95))
    alone, late = (1000 * float(np.percentile(load.alone, part)) for part in (50, 95))
    print(load.name)
    print(
        f"  one client:   p50 {alone:.1f} ms, p95 {late:.1f} ms; {alone - 1000 * bare:+.1f} ms, "
        f"{late - 1000 * bare:+.1f} ms over the model alone"
    )
    print(f"  many clients: p50 {p50:.0f} ms, p95 {p95:.0f} ms; statuses {load.statuses}")
    print(f"  throughput:   {load.rate:.2f} images/s, {load.rate / rate:.3f} of limner predict")
    if load.memory is not None:
        before, after = load.memory
        print(f"  memory:       {before / 2**20:.0f} -> {after / 2**20:.0f} MiB ({after / before - 1:+.1%})")
    print(f"  exit code after SIGTERM: {load.code}")


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
    parser.add_argument("--model", type=Path, help="a model folder; default: a U-Net without training")
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32, 64, 128], help="of that U-Net")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--litserve", action="store_true", help="also measure LitServe with the same model")
    options = parser.parse_args()
    image = np.random.default_rng(0).integers(0, 256, (options.size, options.size, 3), np.uint8)
    data = cv2.imencode(".jpg", image)[1].tobytes()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = options.model or untrained(folder / "model", options.widths)
        bare = bare_seconds(model, image, options.device)
        rate = predict_rate(model, data, folder, options.device)
        print(f"model alone: {1000 * bare:.1f} ms an image; limner predict: {rate:.2f} images/s", flush=True)
        for server in ("limner serve", *(["LitServe"] if options.litserve else [])):
            show(loaded(server, model, data, options), bare, rate)


if __name__ == "__main__":
    main()
