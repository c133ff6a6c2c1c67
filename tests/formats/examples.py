"""One small folder of each format, for the contracts of `FORMATS`; a new format adds its own."""

import base64
import io
import json
import tarfile
import zlib
from collections.abc import Mapping
from importlib.util import find_spec

import numpy as np
from PIL import Image

from limner.core.picture import Geometry
from limner.images.volumes.nifti import nifti_bytes

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
MASK = np.zeros((6, 9), np.uint8)
MASK[1:3, 2:5] = 1

VOLUME = np.random.default_rng(1).integers(-900, 900, (4, 6, 9), dtype=np.int16)
VOLUME_MASK = np.zeros((4, 6, 9), np.uint8)
VOLUME_MASK[1:3, 2:5, 3:7] = 1


def nifti(voxels: np.ndarray) -> bytes:
    """Return a packed NIfTI file of (D, H, W) voxels, 2 x 1 x 1 mm."""
    affine = np.diag([1.0, 1.0, 2.0, 1.0])[:, [2, 1, 0, 3]]
    return nifti_bytes(voxels[..., None], Geometry((2.0, 1.0, 1.0), affine), like=None, packed=True)


def png_bytes(pixels: np.ndarray) -> bytes:
    """Return an image as PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def archive(members: Mapping[str, bytes]) -> bytes:
    """Return a tar archive."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return file.getvalue()


DECATHLON = json.dumps({"modality": {"0": "MR"}, "labels": {"0": "background", "1": "organ"}})

CONFIG = json.dumps(
    {"labels": [{"name": n, "color": [i, 0, 0], "instances": False} for i, n in enumerate(("a", "b"))]}
)

COCO = {
    "images": [{"id": 1, "file_name": "é 1.png", "height": 6, "width": 9}],
    "categories": [{"id": 1, "name": "object", "isthing": 1}],
}
POLYGON = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[2, 1, 5, 1, 5, 3, 2, 3]]}
REGION = {"image_id": 1, "file_name": "é 1.png", "segments_info": [{"id": 1, "category_id": 1}]}

OBLONG = {"x": 200 / 9, "y": 100 / 6, "width": 300 / 9, "height": 200 / 6, "rectanglelabels": ["a"]}
RESULT = {"type": "rectanglelabels", "value": OBLONG, "original_width": 9, "original_height": 6}
TASK = {"data": {"image": "/data/upload/1/é%201.png"}, "annotations": [{"result": [RESULT]}]}

OUTLINE = [[2, 1], [5, 1], [5, 3], [2, 3]]
CORNERS = {"exterior": [[2, 1], [4, 2]], "interior": []}
SUPERVISELY = {"id": 1, "classTitle": "a"}
RECT = {"name": "rect", "x": 2, "y": 1, "width": 3, "height": 2}
CENTRE = {"x": 3.5, "y": 2, "width": 3, "height": 2}
DATUMARO = {"label": {"labels": [{"name": "a", "parent": ""}]}}


def _region(shape: dict[str, object], **attributes: object) -> dict[str, object]:
    return {"shape_attributes": shape, "region_attributes": attributes or {"type": "a"}}


def _item(*annotations: dict[str, object]) -> dict[str, object]:
    listed = [{"id": n, "label_id": 0, "group": 0} | one for n, one in enumerate(annotations)]
    return {"id": "é 1", "annotations": listed, "image": {"path": "é 1.png", "size": [6, 9]}}


def _feature(kind: str, coordinates: list[object]) -> dict[str, object]:
    properties = {"objectType": "annotation", "classification": {"name": "a", "color": [1, 2, 3]}}
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": properties,
    }


