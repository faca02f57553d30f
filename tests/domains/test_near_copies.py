"""Rows that are the same in another form, and rows that only look alike."""

import io

import numpy as np
import pandas as pd
import pytest

from sterna.domains import Domain, load_domain
from sterna.domains.groups import unit_ids
from sterna.domains.near_rows import steps_of
from sterna.domains.splits import make_splits
from sterna.domains.text import TextInputs


def table(frame, **more):
    return Domain.from_arrays(frame, **more).inputs


@pytest.fixture
def people():
    """60 rows: numbers, words, missing cells."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(60, 3)), columns=["a", "b", "c"])
    frame["age"] = random.integers(20, 80, 60).astype(float)
    frame["city"] = random.choice(["Bern", "Ulm", "Graz am See"], 60)
    frame.loc[::7, "b"] = np.nan
    return frame


def changed(frame, how):
    frame = frame.copy()
    if how == "a column more":
        frame["more"] = np.arange(len(frame)) % 7 * 1.5
    elif how == "a column less":
        frame = frame.drop(columns="c")
    elif how == "rounded":
        frame[["a", "b", "c"]] = frame[["a", "b", "c"]].round(2)
    elif how == "cut":
        frame[["a", "b", "c"]] = np.trunc(frame[["a", "b", "c"]] * 1000) / 1000
    elif how == "float32":
        frame[["a", "b", "c"]] = frame[["a", "b", "c"]].astype("float32").astype(float)
    elif how == "case and spaces":
        frame["city"] = [f" {city.upper()} " for city in frame["city"]]
    elif how == "some rounded":
        frame.loc[:29, ["a", "b", "c"]] = frame.loc[:29, ["a", "b", "c"]].round(2)
    return frame[frame.columns[::-1]]


HOW = ["a column more", "a column less", "rounded", "cut", "float32", "case and spaces", "some rounded"]


@pytest.mark.parametrize("how", HOW)
def test_rows_of_a_table_are_known_in_another_form(people, how):
    random = np.random.default_rng(1)
    other = people.copy()
    other[["a", "b", "c"]] = random.normal(size=(60, 3))  # the same cities and ages, other people
    both = table(pd.concat([changed(people, how), changed(other, how)], ignore_index=True))
    found = both.near_copies(table(people))
    assert found[:60].all() and not found[60:].any()
    assert table(people).near_copies(both).all()


@pytest.mark.parametrize("how", ["rounded", "cut", "float32", "case and spaces", "some rounded"])
def test_rows_of_one_table_in_another_form_are_on_one_side(people, how):
    people = pd.concat([people, people.iloc[:9]], ignore_index=True)  # exact copies as well
    other = changed(people, how)[people.columns]
    rows = len(people)
    units = unit_ids(Domain.from_arrays(pd.concat([people, other], ignore_index=True)))
    assert (units[:rows] == units[rows:]).all() and len(set(units)) == 60
    assert (units[:9] == units[60:69]).all()


def test_texts_in_another_form_are_on_one_side_and_a_split_keeps_them_there():
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(["Red", "green", "Blue", "lead"], 9)) for _ in range(50)]
    domain = Domain.from_arrays([*texts, *(f" {t.upper()}  " for t in texts)], list("ab") * 50)
    found = make_splits(domain, np.array([0, 1] * 50), seed=0)
    for side in (found.train, found.validation, found.test):
        assert {*side.tolist()} == {*(side % 50).tolist(), *(side % 50 + 50).tolist()}


def test_units_of_rows_without_near_copies_are_those_of_their_keys(people):
    domain = Domain.from_arrays(pd.concat([people, people.iloc[:9]], ignore_index=True))
    _, exact = np.unique(domain.inputs.keys(), return_inverse=True)
    assert (unit_ids(domain) == exact).all()
    one = Domain.from_arrays(np.round(np.random.default_rng(0).normal(size=(200, 1)), 2))  # alike by chance
    assert (unit_ids(one) == np.unique(one.inputs.keys(), return_inverse=True)[1]).all()


def test_the_marks_of_rows_do_not_depend_on_how_words_are_written(people):
    people["seen"] = pd.date_range("2024-01-01", periods=60)
    ours, theirs = table(people), table(changed(people, "case and spaces"))
    assert ours.marks()[0] == theirs.marks()[0] and len(set(ours.marks()[0])) == 60
    assert not set(ours.keys()) & set(theirs.keys())


def test_a_column_without_a_common_word_does_not_hide_copies(people):
    people["sex"] = ["m", "f", None] * 20
    other = people.assign(sex=["male", "female", None] * 20)
    assert table(other).near_copies(table(people)).all()
    assert not table(other[["sex"]]).near_copies(table(people[["sex"]])).any()


def test_rows_that_agree_by_chance_are_no_copies():
    random = np.random.default_rng(0)

    def few(rows):
        cells = {"sex": random.choice(["m", "f"], rows), "smokes": random.choice(["yes", "no"], rows)}
        return table(pd.DataFrame(cells | {"age": random.integers(20, 80, rows).astype(float)}))

    assert not few(200).near_copies(few(300)).any()
    for _ in range(20):  # coarse numbers beside fine ones
        ours = pd.DataFrame(random.normal(size=(100, 4)), columns=list("abcd"))
        theirs = pd.DataFrame(random.normal(size=(100, 4)), columns=list("abcd")).round(1)
        assert table(ours).near_copies(table(theirs)).sum() <= 1
    nothing = pd.DataFrame({"x": random.normal(size=30)})
    assert not table(nothing).near_copies(table(nothing.rename(columns={"x": "y"}))).any()


def test_steps_are_the_last_decimal_place():
    values = [0.01, 2.5, 3.0, -40.0, 12350.0, 100000.0, 0.0, 1 / 3, np.nan]
    assert steps_of(np.array(values)) == pytest.approx([0.01, 0.1, 1, 1, 10, 1000, 1, 0, 0])


def test_texts_are_known_in_other_case_and_spacing():
    ours = TextInputs(["A tern  flies.\n", "ＡＢ½", "gull", "Straße", "It's “late”…", "!!", "??"])
    theirs = TextInputs(["a Tern flies! ", "ab1⁄2", "gulls", "STRASSE", 'Its "late"', "!!"])
    assert ours.near_copies(theirs).tolist() == [True, True, False, True, True, True, False]
    assert not len(TextInputs(["late", "late!"]).near_pairs()), "punctuation keeps rows of one data set apart"


def test_images_are_known_in_another_file_format_and_place(tmp_path, digits_arrays):
    from PIL import Image

    images = digits_arrays[0][:8]
    for i, image in enumerate(images):
        folder = tmp_path / "one" / f"class{i % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i}.png")
        folder = tmp_path / "two" / f"class{i % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        changed = image if i < 4 else np.roll(image, 1)
        Image.fromarray(np.stack([changed] * 3, axis=-1)).save(folder / f"{i}.bmp")
    one, two = (load_domain(tmp_path / name).inputs for name in ("one", "two"))
    same = [int(name.split("/")[-1][0]) < 4 for name in two.names()]
    assert not set(one.keys()) & set(two.keys())
    assert two.near_copies(one).tolist() == same
    held = Domain.from_arrays(images, list("ab" * 4)).inputs
    assert two.near_copies(held).tolist() == same and one.near_copies(held).all()
    assert one.joined(two, "one", "two").near_copies(held).tolist() == [True] * 8 + same
    wide = Domain.from_arrays(np.zeros((3, 8, 9), np.uint8), list("aba")).inputs
    assert not two.near_copies(wide).any()


def photographs(count, seed=0):
    """Coarse colours that differ from one to the next, with fine ones on them."""
    from PIL import Image

    random = np.random.default_rng(seed)
    coarse = np.kron(random.uniform(0, 190, (count, 6, 6, 3)), np.ones((1, 8, 8, 1)))
    return [Image.fromarray((each + random.uniform(0, 60, each.shape)).astype(np.uint8)) for each in coarse]


@pytest.mark.parametrize("how", ["jpg", "webp", "smaller", "grey", "brighter", "turned by EXIF"])
def test_photographs_are_known_compressed_resized_and_grey(tmp_path, how):
    from PIL import Image

    turned = Image.Exif()
    turned[0x0112] = 6
    ways = {
        "jpg": (lambda image: image, ".jpg", {"quality": 60}),
        "webp": (lambda image: image, ".webp", {"quality": 60}),
        "smaller": (lambda image: image.resize((30, 40)), ".png", {}),
        "grey": (lambda image: image.convert("L"), ".png", {}),
        "brighter": (lambda image: image.point(lambda level: min(255, level * 1.1)), ".png", {}),
        "turned by EXIF": (lambda image: image.transpose(Image.Transpose.ROTATE_90), ".jpg", {"exif": turned}),
    }
    change, ending, options = ways[how]
    for i, image in enumerate(photographs(12)):
        (tmp_path / f"{i % 2}").mkdir(exist_ok=True)
        change(image).save(tmp_path / f"{i % 2}" / f"{i:02d}{ending}", **options)
    changed = load_domain(tmp_path).inputs
    ours = Domain.from_arrays([*photographs(12)[:8], *photographs(12, seed=1)], list("ab" * 10)).inputs
    assert ours.near_copies(changed).tolist() == [True] * 8 + [False] * 12
    joined = ours.take(np.arange(8)).joined(ours.take(np.arange(8, 20)), "one", "two")
    assert joined.near_copies(changed).tolist() == [True] * 8 + [False] * 12
    assert changed.near_copies(joined).sum() == 8


def test_images_that_all_look_alike_are_no_copies(digits_arrays):
    """A digit of one person may correlate with another's better than .99; so do others, and none of them is a copy."""
    ones = np.zeros((40, 28, 28), np.uint8)
    random = np.random.default_rng(0)
    ones[:, 4:24, 12:16] = random.integers(190, 255, (40, 20, 4))
    inputs = Domain.from_arrays(ones, list("ab" * 20)).inputs
    assert not inputs.take(np.arange(20)).near_copies(inputs.take(np.arange(20, 40))).any()
    images = digits_arrays[0]
    inputs = Domain.from_arrays(images, np.arange(len(images)) % 2).inputs
    half = len(images) // 2
    same = set(inputs.keys()[:half]) & set(inputs.keys()[half:])
    found = inputs.take(np.arange(half)).near_copies(inputs.take(np.arange(half, len(images))))
    assert found.sum() == sum(key in same for key in inputs.keys()[:half])
    blank = Domain.from_arrays(np.full((4, 8, 9), [[[3]], [[9]], [[3]], [[7]]], np.uint8), list("abab")).inputs
    assert not blank.take(np.array([0])).near_copies(blank.take(np.array([1, 3]))).any(), "nothing is seen on them"


def test_recordings_are_known_in_another_file_format(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    from sterna.domains import Sound

    sounds = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 800)).astype(np.float32)
    held = Domain.from_arrays([Sound(np.round(s * 32767).astype(np.float32) / 32768, 8000) for s in sounds]).inputs
    for i, sound in enumerate(sounds):
        folder = tmp_path / f"class{i % 2}"
        folder.mkdir(exist_ok=True)
        with io.BytesIO() as stream:
            soundfile.write(stream, np.round(sound * 32767).astype(np.int16), 8000, format="FLAC", subtype="PCM_16")
            (folder / f"{i}.flac").write_bytes(stream.getvalue())
    files = load_domain(tmp_path).inputs
    assert files.near_copies(held).all() and not files.near_copies(held.take(np.array([1]))).all()
