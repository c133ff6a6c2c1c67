"""The files of the page: complete, self-contained, readable; the decoding of masks against pycocotools."""

import json
import re
import shutil
import subprocess
from importlib.resources import files

import numpy as np
import pytest
from pycocotools import mask as coco_mask

PAGE = files("limner.serving").joinpath("page")
TEXTS = {item.name: item.read_text("utf-8") for item in PAGE.iterdir()}


def test_what_the_page_names_is_there():
    scripts = [text for name, text in TEXTS.items() if name.endswith(".js")]
    named = set(re.findall(r'(?:src|href)="page/([\w.]+)"', TEXTS["index.html"]))
    imported = {name for text in scripts for name in re.findall(r'from "\./([\w.]+)"', text)}
    assert named | imported | {"index.html"} == set(TEXTS)


def test_ids_in_scripts_are_in_the_page():
    ids = set(re.findall(r'\bid="([\w-]+)"', TEXTS["index.html"]))
    assert {name for text in TEXTS.values() for name in re.findall(r'\$\("([\w-]+)"\)', text)} <= ids
    assert len(ids) == len(re.findall(r'\bid="', TEXTS["index.html"])), "an id is there twice"


def test_nothing_is_fetched_from_elsewhere_or_written_as_html():
    for name, text in TEXTS.items():
        addresses = set(re.findall(r"https?://[\w./-]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not addresses, (name, addresses)
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(|\sstyle=\"|\son\w+=\"", text
        ), name


def colors(scheme):
    css = TEXTS["serve.css"]
    light, dark = re.findall(r":root \{(.*?)\}", css, re.S)[:2]
    text = light + (dark if scheme == "dark" else "")
    found = dict(re.findall(r"--([\w-]+): #([0-9a-f]{3,6})\b", text))
    return {name: [int(code[i : i + 2], 16) for i in (0, 2, 4)] if len(code) == 6 else [255] * 3
            for name, code in found.items()}  # fmt: skip


def luminance(color):
    """As WCAG 2.2 defines relative luminance."""
    parts = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(scheme):
    color = colors(scheme)
    pairs = [
        *((ink, ground) for ink in ("ink", "muted", "accent") for ground in ("paper", "card", "soft")),
        *(("error", "error-soft"), ("error", "paper"), ("good", "paper"), ("on-accent", "accent")),
    ]
    for ink, ground in pairs:
        bright, dark = sorted((luminance(color[ink]), luminance(color[ground])), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)
    bright, dark = sorted((luminance(color["edge"]), luminance(color["card"])), reverse=True)
    assert (bright + 0.05) / (dark + 0.05) >= 3, "borders of controls"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js to run a script of the page")
def test_masks_are_decoded_as_pycocotools_does(tmp_path):
    draw = np.random.default_rng(0)
    masks = [
        np.kron(draw.random(size) < share, np.ones((scale, scale), bool))
        for size, share, scale in (((7, 9), 0.5, 1), ((5, 4), 0.3, 61), ((1, 1), 2, 40), ((3, 3), 0, 5))
    ]
    runs = []
    for mask in masks:
        encoded = coco_mask.encode(np.asfortranarray(mask, np.uint8))
        runs.append({"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode()})
    (tmp_path / "runs.mjs").write_text(TEXTS["runs.js"], "utf-8")
    (tmp_path / "main.mjs").write_text(
        'import { paintRuns } from "./runs.mjs";\n'
        f"const decoded = {json.dumps(runs)}.map((mask) => [1, 3].map((step) => {{\n"
        "  const [height, width] = mask.size;\n"
        "  const map = new Uint16Array(Math.ceil(height / step) * Math.ceil(width / step));\n"
        "  paintRuns(map, mask, step, 7);\n"
        "  return [...map];\n"
        "}));\n"
        "console.log(JSON.stringify(decoded));\n",
        "utf-8",
    )
    done = subprocess.run(  # noqa: S603
        [shutil.which("node"), str(tmp_path / "main.mjs")], capture_output=True, text=True, check=True
    )
    for mask, found in zip(masks, json.loads(done.stdout), strict=True):
        for step, numbers in zip((1, 3), found, strict=True):
            np.testing.assert_array_equal(numbers, 7 * mask[::step, ::step].ravel())