EXAMPLES: dict[str, Mapping[str, object]] = {
    "coco-panoptic": {
        "images/é 1.png": PICTURE,
        "panoptic/é 1.png": MASK[..., None] * np.array([1, 0, 0], np.uint8),
        "panoptic.json": json.dumps(COCO | {"annotations": [REGION]}),
    },
    "coco-instances": {
        "images/é 1.png": PICTURE,
        "annotations.json": json.dumps(COCO | {"annotations": [POLYGON]}),
    },
    "cityscapes": {
        "leftImg8bit/train/é/é_1_leftImg8bit.png": PICTURE,
        "gtFine/train/é/é_1_gtFine_labelIds.png": MASK,
    },
    "mapillary-vistas": {
        "config_v2.0.json": CONFIG,
        "training/images/é 1.jpg": PICTURE,
        "training/v2.0/labels/é 1.png": MASK,
    },
    "mapillary-vistas-1.2": {
        "config.json": CONFIG,
        "training/images/é 1.jpg": PICTURE,
        "training/labels/é 1.png": MASK,
    },
    "ade20k": {"images/ADE_train_00000001.png": PICTURE, "annotations/ADE_train_00000001.png": MASK},
    "coco-stuff": {
        "é 1/train2017/000000000009.jpg": PICTURE,
        "stuffthingmaps/train2017/000000000009.png": MASK,
    },
    "camvid": {"train/0016E5_00390.png": PICTURE, "trainannot/0016E5_00390.png": MASK},
    "retinal-vessels": {"images/01_test.png": PICTURE, "1st_manual/01_manual1.png": MASK},
    "polyps": {"Original/1.png": PICTURE, "Ground Truth/1.png": MASK},
    "listed-pairs": {"é 1/a.png": PICTURE, "é 1/b.png": MASK, "pairs.txt": "é 1/a.png, é 1/b.png"},
    "coloured-masks": {
        "images/é 1.png": PICTURE,
        "masks/é 1.png": MASK,
        "class_dict.csv": "name,r,g,b\nno,0,0,0\nyes,255,0,0\n",
    },
    "voc": {"JPEGImages/é 1.png": PICTURE, "SegmentationClass/é 1.png": MASK},
    "class-masks": {"images/é 1.png": PICTURE, "masks/a/é 1.png": MASK, "masks/b/é 1.png": 0 * MASK},
    "instance-masks": {"é 1/images/a.png": PICTURE, "é 1/masks/a.png": MASK, "é 1/masks/b.png": 0 * MASK},
    # Corners are filled with their border: x from 2 to 4 is three pixels.
    "icdar-text": {"é 1.png": PICTURE, "gt_é 1.txt": "\ufeff2,1,5,1,5,3,2,3,é,1\n"},
    "total-text": {
        "é 1.png": PICTURE,
        "poly_gt_é 1.txt": "x: [[2 5 5 2]], y: [[1 1 3 3]], ornt: [u'h'], transcriptions: [u'é']\n",
    },
    "mmocr-text": {
        "imgs/é 1.png": PICTURE,
        "words.json": json.dumps(
            {
                "metainfo": {"dataset_type": "TextDetDataset"},
                "data_list": [
                    {"img_path": "imgs/é 1.png", "instances": [{"polygon": [2, 1, 5, 1, 5, 3, 2, 3]}]}
                ],
            }
        ),
    },
    "labelme": {
        "é 1.png": PICTURE,
        "é 1.json": json.dumps(
            {
                "shapes": [{"label": "a", "points": [[2, 1], [5, 3]], "shape_type": "rectangle"}],
                **{"imagePath": "é 1.png", "imageHeight": 6, "imageWidth": 9},
            }
        ),
    },
    "voc-boxes": {
        "JPEGImages/é 1.png": PICTURE,
        "Annotations/é 1.xml": "<annotation><size><width>9</width><height>6</height></size>"
        "<object><name>a</name><bndbox><xmin>3</xmin><ymin>2</ymin><xmax>5</xmax><ymax>3</ymax></bndbox></object>"
        "</annotation>",
    },
    "yolo": {
        "images/é 1.png": PICTURE,
        "labels/é 1.txt": f"0 {3.5 / 9} {2 / 6} {3 / 9} {2 / 6}\n",
        "data.yaml": "names: [a]",
    },
    "cvat": {
        "images/é 1.png": PICTURE,
        "annotations.xml": '<annotations><image id="0" name="é 1.png" width="9" height="6">'
        '<polygon label="a" points="2,1;5,1;5,3;2,3"/></image></annotations>',
    },
    "label-studio": {
        "é 1.png": PICTURE,
        "export.json": json.dumps([TASK]),
    },
    "supervisely": {
        "ds/img/é 1.png": PICTURE,
        "ds/ann/é 1.png.json": json.dumps(
            {
                "size": {"height": 6, "width": 9},
                "objects": [SUPERVISELY | {"geometryType": "rectangle", "points": CORNERS}],
            }
        ),
        "meta.json": json.dumps({"classes": [{"title": "a", "shape": "any", "color": "#ff0000"}]}),
    },
    "via": {
        "images/é 1.png": PICTURE,
        "via.json": json.dumps({"é 1.png9": {"filename": "é 1.png", "size": 9, "regions": [_region(RECT)]}}),
    },
    "datumaro": {
        "images/default/é 1.png": PICTURE,
        "annotations/default.json": json.dumps(
            {"categories": DATUMARO, "items": [_item({"type": "bbox", "bbox": [2, 1, 3, 2]})]}
        ),
    },
    "qupath": {
        "é 1.png": PICTURE,
        "é 1.geojson": json.dumps(
            {"type": "FeatureCollection", "features": [_feature("Polygon", [OUTLINE + OUTLINE[:1]])]}
        ),
    },
    # Down the columns of 6 pixels, from 1: column 2 has 13 to 18.
    "run-length-csv": {
        "é 1.png": PICTURE,
        "train.csv": "ImageId,ClassId,EncodedPixels\né 1.png,1,14 2 20 2 26 2\n",
    },
    "dota": {"images/é 1.png": PICTURE, "labelTxt/é 1.txt": "gsd:0.1\n2 1 5 1 5 3 2 3 a 0\n"},
    "create-ml": {
        "é 1.png": PICTURE,
        "all.json": json.dumps(
            [{"image": "é 1.png", "annotations": [{"label": "a", "coordinates": CENTRE}]}]
        ),
    },
    "boxes-csv": {
        "é 1.png": PICTURE,
        "labels.csv": "filename,width,height,class,xmin,ymin,xmax,ymax\né 1.png,9,6,a,2,1,5,3\n",
    },
    "paired-folders": {"images/é 1.png": PICTURE, "masks/é 1.png": MASK},
    "webdataset": {"a-000000.tar": archive({"é 1.png": png_bytes(PICTURE), "é 1.mask.png": png_bytes(MASK)})},
}
VOLUMES: dict[str, Mapping[str, object]] = {
    "medical-decathlon": {
        "imagesTr/é 1.nii.gz": nifti(VOLUME),
        "labelsTr/é 1.nii.gz": nifti(VOLUME_MASK),
        "dataset.json": DECATHLON,
    },
    "nnunet-raw": {
        "imagesTr/é 1_0000.nii.gz": nifti(VOLUME),
        "labelsTr/é 1.nii.gz": nifti(VOLUME_MASK),
        "dataset.json": json.dumps({"channel_names": {"0": "MR"}, "labels": {"background": 0, "organ": 1}}),
    },
    "structure-masks": {
        "é 1/ct.nii.gz": nifti(VOLUME),
        "é 1/segmentations/organ.nii.gz": nifti(VOLUME_MASK),
    },
    "bids": {
        "sub-01/anat/sub-01_T1w.nii.gz": nifti(VOLUME),
        "derivatives/manual/sub-01/anat/sub-01_dseg.nii.gz": nifti(VOLUME_MASK),
    },
    "modality-folders": {
        "case 1/case 1_t1.nii.gz": nifti(VOLUME),
        "case 1/case 1_seg.nii.gz": nifti(VOLUME_MASK),
    },
}


