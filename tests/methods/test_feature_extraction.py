"""feature-extraction: against a fit by hand, its choices, and a body that does not change by one bit."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from sterna import Domain, RequestError, load_source
from sterna.methods.method import make_method
from sterna.methods.parameters.feature_extraction import FeatureExtraction


def test_it_is_a_logistic_regression_on_timms_own_features(digits, problem_of, trainer):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=0).eval()
    source = load_source(model)
    domain = digits(120, splits=(80, 0))
    problem, splits = problem_of(source, domain)
    network = FeatureExtraction(blocks="last", penalty=0.1).fit(problem, trainer()).network
    outputs = trainer().outputs(network, domain.inputs)

    size = network.preparation.size  # small images are prepared at 96 px
    assert size == 96
    config = {**timm.data.resolve_data_config({}, model=model), "input_size": (3, size, size)}
    theirs = timm.data.create_transform(**config)
    x = torch.stack([theirs(domain.inputs[i].convert("RGB")) for i in range(len(domain))])
    with torch.inference_mode():
        features = model(x).double().numpy()
    train = splits.train
    mean, scale = features[train].mean(0), features[train].std(0)
    scale[scale < 1e-7] = 1
    standard = (features - mean) / scale
    by_hand = LogisticRegression(C=1 / (len(train) * 0.1), tol=1e-10, max_iter=10_000)
    by_hand.fit(standard[train], problem.targets[problem.train])
    np.testing.assert_allclose(problem.task.probabilities(outputs), by_hand.predict_proba(standard), atol=2e-3)
    assert (problem.task.answers(outputs) == np.array(problem.task.classes)[by_hand.predict(standard)]).mean() > 0.97


def test_a_regression_is_ridge(source, digits_arrays, problem_of, trainer):
    images, _labels = (part[:150] for part in digits_arrays)
    wanted = images.mean(axis=(1, 2)) + np.random.default_rng(0).normal(size=150)
    problem, splits = problem_of(source, Domain.from_arrays(images, wanted), task="regression")
    network = FeatureExtraction(blocks="last", penalty=0.05).fit(problem, trainer()).network
    outputs = trainer().outputs(network, problem.inputs)[:, 0]
    features = trainer().features(source.body, source.preparation, problem.inputs, ["last"]).array().astype(float)
    rows, y = problem.train, wanted[np.concatenate([splits.train, splits.validation])]
    x = (features - features[rows].mean(0)) / features[rows].std(0)
    by_hand = Ridge(alpha=len(rows) * 0.05 / 2).fit(x[rows], y[rows])
    np.testing.assert_allclose(outputs, by_hand.predict(x), rtol=1e-3)


def test_class_weights_are_those_of_scikit_learn(source, digits_arrays, problem_of, trainer):
    images, labels = digits_arrays
    keep = np.concatenate([np.flatnonzero(labels == 3)[:100], np.flatnonzero(labels == 8)[:25]])
    domain = Domain.from_arrays(images[keep], [str(v) for v in labels[keep]])
    problem, _ = problem_of(source, domain, balance="weights")
    plain, _ = problem_of(source, domain)
    method, coach = FeatureExtraction(blocks="last", penalty=1.0), trainer()
    found = problem.task.probabilities(coach.outputs(method.fit(problem, coach).network, problem.inputs))
    unweighted = problem.task.probabilities(coach.outputs(method.fit(plain, coach).network, problem.inputs))
    x = coach.features(source.body, source.preparation, problem.inputs, ["last"]).array().astype(float)
    rows = problem.train
    x = (x - x[rows].mean(0)) / np.where(x[rows].std(0) > 1e-7, x[rows].std(0), 1)
    # Of two classes scikit-learn keeps one row of weights: the same W has half the squared norm in two rows.
    by_hand = LogisticRegression(C=2 / len(rows), class_weight="balanced", tol=1e-10, max_iter=10_000)
    by_hand.fit(x[rows], problem.targets[rows])
    np.testing.assert_allclose(found, by_hand.predict_proba(x), atol=1e-3)
    assert found[:, 1].mean() > unweighted[:, 1].mean() + 0.05


@pytest.mark.parametrize("blocks", ["auto", "last", ("block1", "block3")])
def test_the_body_does_not_change_by_one_bit(source, digits, problem_of, trainer, weights_of, blocks):
    before = weights_of(source.body.module)
    problem, _ = problem_of(source, digits(120))
    network = FeatureExtraction(blocks=blocks).fit(problem, trainer()).network
    for body in (source.body, network.body):
        after = body.module.state_dict()
        assert after.keys() == before.keys()
        assert all(torch.equal(after[name], value) for name, value in before.items())
    assert network.body_is_frozen()
    network.train()
    assert not any(part.training for part in network.body.modules())


def test_named_blocks_are_what_the_head_sees(source, digits, problem_of, trainer):
    problem, _ = problem_of(source, digits(100))
    network = FeatureExtraction(blocks=("block1", "block3"), penalty=0.1).fit(problem, trainer()).network
    assert network.head.in_features == 12 + 24
    x = network.preparation.collate([network.preparation.items(problem.inputs)[0]])
    hooked = {}
    for name in ("block1", "block3"):
        source.body.module.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: hooked.update({name: output.mean((2, 3))})
        )
    with torch.inference_mode():
        source.body.module.eval()(x)
        expected = torch.cat([hooked["block1"], hooked["block3"]], dim=1)
        torch.testing.assert_close(network.body.eval()(x), expected, atol=1e-5, rtol=1e-4)


def test_an_unknown_block_is_refused_with_close_matches(source, digits, problem_of, trainer):
    problem, _ = problem_of(source, digits(100))
    with pytest.raises(RequestError, match="block9.*Did you mean.*block"):
        FeatureExtraction(blocks=("block9",)).fit(problem, trainer())


def test_validation_rows_and_their_labels_do_not_touch_the_head(source, digits, problem_of, trainer):
    from dataclasses import replace

    problem, _ = problem_of(source, digits(150))
    other = problem.targets.copy()
    other[problem.validation] = (other[problem.validation] + 1) % 10
    heads = [
        FeatureExtraction(blocks="last").fit(p, trainer()).network.head.weight
        for p in (problem, replace(problem, targets=other))
    ]
    assert torch.equal(*heads)


def test_joined_problems_use_every_labelled_row(source, digits, problem_of, trainer):
    problem, _ = problem_of(source, digits(150))
    joined = problem.joined()
    assert sorted(joined.train) == list(range(len(problem.target)))
    assert not len(joined.validation)
    assert make_method("feature-extraction").refits(problem)
