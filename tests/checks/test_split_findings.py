import cv2
import numpy as np
import pytest

from limner.checks import split_findings as splits
from limner.checks.scan import scan
from limner.checks.split_findings import split_findings

MASK = np.zeros((96, 96), np.uint8)


@pytest.fixture
def scene(rng):
    """Return a maker of different pictures: smooth noise in three octaves."""

    def make():
        picture = np.zeros((96, 96, 3), np.float32)
        for cells, weight in ((4, 1.0), (9, 0.7), (24, 0.5)):
            noise = rng.random((cells, cells, 3), np.float32)
            picture += weight * cv2.resize(noise, (96, 96), interpolation=cv2.INTER_CUBIC)
        return np.clip(picture / 2.2 * 255, 0, 255).astype(np.uint8)

    return make


@pytest.fixture
def findings_of(make_source):
    def run(pictures):
        pairs = {
            name: (picture, MASK[: picture.shape[0], : picture.shape[1]])
            for name, picture in pictures.items()
        }
        return {f.code: f for f in split_findings(scan(make_source(pairs), cache=False))}

    return run


def recompressed(picture):
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1], cv2.IMREAD_COLOR)


def brightened(picture):
    return np.clip(picture * 1.1 + 8, 0, 255).astype(np.uint8)


def smaller(picture):
    return cv2.resize(picture, (72, 72), interpolation=cv2.INTER_AREA)


def test_different_pictures_give_no_finding(findings_of, scene):
    assert findings_of({f"{'train' if i % 2 else 'val'}/{i}": scene() for i in range(40)}) == {}


def test_the_same_picture_in_two_splits_and_twice_in_one(findings_of, scene):
    leaked, twice = scene(), scene()
    others = {f"train/o{i}": scene() for i in range(5)}
    findings = findings_of({**others, "train/a": leaked, "val/b": leaked, "train/c": twice, "train/d": twice})
    assert set(findings) == {"same-image-in-two-splits", "same-image-twice"}
    assert findings["same-image-in-two-splits"].files == ("train/images/a.png", "val/images/b.png")
    assert findings["same-image-in-two-splits"].severity.value == "warning"
    assert findings["same-image-twice"].files == ("train/images/c.png", "train/images/d.png")


@pytest.mark.parametrize("change", [recompressed, brightened, smaller])
@pytest.mark.parametrize("num_others", [3, 20])
def test_an_altered_copy_in_another_split_is_found(findings_of, scene, change, num_others):
    picture = scene()
    others = {f"train/o{i}": scene() for i in range(num_others)}
    findings = findings_of({**others, "train/a": picture, "val/b": change(picture)})
    assert set(findings) == {"near-duplicate-in-two-splits"}
    assert set(findings["near-duplicate-in-two-splits"].files) == {"train/images/a.png", "val/images/b.png"}


def test_neighbouring_slices_of_one_volume_are_no_copies(findings_of, scene):
    slices = {}
    for case in ("case01", "case02"):
        picture, black = scene(), np.zeros((96, 96, 3), np.uint8)
        slices |= {f"train/{case}_{i:03}": brightened(picture) if i else picture for i in range(2)}
        slices |= {f"train/{case}_{i:03}": black for i in (7, 8)}
    assert findings_of({**slices, "val/other": scene()}) == {}
    across = findings_of({**slices, "val/case03_000": smaller(slices["train/case01_000"])})
    assert set(across) == {"near-duplicate-in-two-splits"}
    twice = findings_of({**slices, "train/copy": slices["train/case01_000"], "val/other": scene()})
    assert "same-image-twice" in twice and "near-duplicate" not in twice


def test_flat_and_dark_pictures_are_not_taken_for_copies(findings_of, rng):
    dark = {
        f"{'train' if i % 2 else 'val'}/{i}": rng.integers(0, 6, (96, 96, 3), dtype=np.uint8)
        for i in range(20)
    }
    assert findings_of(dark) == {}


def test_what_all_pictures_share_does_not_make_them_copies(findings_of, scene):
    rows, columns = np.mgrid[:96, :96]
    disc = ((rows - 48) ** 2 + (columns - 48) ** 2 < 40**2)[..., None]
    retinas = {
        f"{'train' if i % 2 else 'val'}/{i}": np.where(disc, 150 + scene() // 12, 0).astype(np.uint8)
        for i in range(20)
    }
    assert findings_of(retinas) == {}


def test_unlabelled_copies_do_not_matter(make_source, scene):
    picture = scene()
    source = make_source({"train/a": (picture, MASK), "val/b": (picture, None), "val/c": (scene(), MASK)})
    assert split_findings(scan(source, cache=False)) == []


@pytest.mark.parametrize("numpy_1", [False, True])
def test_close_hashes_are_those_that_counting_bits_finds(rng, monkeypatch, numpy_1):
    if numpy_1:
        monkeypatch.delattr(np, "bitwise_count", raising=False)
    hashes = rng.integers(0, 2**63, 700, dtype=np.uint64)  # more than one block
    for n, bits in enumerate((0, 1, 5, 6, 7, 12)):
        hashes[690 + n] = hashes[n] ^ np.uint64(sum(1 << 5 * b for b in range(bits)))
    numbers = [int(h) for h in hashes]
    expected = {
        (a, b)
        for a in range(700)
        for b in range(a + 1, 700)
        if bin(numbers[a] ^ numbers[b]).count("1") <= splits.MAX_HAMMING
    }
    assert set(splits._close(hashes)) == expected
    assert {(0, 690), (3, 693)} <= expected and (4, 694) not in expected
