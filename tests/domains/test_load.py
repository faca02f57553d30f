from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sterna.domains import ImageFiles, TableInputs, load_domain, make_splits
from sterna.domains.unlabelled import load_inputs
from sterna.errors import RequestError

DATA = Path(os.environ.get("STERNA_DATA", Path(__file__).parents[3] / "shared" / "data"))
real = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data sets are not at {DATA} (set STERNA_DATA)")


def picture(seed: int = 0, size: int = 12) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


def laid_out(root: Path, names: list[str], zipped: bool, bad: tuple[str, ...] = ()) -> Path:
    """The same files as a folder or as a zip; each its own picture, those in `bad` cut short."""
    files = {name: picture(i)[: 150 if name in bad else None] for i, name in enumerate(names)}
    if zipped:
        path = root / "set.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    path = root / "set"
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


either = pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])


@either
@pytest.mark.parametrize("enclosing", ["", "one/", "one/two/"])
def test_class_folders(tmp_path, zipped, enclosing):
    names = [f"{enclosing}{label}/{i}.jpg" for label in ("bees", "ants") for i in range(3)]
    extra = ["__MACOSX/ants/._0.jpg", f"{enclosing}ants/.hidden.jpg", ".git/x.jpg"]
    path = laid_out(tmp_path, names + extra, zipped)
    domain = load_domain(path)
    assert domain.name == "set" and domain.kind == "images" and domain.classes == ("ants", "bees")
    assert domain.inputs.names() == sorted(names) and domain.labels.tolist() == ["ants"] * 3 + ["bees"] * 3
    assert domain.splits == {} and domain.notes == ()
    first = Image.open(io.BytesIO(picture(names.index(sorted(names)[0]))))
    np.testing.assert_array_equal(np.asarray(domain.inputs[0]), np.asarray(first))


@either
@pytest.mark.parametrize("second", ["val", "VALID", "Validation", "test"])
def test_split_folders_in_any_case(tmp_path, zipped, second):
    names = [f"wrap/{split}/{label}/{i}.jpg" for split in ("Train", second) for label in "ab" for i in range(2)]
    domain = load_domain(laid_out(tmp_path, [*names, "wrap/unlabeled/u.jpg"], zipped))
    split = "test" if second == "test" else "validation"
    assert set(domain.splits) == {"train", split}
    for row, name in enumerate(domain.inputs.names()):
        here = next((s for s, rows in domain.splits.items() if row in rows), None)
        assert here == (None if "unlabeled" in name else "train" if "Train" in name else split)
        assert domain.labels[row] == (None if "unlabeled" in name else name.split("/")[2])


@either
def test_a_class_called_train_is_a_class_among_other_vehicles(tmp_path, zipped):
    domain = load_domain(laid_out(tmp_path, ["train/1.jpg", "bus/1.jpg", "car/1.jpg"], zipped))
    assert domain.classes == ("bus", "car", "train") and domain.splits == {}


@either
def test_images_without_a_class_are_unlabelled(tmp_path, zipped):
    names = ["a/1.jpg", "b/2.jpg", "unlabelled/3.jpg", "unlabelled/deep/4.jpg"]
    domain = load_domain(laid_out(tmp_path, names, zipped))
    assert domain.labels.tolist() == ["a", "b", None, None] and domain.classes == ("a", "b")


@either
def test_a_flat_folder_has_no_labels(tmp_path, zipped):
    domain = load_domain(laid_out(tmp_path, ["1.jpg", "2.jpg"], zipped))
    assert len(domain) == 2 and domain.labels is None and domain.classes is None


@either
def test_images_beside_class_folders_are_left_out_and_said(tmp_path, zipped):
    domain = load_domain(laid_out(tmp_path, ["a/1.jpg", "b/2.jpg", "cover.jpg", "notes.txt"], zipped))
    assert domain.inputs.names() == ["a/1.jpg", "b/2.jpg"]
    assert any("cover.jpg" in note for note in domain.notes) and any("1 of the files" in note for note in domain.notes)


@either
def test_one_domain_of_several(tmp_path, zipped):
    names = [f"pacs/{d}/{c}/{i}.jpg" for d in ("photo", "sketch") for c in ("cat", "dog") for i in range(2)]
    path = laid_out(tmp_path, names, zipped)
    domain = load_domain(path, domain="sketch")
    assert (
        domain.classes == ("cat", "dog")
        and all("sketch" in name for name in domain.inputs.names())
        and len(domain) == 4
    )
    with pytest.raises(RequestError, match="deeper than class/file.*domain='photo'"):
        load_domain(path)
    with pytest.raises(RequestError, match="no folder 'sketches'; it has photo, sketch. Did you mean 'sketch'"):
        load_domain(path, domain="sketches")


