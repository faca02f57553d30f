"""Two networks side by side: the same features as each alone, frozen, cached, saved and nested like any body."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

from sterna import Domain
from sterna.domains.images import ImageArray
from sterna.domains.text import TextInputs
from sterna.errors import RequestError
from sterna.networks.answers import Answers, Beside
from sterna.networks.estimator import EstimatorHead
from sterna.networks.freezing import freeze
from sterna.networks.gate import Gate, GateWeight, Scaled
from sterna.networks.identity import identity_body
from sterna.networks.module_body import ModuleBody
from sterna.networks.network import Network
from sterna.networks.pair import PairBody, answer_body
from sterna.networks.saved import load_network, save_network
from sterna.networks.small import small_body
from sterna.networks.views import Views
from sterna.preparations.image import ImagePreparation
from sterna.preparations.pair import PairInputs, PairPreparation
from sterna.preparations.table import TablePreparation
from sterna.preparations.text import RawText
from sterna.tasks import Classification, MultiLabel, Regression

TASK = Classification(("cat", "dog", "tern"))
SIZES = (24, 96)


@pytest.fixture(scope="module")
def images():
    return ImageArray(np.random.default_rng(0).integers(0, 256, (7, 24, 24, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def timm_body():
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = timm.create_model("resnet10t", num_classes=0)
    recipe = {"loader": "timm", "name": "resnet10t", "input": {"shape": [3, 96, 96], "whole": False}}
    return ModuleBody(module.eval(), recipe)


@pytest.fixture
def pair(images, timm_body):
    """A timm body at 96 px in colour beside a small grey one at 24 px."""
    grey = ImageArray(np.zeros((3, 24, 24), dtype=np.uint8))
    small, own = small_body(grey, seed=1)
    assert own.channels == 1
    preparation = PairPreparation(ImagePreparation(96, crop=1.0), own)
    return Network(preparation, PairBody(timm_body.copied(), small), nn.Linear(512 + 128, 3), task=TASK)


def batch_of(preparation, inputs):
    items = preparation.items(inputs)
    return preparation.collate([items[i] for i in range(len(items))])


def test_its_features_are_those_of_each_half_on_its_own_preparation(pair, images):
    body, preparation = pair.eval().body, pair.preparation
    with torch.inference_mode():
        found = body(batch_of(preparation, images))
        halves = [
            half(batch_of(own, images))
            for half, own in zip(body.halves.values(), (preparation.first, preparation.second), strict=True)
        ]
    assert body.width == 640 and torch.equal(found, torch.cat(halves, 1))
    names = [body.blocks[1].name, body.blocks[-1].name, "last"]
    by_name = body.features(batch_of(preparation, images), names)
    assert {n: v.shape[1] for n, v in by_name.items()} == {n: body.widths[n] for n in names}
    torch.testing.assert_close(by_name["last"], found)
    torch.testing.assert_close(by_name[names[1]], halves[1])
    some = body.selecting(names[:2])
    torch.testing.assert_close(some(batch_of(preparation, images)), torch.cat([by_name[n] for n in names[:2]], 1))


def test_every_parameter_is_in_one_block_and_freezing_the_first_half_leaves_the_second(pair, images, weights_of):
    inside = [id(p) for _, modules in pair.depth_modules() for m in modules for p in m.parameters()]
    assert sorted(inside) == sorted(id(p) for p in pair.parameters())
    names = [name for name, _ in pair.depth_modules()]
    assert names[0].startswith("first.") and names[-2].startswith("second.") and names[-1] == "head"
    for name, modules in pair.depth_modules():
        if name.startswith("first."):
            for module in modules:
                freeze(module)
    before = weights_of(pair)
    pair.train()
    assert not any(part.training for part in pair.body.halves["first"].modules() if part._buffers)
    optimizer = torch.optim.SGD([p for p in pair.parameters() if p.requires_grad], lr=0.1)
    pair(batch_of(pair.preparation, images)).square().sum().backward()
    optimizer.step()
    for name, value in pair.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("body.module.first"), name
    assert not pair.body_is_frozen() and pair.body.cut(pair.body.blocks[0].name) is None


def test_frozen_it_goes_through_the_feature_cache(pair, images, trainer):
    coach = trainer()
    rows = []
    first = next(pair.body.halves["first"].module.children())
    first.register_forward_hook(lambda module, inputs, out: rows.append(len(out)))
    plain = coach.outputs(pair, images)
    freeze(pair.body)
    assert pair.body_is_frozen()
    cached = [coach.outputs(pair, images) for _ in range(3)]
    assert sum(rows) == 2 * len(images)  # the plain answers, and the features once
    for each in cached:
        np.testing.assert_allclose(each, plain, atol=1e-5)
    prints = [pair.body.weights_fingerprint()]
    with torch.no_grad():
        next(pair.body.halves["second"].parameters()).add_(1)
    prints.append(pair.body.weights_fingerprint())
    assert prints[0] != prints[1] and pair.body.copied().weights_fingerprint() == prints[1]


def test_a_copy_and_a_random_start_have_weights_of_their_own(pair):
    body = pair.body
    freeze(body)
    copy = body.copied()
    assert all(p.requires_grad for p in copy.parameters())
    assert not {id(p) for p in copy.parameters()} & {id(p) for p in body.parameters()}
    starts = [body.scratch(seed).state_dict() for seed in (5, 5, 6)]
    for name, value in body.state_dict().items():
        assert torch.equal(starts[0][name], starts[1][name]), name
        if name.endswith("conv1.weight") or name.endswith("stem.0.weight"):
            assert not torch.equal(starts[0][name], value) and not torch.equal(starts[0][name], starts[2][name])


def test_the_mirror_image_is_averaged_over_both_halves(pair, images):
    body = pair.eval().body
    batch = batch_of(pair.preparation, images)
    flipped = {key: value.flip(-1) for key, value in batch.items()}
    with torch.inference_mode():
        wanted = (body(batch) + body(flipped)) / 2
        pair.views = Views.MIRRORED
        torch.testing.assert_close(pair.features(batch), wanted)


def test_both_halves_see_the_same_random_change(images):
    small = ImagePreparation(24, (0.5,), (0.25,), crop=1.0, channels=3)
    pair = PairPreparation(small, small)
    items = pair.items(images)
    for row in range(4):
        ours, theirs = pair.augmented(items, row, np.random.default_rng([1, row]))
        np.testing.assert_array_equal(ours, theirs)
        again = pair.augmented(items, row, np.random.default_rng([1, row]))[0]
        np.testing.assert_array_equal(ours, again)
    changed = [pair.augmented(items, 0, np.random.default_rng([1, k]))[0] for k in range(3)]
    assert not np.array_equal(changed[0], changed[1])


def test_rows_in_two_forms_are_taken_together(images):
    table = Domain.from_arrays(pd.DataFrame({"a": np.arange(7.0), "b": np.arange(7.0) ** 2})).inputs
    both = PairInputs(table, images)
    some = both.take(np.array([5, 2]))
    assert len(some) == 2 and some.kind == "images"
    assert [some.first[i]["a"] for i in range(2)] == [5.0, 2.0] and some.keys() == [both.keys()[5], both.keys()[2]]
    assert some.fingerprint() != both.fingerprint()


def test_preparations_of_two_kinds_are_refused():
    with pytest.raises(RequestError, match="the first takes images and the second text; choose a source"):
        PairPreparation(ImagePreparation(24), RawText())


# -- on disk --------------------------------------------------------------------------------------


def same_after_a_round_trip(network, inputs, tmp_path, trainer):
    network.eval()
    save_network(network, tmp_path / "network")
    for path in (tmp_path / "network").rglob("*"):
        assert path.is_dir() or path.suffix in (".json", ".safetensors", ".skops", ".txt"), path
    loaded = load_network(tmp_path / "network")
    assert loaded.preparation.state() == network.preparation.state()
    assert loaded.body.outputs == network.body.outputs
    if not any(isinstance(part, EstimatorHead) for part in network.body.modules()):
        assert loaded.body.fingerprint() == network.body.fingerprint()
    found = trainer().outputs(loaded, inputs)
    np.testing.assert_array_equal(found, trainer().outputs(network, inputs))
    return loaded


@pytest.mark.parametrize("join", ["concatenate", "gate"])
def test_a_pair_comes_back_with_its_gate(pair, images, tmp_path, trainer, join):
    if join == "gate":
        scaled = Scaled(512)
        scaled.mean.normal_()
        pair.map, pair.head = nn.Sequential(scaled, Gate(512, 128, 16)), nn.Linear(16, 3)
    pair.views = Views.MIRRORED
    loaded = same_after_a_round_trip(pair, images, tmp_path, trainer)
    assert isinstance(loaded.body, PairBody) and loaded.views is Views.MIRRORED
    about = json.loads((tmp_path / "network" / "network.json").read_text())
    assert about["recipe"]["loader"] == "pair" and about["recipe"]["first"]["recipe"]["name"] == "resnet10t"


@pytest.fixture
def table():
    random = np.random.default_rng(2)
    frame = pd.DataFrame({"a": random.normal(size=90), "b": random.normal(size=90), "c": random.choice(list("xy"), 90)})
    return Domain.from_arrays(frame).inputs


def boosted(table):
    """Table columns beside the answers of gradient boosting on columns prepared by other rows."""
    ours, theirs = TablePreparation().fit(table.take(np.arange(30))), TablePreparation().fit(table)
    x = theirs.items(table)
    learner = HistGradientBoostingClassifier(max_iter=5).fit(x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 1))
    answering = answer_body(identity_body(theirs.width), EstimatorHead(learner, TASK), TASK)
    body = PairBody(identity_body(ours.width), answering)
    return Network(
        PairPreparation(ours, theirs), body, nn.Linear(body.width, 2), task=Classification(("u", "v"))
    ), learner


def test_the_answers_of_an_estimator_stand_beside_the_columns(table, tmp_path, trainer):
    network, learner = boosted(table)
    same_after_a_round_trip(network, table, tmp_path, trainer)
    x = trainer().outputs(Network(network.preparation, network.body, nn.Identity()), table)
    np.testing.assert_allclose(x[:, :-3], network.preparation.first.items(table), atol=1e-6)
    wanted = np.log(np.maximum(learner.predict_proba(network.preparation.second.items(table)), 1e-3))
    np.testing.assert_allclose(x[:, -3:], wanted, atol=1e-4)
    assert any(p.name == "estimator.skops" for p in tmp_path.rglob("*"))


def test_a_fingerprint_says_when_the_estimator_is_another(table):
    body = boosted(table)[0].body
    before = body.fingerprint()
    assert body.fingerprint() == before
    body.halves["second"].answers.head.estimator.set_params(max_iter=6).fit(np.random.rand(30, 4), np.arange(30) % 3)
    assert body.fingerprint() != before


def test_the_random_start_of_an_estimator_knows_nothing_of_it(table, trainer):
    network, _ = boosted(table)
    start = network.body.scratch(3)
    assert not any(isinstance(part, EstimatorHead) for part in start.modules())
    assert start.width == network.body.width and all(p.requires_grad for p in start.parameters())


def test_text_numbers_beside_a_pipeline_on_raw_texts(tmp_path, trainer):
    texts = TextInputs([f"the {w} flies {i}" for i, w in enumerate(["tern", "cat", "dog", "gull"] * 8)])
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression())
    pipeline.fit([texts[i] for i in range(32)], np.arange(32) % 3)
    small, numbers = small_body(texts, seed=2)
    answering = answer_body(identity_body(None), EstimatorHead(pipeline, TASK), TASK)
    body = PairBody(small, answering)
    network = Network(
        PairPreparation(numbers, RawText()), body, nn.Linear(body.width, 2), task=Classification(("u", "v"))
    )
    same_after_a_round_trip(network, texts, tmp_path, trainer)
    freeze(network)
    assert trainer().outputs(network, texts).shape == (32, 2)
    with pytest.raises(RequestError, match="leave out the control scratch"):
        body.scratch(0)


def test_a_tokenizer_lies_in_the_folder_of_its_half(tmp_path, trainer):
    from bodies import hf_config
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from sterna.networks import build_body
    from sterna.preparations.text import TextPreparation

    words = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "tern": 2, "cat": 3}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", model_max_length=16)
    texts = TextInputs(["tern cat", "cat", "a tern"])
    small, numbers = small_body(texts, seed=2)
    body = PairBody(small, build_body({"loader": "hf", "config": hf_config("bert")}))
    network = Network(PairPreparation(numbers, TextPreparation(fast)), body, nn.Linear(body.width, 3), task=TASK)
    same_after_a_round_trip(network, texts, tmp_path, trainer)
    assert (tmp_path / "network" / "preparation" / "second" / "tokenizer" / "tokenizer.json").is_file()


def test_pairs_can_be_nested(pair, images, tmp_path, trainer):
    small, own = small_body(images, seed=4)
    answering = answer_body(pair.body, pair.head, TASK)
    body = PairBody(small, answering)
    network = Network(
        PairPreparation(own, pair.preparation), body, nn.Linear(body.width, 2), task=Classification(("u", "v"))
    )
    names = [block.name for block in body.blocks]
    assert "second.answers" in names and any(name.startswith("second.first.") for name in names)
    assert {id(p) for _, modules in network.depth_modules() for m in modules for p in m.parameters()} == {
        id(p) for p in network.parameters()
    }
    same_after_a_round_trip(network, images, tmp_path, trainer)


# -- answers and gate -----------------------------------------------------------------------------


def test_answers_are_log_probabilities_log_odds_or_numbers():
    outputs = torch.tensor([[0.0, 2.0, -30.0]])
    head = nn.Identity()
    found = Answers(head, Classification(("a", "b", "c")))(outputs)
    wanted = torch.tensor([[1 / (1 + np.e**2), np.e**2 / (1 + np.e**2), 1e-3]]).log()
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(
        Answers(head, MultiLabel(("a", "b", "c")))(outputs), torch.tensor([[0.0, 2.0, float(np.log(1e-3))]])
    )
    assert torch.equal(Answers(head, Regression())(outputs), outputs)
    far = Answers(head, Regression(mean=1.7e9, scale=10.0))(1.7e9 + 10 * outputs.double())
    torch.testing.assert_close(far, outputs)  # numbers are standardised before they are rounded to float32
    both = Beside(Answers(head, Regression()))(outputs)
    assert torch.equal(both, torch.cat([outputs, outputs], 1))


def test_the_gate_mixes_by_its_formula_and_starts_at_one_half():
    torch.manual_seed(0)
    gate, x = Gate(3, 4, 5), torch.randn(6, 7)
    torch.testing.assert_close(gate.weight(x), torch.full((6, 5), 0.5))
    nn.init.normal_(gate.gate.weight)
    nn.init.normal_(gate.gate.bias)
    s, t = x[:, :3].numpy(), x[:, 3:].numpy()
    values = {name: p.detach().numpy() for name, p in gate.named_parameters()}
    g = 1 / (1 + np.exp(-(np.concatenate([s, t], 1) @ values["gate.weight"].T + values["gate.bias"])))
    wanted = g * (s @ values["source.weight"].T + values["source.bias"])
    wanted += (1 - g) * (t @ values["target.weight"].T + values["target.bias"])
    np.testing.assert_allclose(gate(x).detach().numpy(), wanted, atol=1e-5)
    np.testing.assert_allclose(GateWeight(gate)(x).detach().numpy()[:, 0], g.mean(1), atol=1e-6)


def test_a_pair_says_what_its_halves_say_and_sorts_by_their_lengths():
    from sterna.preparations.text import HashedTextPreparation

    class Cutting(RawText):
        def note(self, items):
            return "2 texts were cut off."

    texts = TextInputs(["one two three", "a", "one two"])
    pair = PairPreparation(Cutting(), Cutting())
    assert pair.note(pair.items(texts)) == "2 texts were cut off."
    assert pair.order(pair.items(texts)).tolist() == [0, 1, 2]
    pair = PairPreparation(RawText(), HashedTextPreparation())
    assert pair.note(pair.items(texts)) is None
    assert pair.order(pair.items(texts)).tolist() == [1, 2, 0]


def test_rows_of_a_pair_are_the_same_only_where_both_forms_are():
    texts = TextInputs(["a", "b"])
    one, other = PairInputs(texts, texts), PairInputs(TextInputs(["x", "b"]), texts)
    assert one.keys() == texts.keys()
    assert one.keys()[0] != other.keys()[0] and one.keys()[1] == other.keys()[1]


def test_a_pair_takes_no_image_size(pair):
    from sterna.sources.load import _sized
    from sterna.sources.source import Source

    with pytest.raises(RequestError, match="holds two bodies, each with a size of its own; leave image_size out"):
        _sized(Source("run:both", body=pair.body, preparation=pair.preparation), 64)
