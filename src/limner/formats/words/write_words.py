"""Writing found words: ICDAR's text file of an image, and MMOCR's JSON of all images."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limner.core.prediction import WordPrediction
from limner.core.words import Polygon
from limner.storage.whole_files import GrowingFile, write_whole

DECIMALS = 2
"""Decimals of coordinates in JSON; ICDAR's files have whole numbers, as its evaluation requires."""

METAINFO = {"dataset_type": "TextDetDataset", "task_name": "textdet", "category": [{"id": 0, "name": "text"}]}


def write_icdar(path: Path, polygons: Sequence[Polygon]) -> None:
    """Write a line ``x1,y1,x2,y2,...`` for each word, as submitted to ICDAR's challenges."""
    lines = [",".join(str(int(round(value))) for value in polygon.ravel()) for polygon in polygons]
    write_whole(path, "".join(f"{line}\n" for line in lines).encode())


def mmocr_row(prediction: WordPrediction, *, file_name: str, shape: Sequence[int]) -> dict[str, Any]:
    """Return the entry of an image in MMOCR's ``data_list``, with a ``score`` for each word.

    Args:
        prediction: The found words.
        file_name: Path of the image.
        shape: (H, W) of the image.
    """
    instances = [
        {
            "polygon": np.round(polygon, DECIMALS).ravel().tolist(),
            "bbox": np.round([*polygon.min(0), *polygon.max(0)], DECIMALS).tolist(),
            "bbox_label": 0,
            "ignore": False,
            "score": round(float(score), 4),
        }
        for polygon, score in zip(prediction.polygons, prediction.scores, strict=True)
    ]
    return {"img_path": file_name, "height": shape[0], "width": shape[1], "instances": instances}


def write_mmocr(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write the entries of all images, one at a time."""
    with GrowingFile(path) as file:
        file.write(f'{{"metainfo": {json.dumps(METAINFO)}, "data_list": [')
        for number, row in enumerate(rows):
            file.write((",\n" if number else "\n") + json.dumps(row))
        file.write("\n]}\n")
