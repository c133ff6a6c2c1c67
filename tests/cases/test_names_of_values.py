"""Labels that list names of their own values: 3D Slicer's segmentations, labelme's exports of an image."""

import numpy as np
import pytest

from limner.api.check import check
from limner.formats.dataset_yaml import write_dataset_file

VOXELS = np.random.default_rng(0).integers(0, 999, (10, 20, 24), dtype=np.int16)
PICTURE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def nrrd(array: np.ndarray, *names: str) -> bytes:
    kind = {"int16": "short", "uint8": "uchar"}[array.dtype.name]
    sizes = " ".join(map(str, reversed(array.shape)))
    lines = ["NRRD0004", f"type: {kind}", "dimension: 3", "space: left-posterior-superior", f"sizes: {sizes}"]
    lines += ["space directions: (1,0,0) (0,1,0) (0,0,1)", "space origin: (0,0,0)", "endian: little"]
    lines += ["encoding: raw"]
    for number, name in enumerate(names):
        lines += [f"Segment{number}_LabelValue:={number + 1}", f"Segment{number}_Name:={name}"]
    return ("\n".join(lines) + "\n\n").encode() + array.tobytes()


def volumes(tree, *names: tuple[str, ...]):
    labels = np.zeros(VOXELS.shape, np.uint8)
    labels[2:6, 4:9, 4:9], labels[2:6, 12:15, 4:9] = 1, 2
    files = {f"images/{n}.nrrd": nrrd(VOXELS + n) for n in range(len(names))}
    return tree(files | {f"labels/{n}.seg.nrrd": nrrd(labels, *own) for n, own in enumerate(names)})


def codes(root) -> dict[str, str]:
    return {finding.code: finding.found for finding in check(root).findings}


def test_segments_that_are_numbered_differently_are_an_error(tree) -> None:
    root = volumes(tree, ("liver", "tumour"), ("tumour", "liver"), ("liver", "tumour"))
    found = codes(root)["names-of-values-differ"]
    assert found == "1 is 'tumour' here and 'liver' in labels/0.seg.nrrd: names differ in 1 files"
    write_dataset_file(root, {"mask_encoding": "index"})
    assert "names-of-values-differ" not in codes(root)


@pytest.mark.parametrize("names", [("liver", "tumour"), ()])
def test_segments_that_agree_or_have_no_names_are_no_question(tree, names) -> None:
    assert "names-of-values-differ" not in codes(volumes(tree, names, names))


def test_labelme_numbers_the_labels_of_each_image_for_itself(tree) -> None:
    mask = np.zeros((40, 50), np.uint8)
    mask[4:20, 4:20] = 1
    files: dict[str, object] = {}
    for n, name in enumerate(("cat", "dog", "cat")):
        folder = f"{n}_json"
        files |= {f"{folder}/img.png": np.roll(PICTURE, n, 0), f"{folder}/label.png": mask}
        files[f"{folder}/label_names.txt"] = f"_background_\n{name}\n"
    root = tree(files)
    assert "1 is 'dog' here and 'cat' in 0_json/label.png" in codes(root)["names-of-values-differ"]
    (root / "1_json/label_names.txt").write_text("_background_\ncat\n")  # the mask is as it was
    assert "names-of-values-differ" not in codes(root)
