"""task-nesting: answers beside own features, heads compared on target labels, and never far from the source alone."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from sterna import Domain, RequestError, load_domain, transfer
from sterna.bench import Bench
from sterna.methods.controls.source_only import SourceOnly
from sterna.methods.controls.target_only import TargetOnly
from sterna.methods.method import make_method
from sterna.methods.networks.task_nesting import TaskNesting, as_it_is, factors, source_network
from sterna.networks.estimator import EstimatorHead
from sterna.networks.identity import identity_body
from sterna.networks.network import Network
from sterna.networks.pair import AnswerBody, PairBody
from sterna.networks.saved import load_network, save_network
from sterna.preparations.table import TablePreparation
from sterna.record.choice import Choice
from sterna.selection.cross_validation import fit_head
from sterna.sources.source import Source
from sterna.tasks import Classification, Regression, infer_task
from sterna.training.cache import FeatureCache


def chained(rows=250, labels=60, seed=0):
    """A source's answer (a ring) is half of the target's rule; neither is linear in the columns."""
    random = np.random.default_rng(seed)
    x, z = random.normal(size=(rows, 3)), random.normal(size=(labels + 300, 3))

    def ring(points):
        return (points[:, :2] ** 2).sum(1) > 1.4

    source = Domain.from_arrays(pd.DataFrame(x, columns=list("abc")), np.where(ring(x), "ill", "well"))
    wanted = np.where(ring(z) * 2.0 + z[:, 2] > 1, "risk", "none")
    splits = {"train": list(range(labels)), "test": list(range(labels, len(z)))}
    return Source("ring", data=source), Domain.from_arrays(pd.DataFrame(z, columns=list("abc")), wanted, splits=splits)


_ONCE = {}


@pytest.fixture
def chain(problem_of, trainer):
    """A source, a target, the problem with its splits, the network that nests them and its trainer; made once."""
    if not _ONCE:
        known, domain = chained()
        problem, splits = problem_of(known, domain)
        problem, coach = problem.joined(), trainer()
        _ONCE["made"] = known, domain, problem, splits, TaskNesting().fit(problem, coach).network, coach
    return _ONCE["made"]


def learning(problem, trainer, learnt):
    """A bench on which whatever a method is made of gives this, and the problems that these were asked to learn."""
    asked = []

    class Part:
        def run(self, bench):
            asked.append(bench.problem)
            return learnt

    return Bench(problem, trainer, lambda method, settings: Part()), asked


def scores(network, problem, domain, splits, trainer):
    test = domain.take(splits.test)
    outputs = trainer().outputs(network, test.inputs)
    return (outputs.argmax(1) == problem.task.encode(test.labels)).mean()


def test_the_sources_answer_helps_where_it_is_half_of_the_rule(chain, trainer, tmp_path):
    _, domain, problem, splits, network, coach = chain
    assert isinstance(network.body, PairBody) and isinstance(network.body.halves["second"], AnswerBody)
    assert coach.log.chosen["features"].startswith("predictions and features")
    ours = scores(network, problem, domain, splits, trainer)
    columns = TablePreparation().fit(problem.inputs.take(problem.train))
    head = fit_head(columns.items(problem.inputs)[problem.train], problem.targets[problem.train], problem.task)[0]
    linear = Network(columns, identity_body(3), head, task=problem.task)
    assert ours > 0.85 and ours > scores(linear, problem, domain, splits, trainer) + 0.1
    save_network(network, tmp_path / "n")
    test = domain.take(splits.test).inputs
    found = trainer().outputs(load_network(tmp_path / "n"), test)
    np.testing.assert_allclose(found, trainer().outputs(network, test), atol=1e-6)


def test_its_features_are_the_columns_and_the_sources_log_probabilities(chain, trainer):
    _, _, problem, _, network, _ = chain
    x = trainer().outputs(Network(network.preparation, network.body, nn.Identity()), problem.inputs)
    columns = TablePreparation().fit(problem.inputs.take(problem.train)).items(problem.inputs)
    np.testing.assert_allclose(x[:, :3], columns, atol=1e-6)
    source = TargetOnly().fit(problem.on_source(), trainer()).network
    wanted = problem.known.task.probabilities(trainer().outputs(source, problem.inputs))
    np.testing.assert_allclose(np.exp(x[:, 3:]), np.maximum(wanted, 1e-3), atol=1e-5)


def test_the_head_is_scikit_learns_with_a_stronger_penalty_on_the_own_features(chain, trainer):
    _, _, problem, _, network, coach = chain
    x = trainer().outputs(Network(network.preparation, network.body, nn.Identity()), problem.inputs)
    rows = problem.train
    factor = factors(3, 2)[coach.log.chosen["features"]]
    standard = (x - x[rows].mean(0)) / x[rows].std(0) * factor
    outputs = trainer().outputs(network, problem.inputs)
    # One logit w = w₁ − w₀ with w₁ = −w₀ has half the penalty: λ/2 (‖w₁‖² + ‖w₀‖²) = λ/4 ‖w‖².
    two = LogisticRegression(C=2 / (len(rows) * coach.log.chosen["penalty"]), tol=1e-10, max_iter=5000).fit(
        standard[rows], problem.targets[rows]
    )
    apart = outputs[:, 1] - outputs[:, 0] - two.decision_function(standard)  # what held-out outputs lacked, a number
    np.testing.assert_allclose(apart, apart.mean(), atol=2e-2)


def test_factors_bring_the_blocks_to_one_weight():
    found = factors(8, 2)
    assert list(found) == ["predictions", "predictions and features", "predictions and features, each alike"]
    squares = found["predictions and features"] ** 2
    assert squares[:8].sum() == pytest.approx(squares[8:].sum()) and (found["predictions"][:8] < 1e-9).all()
    assert list(factors(0, 2)) == ["predictions"]


# -- where the source answers the target's own task -------------------------------------------------


def test_as_it_is_repeats_the_source_whatever_the_order_of_classes():
    source = Classification(("c", "a", "b"))
    head = as_it_is(source, Classification(("a", "b")), own=2)
    x = torch.tensor([[9.0, 9.0, -3.0, -1.0, -2.0]])
    torch.testing.assert_close(head(x), torch.tensor([[-1.0, -2.0]]))
    assert as_it_is(Classification(("a", "d")), Classification(("a", "b")), 2) is None
    assert as_it_is(Regression("r2"), Classification(("a", "b")), 2) is None
    number = as_it_is(Regression("r2", mean=10.0, scale=2.0), Regression("r2", mean=4.0, scale=3.0), own=1)
    torch.testing.assert_close(number(torch.tensor([[7.0, 1.5]])), torch.tensor([[13.0]], dtype=torch.float64))


@pytest.fixture(scope="module")
def hearts(shared_data):
    every = load_domain(str(shared_data / "tab_heart_4hospitals.csv.gz"), label="disease", drop=["num"])
    hospital = every.inputs.frame["hospital"].astype(str).to_numpy()
    return [every.take(np.flatnonzero(hospital == name)) for name in ("cleveland", "hungarian")]


def test_with_few_labels_it_is_not_much_worse_than_the_source_alone(hearts, problem_of, trainer, bench_of):
    known, domain = Source("cleveland", data=hearts[0]), hearts[1]
    alone = source_network(bench_of(problem_of(known, domain, labels=20)[0]))
    differences = []
    for seed in (0, 1, 2):
        problem, splits = problem_of(known, domain, labels=20, seed=seed)
        rest = replace(splits, test=np.sort(np.concatenate([splits.unlabelled, splits.test])))
        network = TaskNesting().run(learning(problem.joined(), trainer(seed), alone)[0]).network
        ours, theirs = (scores(each, problem, domain, rest, trainer) for each in (network, alone.network))
        differences.append(ours - theirs)
    assert np.mean(differences) > -0.05


def test_a_source_that_is_wrong_everywhere_is_overruled(hearts, problem_of, trainer):
    codes = infer_task(hearts[0]).encode(hearts[0].labels)
    wrong = replace(hearts[0], labels=hearts[0].labels[[np.flatnonzero(codes == 1 - c)[0] for c in codes]])
    domain = hearts[1]
    problem, splits = problem_of(Source("wrong", data=wrong), domain, labels=60)
    problem = problem.joined()
    coach = trainer()
    network = TaskNesting().fit(problem, coach).network
    assert coach.log.chosen["features"] != "the source alone"
    assert scores(network, problem, domain, splits, trainer) > 0.65
    assert scores(SourceOnly().fit(problem, trainer()).network, problem, domain, splits, trainer) < 0.4


def test_target_labels_choose_and_the_log_says_so(chain):
    coach, problem = chain[-1], chain[2]
    own = [choice for choice in coach.log.choices if choice.of == "target"]
    assert own == [
        Choice(what, coach.log.chosen[what], "cross-validation", len(problem.train)) for what in ("features", "penalty")
    ]
    assert all(choice.of == "source" for choice in coach.log.choices if choice.what == "learner")


def test_validation_labels_are_not_looked_at(problem_of, trainer, bench_of):
    known, domain = chained()
    problem, _ = problem_of(known, domain)
    targets = problem.targets.copy()
    targets[problem.validation] = 1 - targets[problem.validation]
    source = source_network(bench_of(problem))
    found = [
        TaskNesting().run(learning(each, trainer(), source)[0]).network.head.weight
        for each in (problem, replace(problem, targets=targets))
    ]
    assert torch.equal(found[0], found[1])


# -- whose network ----------------------------------------------------------------------------------


def test_a_source_models_own_head_on_its_body_runs_once_a_row(
    source, digits, problem_of, trainer, tmp_path, weights_of
):
    torch.manual_seed(0)
    rows = []
    # Copies of the body take the hook along.
    source.body.module.block0.register_forward_hook(lambda module, inputs, out: rows.append(len(out)))
    head, task = nn.Linear(source.body.width, 3), Classification(("cat", "dog", "tern"))
    known = replace(source, head=head, task=task)
    problem, _ = problem_of(known, digits(120))
    before = weights_of(source.body)
    rows.clear()
    heads = weights_of(head)
    coach = trainer()
    network = TaskNesting().fit(problem, coach).network
    assert sum(rows) == len(problem.inputs)
    assert all(torch.equal(value, before[name]) for name, value in source.body.state_dict().items())
    assert network.head.in_features == source.body.width + 3 and network.body_is_frozen()
    assert all(p.requires_grad for p in head.parameters())  # the user's own
    assert all(torch.equal(value, heads[name]) for name, value in head.state_dict().items())
    bare = Network(network.preparation, network.body, nn.Identity(), map=network.map)
    x = trainer().outputs(bare, problem.inputs)
    with torch.inference_mode():
        wanted = head(torch.from_numpy(x[:, :-3]).float()).log_softmax(1).clamp_min(np.log(1e-3))
    np.testing.assert_allclose(x[:, -3:], wanted, atol=1e-4)
    save_network(network, tmp_path / "n")
    coach.cache = FeatureCache(tmp_path / "other")
    found = coach.outputs(load_network(tmp_path / "n"), problem.inputs)
    np.testing.assert_allclose(found, trainer().outputs(network, problem.inputs), atol=1e-5)


def test_labelled_data_are_preferred_to_a_head_of_other_classes(source, digits, problem_of, trainer, bench_of):
    other = replace(source, head=nn.Linear(24, 2), task=Classification(("cat", "dog")), data=digits(60))
    problem, _ = problem_of(other, digits(60))
    learnt = object()
    bench, asked = learning(problem, trainer(), learnt)
    assert source_network(bench) is learnt and [each.labels_of for each in asked] == ["source"]
    own = replace(other, task=problem.task, head=nn.Linear(24, problem.task.outputs))
    found = source_network(bench_of(problem_of(own, digits(60))[0])).network
    assert torch.equal(found.head.weight, own.head.weight)


def test_images_with_source_data_alone_have_pixels_beside_the_answers(digits_arrays, problem_of, trainer, tmp_path):
    images, labels = digits_arrays
    low, high = np.flatnonzero(labels < 3)[:60], np.flatnonzero(labels >= 7)[:90]
    known = Source("low", data=Domain.from_arrays(images[low], [str(v) for v in labels[low]]))
    problem, _ = problem_of(known, Domain.from_arrays(images[high], [str(v) for v in labels[high]]))
    network = TaskNesting().fit(problem, trainer(epochs=3)).network
    assert network.head.in_features == 3 * 32 * 32 + 3 and network.body.halves["second"].body.width == 128
    save_network(network, tmp_path / "n")
    rows = problem.inputs.take(problem.validation)
    outputs = trainer().outputs(load_network(tmp_path / "n"), rows)
    np.testing.assert_allclose(outputs, trainer().outputs(network, rows), atol=1e-5)
    assert (outputs.argmax(1) == problem.targets[problem.validation]).mean() > 0.7


def test_an_earlier_run_on_raw_texts_answers_alone(problem_of, trainer, tmp_path):
    random = np.random.default_rng(0)
    good, bad = ["fine", "great", "good", "lovely"], ["poor", "awful", "bad", "dull"]
    stars = random.integers(0, 2, 120)
    texts = [" ".join(random.choice(good if star else bad, 3)) + f" {i}" for i, star in enumerate(stars)]
    domain = Domain.from_arrays(texts, np.where(stars, "up", "down"))
    earlier = TargetOnly().fit(problem_of(None, domain)[0], trainer()).network
    assert isinstance(earlier.head, EstimatorHead)
    known = Source("earlier", earlier.body, earlier.preparation, earlier.head, earlier.task)
    other = Domain.from_arrays(texts, np.where(stars, "buy", "leave"))
    problem, _ = problem_of(known, other, labels=20)
    coach = trainer()
    network = TaskNesting().fit(problem, coach).network
    assert isinstance(network.body, AnswerBody) and coach.log.chosen["features"] == "predictions"
    save_network(network, tmp_path / "n")
    outputs = trainer().outputs(load_network(tmp_path / "n"), other.inputs)
    np.testing.assert_allclose(outputs, trainer().outputs(network, other.inputs), atol=1e-6)
    assert (outputs.argmax(1) == problem.task.encode(other.labels)).mean() > 0.95


def test_numbers_pass_from_one_table_to_another(problem_of, trainer):
    random = np.random.default_rng(3)
    x = random.normal(size=(260, 3))
    frame = pd.DataFrame(x, columns=list("abc"))
    wave = np.sin(2 * x[:, 0]) * 20 + 100
    known = Source("wave", data=Domain.from_arrays(frame, wave))
    domain = Domain.from_arrays(frame, wave * 2 + 5 * x[:, 2])
    problem, splits = problem_of(known, domain, labels=60)
    network = TaskNesting().fit(problem.joined(), trainer()).network
    outputs = trainer().outputs(network, domain.take(splits.test).inputs)[:, 0]
    wanted = problem.task.encode(domain.take(splits.test).labels)
    assert 1 - ((outputs - wanted) ** 2).mean() / wanted.var() > 0.9


def test_columns_that_the_target_lacks_are_left_out_of_the_sources_network(problem_of, trainer):
    known, domain = chained()
    wider = known.data.inputs.frame.assign(extra=1.0, d=np.arange(250.0))
    problem, _ = problem_of(Source("wider", data=Domain.from_arrays(wider, known.data.labels)), domain)
    network = TaskNesting().fit(problem, trainer()).network
    assert network.body.halves["second"].body.width == 3


def test_a_table_without_a_column_of_the_target_is_refused(problem_of, trainer):
    known, domain = chained()
    other = Domain.from_arrays(
        known.data.inputs.frame.rename(columns=dict(zip("abc", "uvw", strict=True))), known.data.labels
    )
    problem, _ = problem_of(Source("other", data=other), domain)
    with pytest.raises(RequestError, match=r"\(u, v, w, …\) have no column of the target.*choose parameter-sharing"):
        TaskNesting().fit(problem, trainer())


def test_a_source_that_answers_nothing_is_refused_and_the_advice_leaves_the_method_out(source, digits):
    domain = digits(120)
    for nothing in (None, source):
        with pytest.raises(RequestError, match=r"^task-nesting needs a source model with a head .*these fit: "):
            transfer(nothing, domain, method="task-nesting", seeds=1)
        with pytest.raises(RequestError, match="these fit: ") as error:
            transfer(nothing, domain, method="source-only", seeds=1)
        assert "task-nesting" not in str(error.value)
    assert "with a head (run:FOLDER) or labelled source data" in TaskNesting.about()["needs"][0]
    with pytest.raises(RequestError, match="has no setting 'penalty'. Its settings: none"):
        make_method("task-nesting", {"penalty": 0.1})