def dicom(
    pixels: np.ndarray, *, place: int, series: str = "1.2.3", step: float = 2.0, **changes: bytes
) -> bytes:
    """Return a DICOM file of one slice, explicit little endian, packed tag by tag as PS3.5 describes.

    Args:
        pixels: (H, W) int16.
        place: Number of the slice; slices are `step` mm apart along z.
        series: Series instance UID.
        step: Distance of slices in mm.
        changes: Names of tags in `tags` -> other values; empty leaves a tag out.
    """
    rows, columns = pixels.shape
    tags: dict[str, tuple[int, int, bytes, bytes]] = {
        "sop": (0x0008, 0x0016, b"UI", b"1.2.840.10008.5.1.4.1.1.2"),
        "instance": (0x0008, 0x0018, b"UI", f"{series}.{place + 1}".encode()),
        "date": (0x0008, 0x0020, b"DA", b"20000101"),
        "time": (0x0008, 0x0030, b"TM", b"120000"),
        "accession": (0x0008, 0x0050, b"SH", b"1"),
        "modality": (0x0008, 0x0060, b"CS", b"CT"),
        "names": (0x0008, 0x0090, b"PN", b"A"),
        "patient": (0x0010, 0x0010, b"PN", b"A"),
        "number": (0x0010, 0x0020, b"LO", b"1"),
        "born": (0x0010, 0x0030, b"DA", b"20000101"),
        "sex": (0x0010, 0x0040, b"CS", b"O"),
        "thickness": (0x0018, 0x0050, b"DS", f"{step:g}".encode()),
        "study": (0x0020, 0x000D, b"UI", b"1.2"),
        "series": (0x0020, 0x000E, b"UI", series.encode()),
        "visit": (0x0020, 0x0010, b"SH", b"1"),
        "position": (0x0020, 0x0032, b"DS", f"5\\6\\{7 + step * place:g}".encode()),
        "axes": (0x0020, 0x0037, b"DS", b"1\\0\\0\\0\\1\\0"),
        "frame": (0x0020, 0x0052, b"UI", b"1.2.9"),
        "samples": (0x0028, 0x0002, b"US", (1).to_bytes(2, "little")),
        "photometric": (0x0028, 0x0004, b"CS", b"MONOCHROME2"),
        "rows": (0x0028, 0x0010, b"US", rows.to_bytes(2, "little")),
        "columns": (0x0028, 0x0011, b"US", columns.to_bytes(2, "little")),
        "spacing": (0x0028, 0x0030, b"DS", b"0.5\\0.25"),
        **{f"bits{n}": (0x0028, 0x0100 + n, b"US", (16 - (n == 2)).to_bytes(2, "little")) for n in range(3)},
        "signed": (0x0028, 0x0103, b"US", (1).to_bytes(2, "little")),
        "intercept": (0x0028, 0x1052, b"DS", b"-1024"),
        "slope": (0x0028, 0x1053, b"DS", b"2"),
        "voxels": (0x7FE0, 0x0010, b"OW", pixels.astype("<i2").tobytes()),
    }
    meta = _element(0x0002, 0x0010, b"UI", changes.pop("syntax", b"1.2.840.10008.1.2.1"))
    body = b"".join(
        _element(group, tag, kind, changes.get(name, value))
        for name, (group, tag, kind, value) in tags.items()
        if changes.get(name, value)
    )
    size = _element(0x0002, 0x0000, b"UL", len(meta).to_bytes(4, "little"))
    return bytes(128) + b"DICM" + size + meta + body