@either
def test_corrupt_images_are_skipped_with_a_warning_up_to_a_share(tmp_path, zipped):
    names = [f"{label}/{i:02}.jpg" for label in "ab" for i in range(15)]
    path = laid_out(tmp_path, names, zipped, bad=("a/03.jpg",))
    with pytest.warns(UserWarning, match=r"1 of 30 images .*a/03.jpg \(.*\); skipped"):
        domain = load_domain(path)
    assert len(domain) == 29 and "a/03.jpg" not in domain.inputs.names() and "a/03.jpg" in domain.notes[0]
    assert domain.labels.tolist() == ["a"] * 14 + ["b"] * 15
    with pytest.raises(RequestError, match="a/03.jpg in .* cannot be read.*leave strict out"):
        load_domain(path, strict=True)


@either
def test_too_many_corrupt_images_are_an_error(tmp_path, zipped):
    names = [f"{label}/{i:02}.jpg" for label in "ab" for i in range(15)]
    path = laid_out(tmp_path, names, zipped, bad=("a/03.jpg", "b/04.jpg"))
    with pytest.raises(RequestError, match=r"2 of 30 images .*a/03.jpg.*b/04.jpg.*up to 5%"):
        load_domain(path)


def test_of_very_many_files_each_is_decoded_before_a_run_meets_it(tmp_path):
    whole, path = picture(3, size=64), tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(5001):
            archive.writestr(f"{'ab'[i % 2]}/{i:04}.jpg", whole)
        archive.writestr("a/cut.jpg", whole[:700])  # the header is whole, the pixels are not
    with pytest.warns(UserWarning, match=r"1 of 5,002 images .*a/cut.jpg.*skipped"):
        domain = load_domain(path)
    assert len(domain) == 5001 and "a/cut.jpg" not in domain.inputs.names()


# What is not read


