from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sterna.domains import Domain
from sterna.errors import RequestError

torch = pytest.importorskip("torch")
hf = pytest.importorskip("datasets")


class Pairs(torch.utils.data.Dataset):
    def __init__(self, pairs, **attributes):
        self.pairs = pairs
        self.read = []
        self.__dict__.update(attributes)

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, row):
        self.read.append(row)
        return self.pairs[row]


def pixels(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 5, 4, 3), dtype=np.uint8)


def test_torch_images_of_any_form_are_read_lazily():
    array = pixels(6)
    forms = {
        "pil": [Image.fromarray(a) for a in array],
        "float": list(torch.from_numpy(array).permute(0, 3, 1, 2) / 255),
        "uint8": list(torch.from_numpy(array).permute(0, 3, 1, 2)),
    }
    for images in forms.values():
        domain = Domain.from_dataset(Pairs([(image, i % 2) for i, image in enumerate(images)]), name="p")
        assert domain.kind == "images" and domain.labels.tolist() == [0, 1, 0, 1, 0, 1]
        taken = domain.take(np.array([4, 2]))
        np.testing.assert_array_equal(np.asarray(taken.inputs[0]), array[4])


def test_labels_that_torchvision_keeps_spare_a_pass_over_the_images():
    images = [Image.fromarray(a) for a in pixels(50)]
    codes = [i % 2 for i in range(50)]
    dataset = Pairs(list(zip(images, codes, strict=True)), targets=torch.tensor(codes), classes=["ant", "bee"])
    domain = Domain.from_dataset(dataset)
    assert domain.labels.tolist() == ["ant", "bee"] * 25 and domain.classes == ("ant", "bee")
    assert len(set(dataset.read)) < 10
    # Targets that are not what the rows give (a target_transform) are not believed.
    turned = Pairs([(image, 1 - code) for image, code in dataset.pairs], targets=codes, classes=["ant", "bee"])
    assert Domain.from_dataset(turned).labels.tolist() == ["bee", "ant"] * 25


def test_torch_vectors_texts_and_several_labels():
    table = Domain.from_dataset(
        torch.utils.data.TensorDataset(torch.arange(6.0).reshape(3, 2), torch.tensor([0.5, 1.5, 2.5]))
    )
    assert table.kind == "table" and table.labels.tolist() == [0.5, 1.5, 2.5]
    np.testing.assert_allclose(table.inputs.frame.to_numpy(), [[0, 1], [2, 3], [4, 5]])
    words = Domain.from_dataset(Pairs([("a b", "u"), ("c", "v")]))
    assert words.kind == "text" and words.inputs[1] == "c" and words.labels.tolist() == ["u", "v"]
    several = Domain.from_dataset(
        Pairs([(np.zeros(2), torch.tensor([1, 0, 1])), (np.ones(2), torch.tensor([0, 0, 1]))])
    )
    assert several.labels.tolist() == [[1, 0, 1], [0, 0, 1]]


def test_what_is_no_dataset_of_pairs_is_refused():
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter([])

    for dataset, message in [
        (Stream(), "map-style"),
        (Pairs([]), "is empty"),
        (Pairs([{"x": 1}]), "gives dict; a pair"),
    ]:
        with pytest.raises(RequestError, match=message):
            Domain.from_dataset(dataset)
    with pytest.raises(RequestError, match="label='y' is for a Hugging Face Dataset"):
        Domain.from_dataset(Pairs([("a", 1)]), label="y")


def test_hugging_face_text_with_class_names_and_hidden_labels():
    features = hf.Features({"text": hf.Value("string"), "label": hf.ClassLabel(names=["neg", "pos"])})
    dataset = hf.Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, -1]}, features=features)
    domain = Domain.from_dataset(dataset)
    assert domain.kind == "text" and domain.labels.tolist() == ["pos", "neg", None] and domain.classes == ("neg", "pos")
    assert [domain.inputs[i] for i in range(3)] == ["a", "b", "c"]
    assert Domain.from_dataset(dataset.with_format("torch")).labels.tolist() == ["pos", "neg", None]


def test_hugging_face_images_are_decoded_row_by_row():
    array = pixels(4)
    features = hf.Features({"img": hf.Image(), "fine": hf.ClassLabel(names=["u", "v"])})
    dataset = hf.Dataset.from_dict(
        {"img": [Image.fromarray(a) for a in array], "fine": [0, 1, 1, 0]}, features=features
    )
    domain = Domain.from_dataset(dataset)
    assert domain.kind == "images" and domain.labels.tolist() == ["u", "v", "v", "u"]
    taken = domain.take(np.array([3, 1]))
    np.testing.assert_array_equal(np.asarray(taken.inputs[0]), array[3])
    assert taken.inputs.keys()[1] == domain.inputs.keys()[1] != domain.inputs.keys()[0]


def test_hugging_face_tables_and_lists_of_labels():
    table = Domain.from_dataset(
        hf.Dataset.from_dict({"age": [1.0, 2.5], "town": ["x", "y"], "y": [0.1, None]}), label="y"
    )
    assert table.kind == "table" and {c.name for c in table.inputs.schema} == {"age", "town"}
    assert table.labels[0] == 0.1 and np.isnan(table.labels[1])
    features = hf.Features({"text": hf.Value("string"), "labels": hf.List(hf.ClassLabel(names=["p", "q", "r"]))})
    many = Domain.from_dataset(hf.Dataset.from_dict({"text": ["a", "b"], "labels": [[0, 2], []]}, features=features))
    assert many.labels.tolist() == [[1, 0, 1], [0, 0, 0]] and many.classes == ("p", "q", "r")


def test_a_dataset_dict_brings_its_splits():
    def part(n, start):
        return hf.Dataset.from_dict({"text": [f"t{start + i}" for i in range(n)], "label": ["u"] * n})

    whole = hf.DatasetDict(train=part(3, 0), test=part(2, 3), unsupervised=part(1, 5), extra=part(1, 9))
    domain = Domain.from_dataset(whole, name="d")
    assert len(domain) == 6 and {k: v.tolist() for k, v in domain.splits.items()} == {
        "train": [0, 1, 2],
        "test": [3, 4],
    }
    assert domain.inputs[4] == "t4" and "extra" in domain.notes[0]
    with pytest.raises(RequestError, match="has the splits extra"):
        Domain.from_dataset(hf.DatasetDict(extra=part(1, 9)))


def test_columns_that_are_not_there_or_cannot_be_chosen_are_named():
    features = hf.Features({"t": hf.Value("string"), "a": hf.ClassLabel(names=["x"]), "b": hf.ClassLabel(names=["x"])})
    dataset = hf.Dataset.from_dict({"t": ["w"], "a": [0], "b": [0]}, features=features)
    with pytest.raises(RequestError, match="label columns a, b; choose one"):
        Domain.from_dataset(dataset)
    with pytest.raises(RequestError, match="text='tt' is no column"):
        Domain.from_dataset(dataset, text="tt", label="a")
    with pytest.raises(RequestError, match="streaming"):
        Domain.from_dataset(dataset.to_iterable_dataset())