def _element(group: int, tag: int, kind: bytes, value: bytes) -> bytes:
    value += (b" " if kind in (b"CS", b"DS") else b"\0") * (len(value) % 2)
    length = (
        bytes(2) + len(value).to_bytes(4, "little") if kind == b"OW" else len(value).to_bytes(2, "little")
    )
    return group.to_bytes(2, "little") + tag.to_bytes(2, "little") + kind + length + value


if find_spec("pydicom"):
    VOLUMES["dicom-series"] = {
        **{f"images/case 1/{9 - z}.dcm": dicom(VOLUME[z] // 2 + 512, place=z) for z in range(4)},
        "labels/case 1.nii.gz": nifti(VOLUME_MASK),
    }
EXAMPLES |= VOLUMES
CLASSES: dict[str, Mapping[str, object]] = {
    "class-folders": {f"train/{kind}/{n}.png": PICTURE for kind in ("ñ 1", "b") for n in (1, 2)},
    "labelme-flags": {
        "é 1.png": PICTURE,
        "é 1.json": '{"flags": {"ñ": true, "b": false}, "shapes": [], "imagePath": "é 1.png"}',
    },
    "class-list": {"é 1.png": PICTURE, "all.txt": "é 1.png ñ\n"},
    "webdataset-classes": {
        "a-000000.tar": archive({"é 1.png": png_bytes(PICTURE), "é 1.cls": b"1"}),
        "dataset.yaml": "classes: [b, ñ]\n",
    },
    "tag-folders": {
        **{f"{kind}/{n}.png": PICTURE for kind in ("ñ", "b") for n in (1, 2, 3)},
        "ñ/4.png": PICTURE,
    },
    "tag-list": {
        **{f"é {n}.png": PICTURE for n in range(5)},
        "all.csv": "image,ñ,b\né 0.png,1,1\né 1.png,1,1\né 2.png,1,1\né 3.png,0,0\né 4.png,1,0\n",
    },
}
"""Formats that give a class for the whole image, or several."""


def _png(pixels: np.ndarray) -> str:
    return base64.b64encode(png_bytes(pixels)).decode()


def _bitmap() -> str:
    """Supervisely's bitmap of 2 x 3 pixels."""
    packed = zlib.compress(base64.b64decode(_png(np.ones((2, 3), bool))))
    return base64.b64encode(packed).decode()


def _brush() -> list[int]:
    """Label Studio's brush of 6 x 9 pixels in 4 channels, all of them 255: one run."""
    bits = f"{216:032b}{7:05b}{2:04b}{7:04b}{9:04b}{15:04b}1{3:02b}{215:016b}{255:08b}"
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def _result(kind: str, **value: object) -> dict[str, object]:
    return RESULT | {"id": kind, "type": kind, "value": value}


def _shape(kind: str, points: list[list[int]], **more: object) -> dict[str, object]:
    return {"label": "a", "points": points, "shape_type": kind, "group_id": None, "flags": {}} | more


_BOX = {"id": 2, "image_id": 1, "category_id": 1, "bbox": [2, 1, 3, 2], "iscrowd": 0}
_COUNTS = {"id": 3, "image_id": 1, "category_id": 1, "iscrowd": 1}
_CVAT_SHAPES = (
    '<polygon label="a" points="2,1;5,1;5,3" group_id="1"/>'
    '<box label="a" xtl="2" ytl="1" xbr="5" ybr="3" rotation="30"/>'
    '<ellipse label="a" cx="4" cy="2" rx="2" ry="1"/>'
    '<ellipse label="a" cx="4" cy="2" rx="2" ry="1" rotation="30"/>'
    '<polyline label="a" points="2,1;5,1"/><points label="a" points="2,1"/>'
    '<mask label="a" rle="1,4,1" left="2" top="1" width="3" height="2"/>'
)

RICHER: dict[str, list[Mapping[str, object]]] = {
    "coco-instances": [
        {
            "annotations.json": json.dumps(
                COCO
                | {
                    "annotations": [
                        _COUNTS | {"segmentation": {"counts": [6, 2, 46], "size": [6, 9]}},
                        _COUNTS | {"segmentation": {"counts": "62^1", "size": [6, 9]}, "bbox": [1, 0, 1, 2]},
                    ]
                }
            )
        },
        {"annotations.json": json.dumps(COCO | {"annotations": [POLYGON, _BOX]})},
    ],
    "cityscapes": [
        {
            "leftImg8bit/train/é/é_1_leftImg8bit.png": PICTURE,
            "gtFine/train/é/é_1_gtFine_polygons.json": json.dumps(
                {
                    "imgWidth": 9,
                    "imgHeight": 6,
                    "objects": [{"label": "road", "polygon": [[2, 1], [4, 1], [4, 2]], "deleted": 0}],
                }
            ),
        }
    ],
    "mmocr-text": [
        {
            "words.json": json.dumps(
                {
                    "metainfo": {"dataset_type": "TextDetDataset"},
                    "data_list": [
                        {
                            "img_path": "imgs/é 1.png",
                            "instances": [{"bbox": [2, 1, 5, 3], "text": "é", "ignore": False}],
                        }
                    ],
                }
            )
        }
    ],
    "labelme": [
        {
            "é 1.json": json.dumps(
                {
                    "shapes": shapes,
                    "imagePath": "é 1.png",
                    "imageHeight": 6,
                    "imageWidth": 9,
                    "imageData": None,
                }
            )
        }
        for shapes in (
            [
                _shape("polygon", [[1, 1], [7, 1], [7, 5], [1, 5]], group_id=1),
                _shape("polygon", [[2, 2], [4, 2], [4, 4]], group_id=1, flags={"crowd": True}),
            ],
            [_shape("circle", [[4, 3], [4, 4]]), _shape("line", [[2, 1], [5, 3]])],
            [_shape("mask", [[2, 1], [4, 2]], mask=_png(np.ones((2, 3), bool))), _shape("point", [[2, 1]])],
        )
    ],
    "voc-boxes": [
        {
            "Annotations/é 1.xml": "<annotation><filename>é 1.png</filename><size><width>9</width>"
            "<height>6</height></size><object><name>a</name><difficult>1</difficult><bndbox><xmin>3</xmin>"
            "<ymin>2</ymin><xmax>5</xmax><ymax>3</ymax></bndbox></object></annotation>"
        }
    ],
    "yolo": [
        {
            "labels/é 1.txt": "0 0.1 0.1 0.9 0.1 0.9 0.9\n",
            "data.yaml": "names: {0: a}\ntrain: images\nval: [images]\n",
        },
        {"classes.txt": "a\nb\n", "data.yaml": "nc: 2\n"},
    ],
    "cvat": [
        {
            "annotations.xml": '<annotations><image id="0" name="é 1.png" width="9" height="6" '
            f'subset="train">{_CVAT_SHAPES}</image></annotations>'
        },
        {
            "frame_000003.PNG": PICTURE,
            "annotations.xml": "<annotations><meta><task><original_size><width>9</width><height>6</height>"
            '</original_size></task></meta><track label="a">'
            '<polygon frame="3" outside="0" points="2,1;5,1;5,3"/></track></annotations>',
        },
    ],
    "label-studio": [
        {"export.json": json.dumps([TASK | {"annotations": [{"was_cancelled": False, "result": results}]}])}
        for results in (
            [
                _result("polygonlabels", points=[[20, 20], [60, 20], [60, 60]], polygonlabels=["a"]),
                _result("brushlabels", rle=_brush(), format="rle", brushlabels=["a"]),
            ],
            [
                _result("ellipselabels", x=50, y=50, radiusX=20, radiusY=9, rotation=30, ellipselabels=["a"]),
                _result("keypointlabels", x=50, y=50, width=1, keypointlabels=["a"]),
            ],
            [
                {**_result("rectangle", x=20, y=20, width=20, height=20, rotation=10), "id": "1"},
                {**_result("labels", labels=["a"]), "id": "1"},
                _result("choices", choices=["a"]),
            ],
        )
    ],
    "supervisely": [
        {
            "ds/ann/é 1.png.json": json.dumps(
                {"size": {"height": 6, "width": 9}, "objects": [SUPERVISELY | one for one in objects]}
            )
        }
        for objects in (
            [
                {"geometryType": "polygon", "points": {"exterior": OUTLINE, "interior": [OUTLINE]}},
                {"geometryType": "bitmap", "bitmap": {"origin": [2, 1], "data": _bitmap()}},
            ],
            [
                {"geometryType": "line", "points": {"exterior": OUTLINE[:2], "interior": []}},
                {"geometryType": "point", "points": {"exterior": OUTLINE[:1], "interior": []}},
            ],
        )
    ],
    "via": [
        {
            "via.json": json.dumps(
                {
                    "_via_settings": {},
                    "_via_img_metadata": {
                        "é 1.png9": {
                            "filename": "é 1.png",
                            "regions": [_region(one, type={"a": True}, name="b") for one in shapes],
                        }
                    },
                }
            ),
            "dataset.yaml": "class_attribute: type",
        }
        for shapes in (
            [
                {"name": "polygon", "all_points_x": [2, 5, 5], "all_points_y": [1, 1, 3]},
                {"name": "ellipse", "cx": 4, "cy": 2, "rx": 2, "ry": 1, "theta": 0.5},
            ],
            [{"name": "circle", "cx": 4, "cy": 2, "r": 1}, {"name": "point", "cx": 4, "cy": 2}],
        )
    ]
    + [
        {
            "via.json": None,
            "dataset.yaml": None,
            "via.csv": "filename,region_shape_attributes,region_attributes\n"
            'é 1.png,"{""name"":""rect"",""x"":2,""y"":1,""width"":3,""height"":2}","{""type"":""a""}"\n',
        }
    ],
    "datumaro": [
        {
            "annotations/default.json": json.dumps(
                {"categories": DATUMARO, "items": [_item(*({"group": 1} | one for one in annotations))]}
            )
        }
        for annotations in (
            [
                {"type": "polygon", "points": [2, 1, 5, 1, 5, 3]},
                {"type": "mask", "rle": {"counts": [6, 2, 46], "size": [6, 9]}},
            ],
            [
                {"type": "ellipse", "points": [2, 1, 5, 3]},
                {"type": "bbox", "bbox": [2, 1, 3, 2], "attributes": {"rotation": 30}},
            ],
            [{"type": "polyline", "points": [2, 1, 5, 3]}, {"type": "points", "points": [2, 1]}],
        )
    ],
    "qupath": [
        {"é 1.geojson": json.dumps([_feature("MultiPolygon", [[OUTLINE, OUTLINE], [OUTLINE]])])},
        {"é 1.geojson": json.dumps(_feature("LineString", OUTLINE))},
    ],
    "run-length-csv": [
        {"train.csv": "id,annotation\né 1,0 2 9 2\né 1,\n"},
        {"train.csv": "Image_Label,EncodedPixels\né 1.png_a,14 2 20 2\né 1.png_b,\n"},
    ],
    "boxes-csv": [
        {"labels.csv": 'image_id,bbox\né 1,"[2, 1, 8, 2]"\n'},
        {"labels.csv": "é 1.png,2,1,5,3,a\n"},
        {"labels.csv": "ImageID,LabelName,XMin,XMax,YMin,YMax\né 1,a,0.2,0.6,0.2,0.5\n"},
        {"labels.csv": "image,x,y,w,h\né 1,2,1,7,5\n"},
    ],
    "voc": [
        {
            "ImageSets/Segmentation/train.txt": "é 1\n",
            "class_names.txt": "__ignore__\n_background_\na\n",
        }
    ],
    "coloured-masks": [
        {
            "class_dict.csv": None,
            "classes.json": '[{"name": "no", "color": [0, 0, 0], "value": 0},'
            '{"name": "a", "color": "#ff0000"}]',
        },
        {"class_dict.csv": None, "labelmap.txt": "no:0,0,0::\nyes:255,0,0::\n"},
    ],
    "paired-folders": [
        {
            "dataset.yaml": "classes: [{name: a, value: 0, color: [0, 0, 0]}, b]\n"
            "ignored: [9]\nsplits: {val: 0.2, seed: 0}\n"
        },
        {"dataset.yaml": "images: images/*.png\nmasks: 'masks/{stem}.png'\nsplits: {train: images}\n"},
        {"images/2.png": PICTURE, "masks/2.png": MASK, "train.txt": "é 1\n", "val.txt": "2.png\n"},
        {"masks/é 1.png": None, "masks/é 1.npy": MASK},
    ],
    "class-list": [
        {
            "é 1.png": PICTURE,
            "b.png": PICTURE,
            "all.csv": "image,label\né 1.png,3\nb.png,1\n",
            "all.txt": None,
        },
        {
            "é 1.png": PICTURE,
            "b.png": PICTURE,
            "all.csv": "image,x,y\né 1.png,1,0\nb.png,0,1\n",
            "all.txt": None,
        },
    ],
}
"""More annotation files of a format, each laid over its example: what one example has no room for."""