def test_a_missing_path_names_what_is_near(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(RequestError, match=r"fotos does not exist. Did you mean 'photos'"):
        load_domain(tmp_path / "fotos")
    with pytest.raises(RequestError, match="Neither does the folder"):
        load_domain(tmp_path / "no" / "where")
    with pytest.raises(RequestError, match=r"'https://example.org/t.csv' is an address, and nothing is downloaded"):
        load_domain("https://example.org/t.csv")


@either
def test_an_empty_folder_says_what_was_expected(tmp_path, zipped):
    path = laid_out(tmp_path, ["a/x.gif", "a/y.GIF", "b/z.m4a"], zipped)
    wanted = r"holds no images .*but files of .gif 2, .m4a 1; .*class/file or split/class/file was expected"
    with pytest.raises(RequestError, match=wanted):
        load_domain(path)


@either
def test_files_of_another_ending_are_named_with_their_count(tmp_path, zipped):
    path = laid_out(tmp_path, ["a/x.png", "b/y.png", "c/z.gif", "c/w.gif", "c/v.svg"], zipped)
    assert load_domain(path).notes == (
        f"Left out, no images by their ending: 3 of the files in {path.name} (.gif 2, .svg 1).",
    )
    assert load_inputs([path], "images", {}).notes[0].endswith("(.gif 2, .svg 1).")
    with pytest.raises(RequestError, match=r"holds no recording \(.wav, .*\), but files of .png 2, .gif 2, .svg 1"):
        load_inputs([path], "audio", {})


@either
def test_splits_have_the_names_that_tables_take_too(tmp_path, zipped):
    names = [f"{split}/{label}/{split}{label}.png" for split in ("Training", "dev", "testing") for label in "ab"]
    domain = load_domain(laid_out(tmp_path, names, zipped))
    assert {name: len(rows) for name, rows in domain.splits.items()} == {"train": 2, "validation": 2, "test": 2}


def test_a_single_class_cannot_be_split(tmp_path):
    domain = load_domain(laid_out(tmp_path, ["ants/1.jpg", "ants/2.jpg"], False))
    with pytest.raises(RequestError, match="rows of one class only \\('ants'\\)"):
        make_splits(domain, np.zeros(2, np.int64), seed=0)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x.csvv").write_text("a")
    with pytest.raises(RequestError, match=r"x.csvv is of no kind that is known.*Did you mean '.csv'"):
        load_domain(tmp_path / "x.csvv")


@pytest.mark.parametrize(
    "option", [{"label": "y"}, {"text": "t"}, {"drop": ["a"]}, {"group": "g"}, {"columns": {"a": "text"}}]
)
def test_options_of_tables_are_refused_for_images(tmp_path, option):
    path = laid_out(tmp_path, ["a/1.jpg", "b/1.jpg"], False)
    with pytest.raises(RequestError, match=f"{next(iter(option))}=.* is for tables"):
        load_domain(path, **option)


@pytest.mark.parametrize("name", ["../evil/1.jpg", "a/../../1.jpg", "/etc/1.jpg", "C:\\x\\1.jpg", "..\\1.jpg"])
def test_a_zip_that_climbs_out_is_not_opened(tmp_path, name):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/1.jpg", picture())
        archive.writestr(name, picture())
    with pytest.raises(RequestError, match=r"set.zip has a member .* climbs out"):
        load_domain(path)


def test_a_zip_over_the_limit_is_not_unpacked(tmp_path):
    path = laid_out(tmp_path, ["a/1.jpg", "b/1.jpg"], True)
    with pytest.raises(RequestError, match=r"unpacks to [\d,]+ bytes, over the limit of 100"):
        load_domain(path, max_unpacked_bytes=100)


def test_a_zip_bomb_is_told_by_its_ratio(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(4):
            archive.writestr(f"a/{i}.bmp", bytes(30_000_000))
    with pytest.raises(RequestError, match="as only a bomb does"):
        load_domain(path)


def test_a_member_that_lies_about_its_size_is_corrupt(tmp_path):
    """A header that declares less than is packed: no more than declared is read, and the checksum fails."""
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(30):
            archive.writestr(f"{'ab'[i % 2]}/{i}.jpg", picture(i))
        info = archive.getinfo("a/0.jpg")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")  # the first entry of the central directory
    assert struct.unpack_from("<L", data, at + 24)[0] == info.file_size
    struct.pack_into("<L", data, at + 24, 50)
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="1 of 30 .*a/0.jpg"):
        assert len(load_domain(path)) == 29


def test_broken_and_encrypted_zips(tmp_path):
    path = laid_out(tmp_path, ["a/1.jpg", "b/1.jpg"], True)
    data = bytearray(path.read_bytes())
    locked = data.copy()
    at = locked.index(b"PK\x01\x02")
    locked[at + 8] |= 1
    for changed, message in ((data[:100], "not a zip that can be read"), (locked, "is encrypted")):
        path.write_bytes(changed)
        with pytest.raises(RequestError, match=message):
            load_domain(path)


def test_links_are_followed_once_and_never_in_a_circle(tmp_path):
    path = laid_out(tmp_path, ["a/1.jpg", "b/2.jpg"], False)
    (path / "a" / "again").symlink_to(path)
    (path / "a" / "itself.jpg").symlink_to("itself.jpg")
    (path / "b" / "gone.jpg").symlink_to("nowhere.jpg")
    getattr(os, "mkfifo", os.mkdir)(path / "b" / "pipe.jpg")
    assert load_domain(path).inputs.names() == ["a/1.jpg", "b/2.jpg"]


# Arrays


def saved(path: Path, **arrays) -> Path:
    np.savez(path, **arrays)
    return path


def test_arrays_of_images_by_split(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (9, 6, 6), dtype=np.uint8)
    path = saved(
        tmp_path / "x.npz",
        test_images=images[6:], test_labels=np.array([[0], [1], [1]]), train_images=images[:4],
        train_labels=np.array([[0], [1], [0], [1]]), val_images=images[4:6], val_labels=np.array([[1], [-1]]),
        class_names=np.array(["well", "ill"]),
    )  # fmt: skip
    domain = load_domain(path)
    assert {k: v.tolist() for k, v in domain.splits.items()} == {
        "train": [0, 1, 2, 3],
        "validation": [4, 5],
        "test": [6, 7, 8],
    }
    assert domain.labels.tolist() == ["well", "ill", "well", "ill", "ill", None, "well", "ill", "ill"]
    np.testing.assert_array_equal(np.asarray(domain.inputs[7]), images[7])


@pytest.mark.parametrize(
    "names", [("x_train", "y_train", "x_test", "y_test"), ("train_X", "train_y", "test_X", "test_y")]
)
def test_number_arrays_are_a_table(tmp_path, names):
    x = np.random.default_rng(0).normal(size=(6, 3))
    domain = load_domain(
        saved(tmp_path / "t.npz", **dict(zip(names, (x[:4], np.arange(4.0) / 3, x[4:], np.arange(2.0)), strict=True)))
    )
    assert isinstance(domain.inputs, TableInputs) and domain.splits["test"].tolist() == [4, 5]
    np.testing.assert_allclose(domain.inputs.frame.to_numpy(), x)
    np.testing.assert_allclose(domain.labels, [0, 1 / 3, 2 / 3, 1, 0, 1])


def test_arrays_by_domain_column_and_prefix(tmp_path):
    x = np.arange(12.0).reshape(6, 2)
    batch = np.array([1, 1, 2, 2, 2, 3])
    path = saved(
        tmp_path / "b.npz",
        X=x,
        y=np.array([0, 1, 0, 1, 0, 1]),
        ppm=x[:, 0],
        batch=batch,
        class_names=np.array(["u", "v"]),
    )
    domain = load_domain(path, domain_column="batch", domain=2, group="batch")
    assert domain.labels.tolist() == ["u", "v", "u"] and domain.groups.tolist() == [2, 2, 2]
    np.testing.assert_allclose(domain.inputs.frame.to_numpy(), x[2:5])
    other = load_domain(path, label="ppm")
    assert other.classes is None and other.labels.tolist() == x[:, 0].tolist()
    with pytest.raises(RequestError, match="no value '9'; it has 1, 2, 3"):
        load_domain(path, domain_column="batch", domain="9")
    with pytest.raises(RequestError, match="label='pmm': .* no such array. Did you mean 'ppm'"):
        load_domain(path, label="pmm")


def test_what_arrays_are_refused(tmp_path):
    images = np.zeros((2, 4, 4), np.uint8)
    cases = {
        "has the arrays a, b; 'images' and 'labels'": {"a": images, "b": images},
        "holds the domains amazon, dslr; choose one": {"amazon_X": np.ones((2, 2)), "dslr_X": np.ones((2, 2))},
        "'labels' of .* has 3 rows for 2 inputs": {"images": images, "labels": np.arange(3)},
        "none for 'test'": {"train_images": images, "train_labels": np.arange(2), "test_images": images},
        "give them one shape": {"train_images": images, "test_images": np.zeros((2, 5, 5), np.uint8)},
        "never unpickled": {"images": np.array([images, None], dtype=object)},
    }
    for message, arrays in cases.items():
        with pytest.raises(RequestError, match=message):
            load_domain(saved(tmp_path / "x.npz", **arrays))
    (tmp_path / "x.npz").write_bytes(b"no")
    with pytest.raises(RequestError, match="not a zip that can be read"):
        load_domain(tmp_path / "x.npz")


# A separate test set


def test_a_separate_folder_is_the_test_split(tmp_path):
    main = laid_out(tmp_path, [f"{c}/{i}.jpg" for c in "ab" for i in range(5)], False)
    (tmp_path / "other").mkdir()
    other = laid_out(tmp_path / "other", [f"{c}/{i}.jpg" for c in "ab" for i in range(2)], True)
    domain = load_domain(main, test=other)
    assert len(domain) == 14 and domain.splits["test"].tolist() == [10, 11, 12, 13]
    assert domain.labels.tolist() == ["a"] * 5 + ["b"] * 5 + ["a", "a", "b", "b"]
    np.testing.assert_array_equal(np.asarray(domain.inputs[11]), np.asarray(ImageFiles(other, ["a/1.jpg"])[0]))


def test_a_separate_test_table_is_read_by_the_schema_of_the_first(tmp_path):
    (tmp_path / "a.csv").write_text(
        "code,age,y\n" + "\n".join(f"{'uv'[i % 2]},{i},{['no', 'yes'][i % 2]}" for i in range(8))
    )
    (tmp_path / "b.csv").write_text("y,age,code,more\nyes,7,1,x\nno,,u,z\n")
    domain = load_domain(tmp_path / "a.csv", label="y", test=tmp_path / "b.csv")
    assert domain.splits["test"].tolist() == [8, 9] and domain.labels[8:].tolist() == ["yes", "no"]
    frame = domain.inputs.frame
    assert list(frame.columns) == ["code", "age"] and frame["code"].tolist()[8:] == ["1", "u"]
    assert frame["age"][8] == 7 and np.isnan(frame["age"][9]) and frame["age"].dtype == np.float64
    (tmp_path / "c.csv").write_text("y,ages,code\nyes,7,u\nno,3,v\n")
    with pytest.raises(RequestError, match="lacks the column 'age' of .*Did you mean 'ages'"):
        load_domain(tmp_path / "a.csv", label="y", test=tmp_path / "c.csv")


def test_a_test_set_that_does_not_fit_is_named(tmp_path):
    images = np.zeros((4, 4, 4), np.uint8)
    names = np.array(["u", "v", "w"])
    main = saved(tmp_path / "main.npz", images=images, labels=np.array([0, 1, 0, 1]), class_names=names)
    cases = {
        "has no labels": {"images": images},
        "holds table, but main holds images": {"X": np.ones((2, 2)), "y": np.array([0, 1])},
        "has the class 'w', which main has not": {
            "images": images,
            "labels": np.array([0, 2, 0, 1]),
            "class_names": names,
        },
        r"\(numbers, .* do not match those of main \(words": {"images": images, "labels": np.array([0, 1, 0, 1])},
    }
    for message, arrays in cases.items():
        with pytest.raises(RequestError, match=message):
            load_domain(main, test=saved(tmp_path / "other.npz", **arrays))
    both = saved(
        tmp_path / "both.npz",
        train_images=images,
        train_labels=[0, 1, 0, 1],
        test_images=images,
        test_labels=[0, 1, 0, 1],
    )
    with pytest.raises(RequestError, match="has a test split of its own"):
        load_domain(both, test=main)


# Real data


@real
def test_hymenoptera_comes_with_its_train_and_val():
    domain = load_domain(DATA / "images_hymenoptera.zip")
    assert len(domain) == 397 and domain.classes == ("ants", "bees")
    counts = {
        s: np.unique(domain.labels[r].astype(str), return_counts=True)[1].tolist() for s, r in domain.splits.items()
    }
    assert counts == {"train": [123, 121], "validation": [70, 83]}
    codes = (domain.labels == "bees").astype(np.int64)
    splits = make_splits(domain, codes, seed=0, labels_per_class=5)
    assert (
        len(splits.test) == 153
        and len(splits.train) == 8
        and len(splits.validation) == 2
        and len(splits.unlabelled) == 234
    )
    assert domain.inputs[0].mode == "RGB" and max(domain.inputs[0].size) <= 160


@real
def test_flowers_split_alike_and_keep_copies_together():
    domain = load_domain(DATA / "images_flowers5.zip")
    assert len(domain) == 1200 and len(domain.classes) == 5
    codes = np.unique(domain.labels.astype(str), return_inverse=True)[1].astype(np.int64)
    splits = make_splits(domain, codes, seed=0)
    assert np.bincount(codes[splits.test]).tolist() == [48] * 5
    keys = np.array(domain.inputs.keys())
    assert not set(keys[splits.train]) & set(keys[splits.test])


@real
@pytest.mark.parametrize(
    ("file", "sizes", "size"),
    [
        ("medical_pneumoniamnist_imbalanced.npz", {"train": 3882, "validation": 524, "test": 624}, (28, 28)),
        ("digits_usps.npz", {"train": 5469, "test": 1504}, (16, 16)),
        ("digits_street_chars74k.npz", {}, (32, 32)),
    ],
)
def test_real_arrays(file, sizes, size):
    domain = load_domain(DATA / file)
    assert {k: len(v) for k, v in domain.splits.items()} == sizes and domain.inputs[0].size == size
    codes = domain.labels.astype(np.int64)
    splits = make_splits(domain, codes, seed=0)
    if "test" in sizes:
        assert np.array_equal(splits.test, domain.splits["test"])
    assert len(splits.train) + len(splits.validation) + len(splits.test) == len(domain)


@real
def test_pacs_needs_its_domain():
    with pytest.raises(RequestError, match="domain='art_painting'"):
        load_domain(DATA / "images_pacs_subset.zip")
    assert load_domain(DATA / "images_pacs_subset.zip", domain="cartoon").classes == (
        "dog", "elephant", "giraffe", "guitar", "horse", "house", "person",
    )  # fmt: skip


def test_words_as_bytes_are_the_words_that_they_spell(tmp_path):
    words = ["ja", "né"] * 3
    spelt = np.array([word.encode() for word in words])
    images = np.zeros((6, 4, 4), dtype=np.uint8)
    found = load_domain(saved(tmp_path / "b.npz", images=images, labels=spelt, who=spelt), group="who")
    assert found.labels.tolist() == words and found.groups.tolist() == words
    assert load_domain(images, label=spelt).labels.tolist() == words
    assert load_domain(images, label=list(spelt)).labels.tolist() == words


def test_each_class_has_a_name_of_its_own(tmp_path):
    arrays = {"images": np.zeros((4, 4, 4), dtype=np.uint8), "labels": np.array([0, 1, 0, 1])}
    found = load_domain(saved(tmp_path / "c.npz", **arrays, class_names=np.array([["well"], ["ill"]])))
    assert found.labels.tolist() == ["well", "ill", "well", "ill"]
    for names in (["ill", "ill"], [["well", "ill"]]):
        with pytest.raises(RequestError, match="different names; one name for each class was expected"):
            load_domain(saved(tmp_path / "d.npz", **arrays, class_names=np.array(names)))
