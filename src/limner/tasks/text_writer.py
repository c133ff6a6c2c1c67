"""Writing found words: text files, JSON and overlays."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from limner.core.picture import Picture
from limner.core.prediction import WordPrediction
from limner.drawing.display import display_image
from limner.drawing.word_cutouts import cut_out
from limner.drawing.word_outcomes import word_overlay
from limner.formats.words.write_words import mmocr_row, write_icdar, write_mmocr
from limner.storage.whole_files import remove_file
from limner.tasks.prediction_folder import OVERLAYS, PredictionFolder

CUTOUTS = "cutouts"
"""Folder with a folder for each image."""

WORDS = "words"
"""Folder of the text files, and name of the JSON file."""


class TextWriter:
    """Writes ``words.json`` in MMOCR's format, and per image a text file as submitted to ICDAR."""

    def __init__(self, folder: PredictionFolder) -> None:
        self._folder = folder

    def files(self, output: str, image: Path) -> tuple[Path, ...]:
        """Return the files of an image, the text file first."""
        return (self._text_file(output), *self._folder.files(output, []))

    def write(
        self, prediction: WordPrediction, picture: Picture, *, output: str, file_name: str
    ) -> dict[str, Any]:
        """Write the results of one image, and return its words."""
        write_icdar(self._text_file(output), prediction.polygons)
        if self._folder.overlay:
            drawn = word_overlay(display_image(picture.array), prediction.polygons)
            self._folder.write_picture(OVERLAYS, output, drawn)
        if CUTOUTS in self._folder.formats:
            self._cut_out(prediction, picture, output)
        return mmocr_row(prediction, file_name=file_name, shape=picture.size)

    def _cut_out(self, prediction: WordPrediction, picture: Picture, output: str) -> None:
        """Write the words, numbered as in the text file, instead of those of an earlier prediction."""
        for earlier in self._folder.place(CUTOUTS, output).glob("[0-9]*.png"):
            remove_file(earlier)
        image = display_image(picture.array)
        for number, polygon in enumerate(prediction.polygons, start=1):
            self._folder.write_picture(CUTOUTS, f"{output}/{number}", cut_out(image, polygon))

    def finish(self, entries: Iterable[dict[str, Any]]) -> Path:
        """Write the words of all images."""
        path = self._folder.root / f"{WORDS}.json"
        write_mmocr(path, entries)
        return path

    def _text_file(self, output: str) -> Path:
        """Return ``words/res_NAME.txt``, the name that ICDAR's challenges prescribe."""
        name = PurePosixPath(output)
        return self._folder.place(WORDS, str(name.with_name(f"res_{name.name}.txt")))
