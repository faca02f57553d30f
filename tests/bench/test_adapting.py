"""What deep-coral, dan and dann share: streams, batch statistics, the training, what is seen of the target."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from sterna import Domain, RequestError, Source, transfer
from sterna.bench.adapting import Adaptation, DomainTerm, default_epochs, network_for
from sterna.domains.splits import Splits
from sterna.experiment.units import seeded
from sterna.methods.method import make_method
from sterna.networks import load_network, save_network
from sterna.networks.statistics import statistics_held
from sterna.networks.views import Views
from sterna.tasks import Classification
from sterna.training.batches import Batch, Batches

METHODS = ("deep-coral", "dan", "dann")
FAST = {"learning_rate": 3e-3}


def darker(digits_arrays, rows, first=1000):
    """Digits that are darker, on a lighter ground."""
    images, labels = (part[first : first + rows] for part in digits_arrays)
    return Domain.from_arrays((images * 0.35 + 90).astype(np.uint8), [str(v) for v in labels], name="darker")


@pytest.fixture
def pair(source, digits, digits_arrays):
    """A convolutional source with 400 digits, and 300 darker ones."""
    return source.with_data(digits(400)), darker(digits_arrays, 300)


def accuracy(network, problem, domain, trainer):
    return (trainer().outputs(network, domain.inputs).argmax(1) == problem.task.encode(domain.labels)).mean()


class Nothing(DomainTerm):
    def forward(self, source, target, progress):
        self.seen = (source, target, progress)
        return source.mean() * 0 + 2.0


def small_objective(weight=0.5):
    torch.manual_seed(0)
    network = nn.Module()
    network.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    network.head, network.features = nn.Linear(4, 2), network.body.forward
    return Adaptation(network, Classification(("a", "b")), Nothing(4), weight)


def batch(rows, seed, labelled=True):
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 3, generator=random) * seed + seed
    return Batch(x, torch.arange(rows) % 2 if labelled else None, None, torch.arange(rows))


# -- one step ---------------------------------------------------------------------------------------


def test_the_terms_are_the_tasks_loss_on_source_rows_and_the_weighted_distance():
    objective, batches = small_objective(), Batches({"source": batch(6, 1), "target": batch(5, 2, False)})
    objective.progress = 0.25
    objective.train()
    terms = objective(batches)
    assert terms["domains"].item() == pytest.approx(1.0) and objective.term.seen[2] == 0.25
    own = nn.functional.batch_norm(objective.network.body[0](batches["source"].inputs), None, None, training=True)
    torch.testing.assert_close(objective.term.seen[0], own)
    expected = nn.functional.cross_entropy(objective.network.head(own), batches["source"].targets)
    torch.testing.assert_close(terms["task"], expected)


def test_labelled_target_rows_count_as_much_as_the_sources():
    parts = {"source": batch(6, 1), "target": batch(5, 2, False), "labelled": batch(4, 3)}
    objective = small_objective()
    objective.train()
    found = objective(Batches(parts))["task"]
    linear, head = objective.network.body[0], objective.network.head
    normalised = lambda x: nn.functional.batch_norm(linear(x), None, None, training=True)
    ours = normalised(torch.cat([parts["target"].inputs, parts["labelled"].inputs]))[5:]
    losses = [
        nn.functional.cross_entropy(head(normalised(parts["source"].inputs)), parts["source"].targets),
        nn.functional.cross_entropy(head(ours), parts["labelled"].targets),
    ]
    torch.testing.assert_close(found, sum(losses) / 2)


def test_running_statistics_are_the_targets_alone():
    objective = small_objective()
    parts = {"source": batch(6, 1), "target": batch(5, 2, False)}
    objective.train()
    objective(Batches(parts))
    norm, x = objective.network.body[1], objective.network.body[0](parts["target"].inputs)
    torch.testing.assert_close(norm.running_mean, 0.1 * x.mean(0))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * x.var(0))
    assert norm.num_batches_tracked == 1 and norm.track_running_stats


def test_statistics_that_are_held_do_not_move_even_on_an_error():
    norm = nn.BatchNorm1d(3)
    with pytest.raises(ValueError), statistics_held(nn.Sequential(norm)):
        out = norm(torch.randn(8, 3) + 4)
        assert out.mean().abs() < 1e-5  # normalised by the batch all the same
        raise ValueError
    assert (norm.running_mean == 0).all() and norm.track_running_stats


# -- training ---------------------------------------------------------------------------------------


def sure_and_doubtful(rows, seed, moved):
    """Labels that both columns tell; `moved`, only a does, and b lies where it said yes before."""
    random = np.random.default_rng(seed)
    yes = random.integers(0, 2, rows)
    a = 2 * yes - 1 + random.normal(size=rows) * 0.7
    b = random.normal(3, 1.5, rows) if moved else 3 * yes - 1.5 + random.normal(size=rows) * 0.4
    return Domain.from_arrays(pd.DataFrame({"a": a, "b": b}), np.where(yes, "yes", "no"))


@pytest.mark.parametrize(("method", "weight"), [("deep-coral", 100), ("dan", 1), ("dann", 1)])
def test_it_learns_the_target_without_its_labels(method, weight, problem_of, trainer):
    """Without the term the network listens to b, which says yes to almost every row of the target."""
    known, domain = Source("old", data=sure_and_doubtful(300, 2, False)), sure_and_doubtful(300, 12, True)
    problem, _ = problem_of(known, domain, labels=0, seed=2)
    found = []
    for factor in (0, weight):
        network = seeded(make_method(method, {"weight": factor}), problem, trainer(seed=2, epochs=20)).network
        found.append(accuracy(network, problem, domain, trainer))
    assert found[0] < 0.62 and found[1] > 0.7 and found[1] > found[0] + 0.1


@pytest.mark.parametrize("method", METHODS)
def test_a_copy_of_the_sources_body_learns_and_comes_back(method, pair, problem_of, trainer, weights_of, tmp_path):
    known, domain = pair
    before = weights_of(known.body)
    problem, _ = problem_of(known, domain, labels=0)
    coach = trainer(epochs=6)
    network = make_method(method, FAST).fit(problem, coach).network
    assert accuracy(network, problem, domain, trainer) > 0.6
    for name, value in weights_of(known.body).items():
        assert torch.equal(value, before[name])  # the source's own body is not touched
    assert {"task", "domains"} <= set(coach.log.history[-1]) and len(coach.log.history) == 6
    assert coach.log.selected_by(0) == "without target labels" and not coach.log.choices
    save_network(network, tmp_path / "network")
    again, new = load_network(tmp_path / "network"), domain.inputs.take(np.arange(20))
    np.testing.assert_allclose(trainer().outputs(again, new), trainer().outputs(network, new), atol=1e-5)


def test_hidden_labels_change_nothing(pair, problem_of, trainer):
    known, domain = pair
    rows = np.arange(len(domain))
    splits = Splits(rows[:0], rows[:0], rows[:50], rows[50:])
    other = Domain.from_arrays(domain.inputs, np.random.default_rng(0).permutation(domain.labels))
    found = []
    for each in (domain, other):
        problem, _ = problem_of(known, each, splits=splits)
        network = seeded(make_method("dann", FAST), problem, trainer(epochs=1)).network
        found.append(trainer().outputs(network, domain.inputs))
    np.testing.assert_array_equal(*found)


def test_the_target_s_rows_matter(pair, problem_of, trainer):
    """With the same source rows but other target rows, another network."""
    known, domain = pair
    found = []
    for rows in (np.arange(100, 200), np.arange(200, 300)):
        problem, _ = problem_of(known, domain, splits=Splits(rows[:0], rows[:0], rows[:0], rows))
        network = seeded(make_method("deep-coral", FAST), problem, trainer(epochs=1)).network
        found.append(trainer().outputs(network, domain.inputs))
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_labels_of_the_target_are_learnt_from_where_there_are_some(pair, problem_of, trainer):
    """The target calls every digit by the next one's name: only its labels can tell."""
    known, domain = pair
    renamed = Domain.from_arrays(domain.inputs, [str((int(v) + 1) % 10) for v in domain.labels])
    scores = []
    for labels in (0, None):
        problem, splits = problem_of(known, renamed, labels=labels)
        network = make_method("dan", FAST).fit(problem, trainer(epochs=5)).network
        test = renamed.take(splits.test)
        scores.append(accuracy(network, problem, test, trainer))
    assert scores[0] < 0.15 and scores[1] > scores[0] + 0.2


def test_tables_train_a_small_network(problem_of, trainer, tmp_path):
    random = np.random.default_rng(0)

    def table(rows, shift):
        x = random.normal(size=(rows, 3))
        return Domain.from_arrays(
            pd.DataFrame({"a": x[:, 0] + shift, "b": x[:, 1] - shift, "c": random.choice(list("uv"), rows)}),
            np.where(x[:, 0] - x[:, 1] > 0, "yes", "no"),
        )

    problem, _ = problem_of(Source("old", data=table(300, 0.0)), table(200, 0.3), labels=0)
    network = make_method("dan").fit(problem, trainer(epochs=6)).network
    new = table(200, 0.3)
    assert accuracy(network, problem, new, trainer) > 0.7
    save_network(network, tmp_path / "network")
    again = load_network(tmp_path / "network")
    np.testing.assert_allclose(trainer().outputs(again, new.inputs), trainer().outputs(network, new.inputs), atol=1e-5)


def test_a_number_is_learnt_too(source, digits_arrays, trainer):
    images = digits_arrays[0]
    ink = images.mean(axis=(1, 2)).astype(float)
    known = source.with_data(Domain.from_arrays(images[:200], ink[:200]))
    result = transfer(
        known, Domain.from_arrays(images[200:300], ink[200:300]), method="deep-coral", task="regression", labels=0,
        control="none", settings=FAST, epochs=3, seeds=1,
    )  # fmt: skip
    assert result.scores["r2"].value > 0.3 and result.selected_by == "without target labels"


# -- the network ------------------------------------------------------------------------------------


def test_without_a_model_the_network_suits_both_domains(digits, problem_of, bench_of):
    large = Domain.from_arrays(np.zeros((90, 28, 28), np.uint8), [str(i % 10) for i in range(90)])
    problem, _ = problem_of(Source("large", data=large), digits(100), labels=0)
    assert network_for(bench_of(problem)).preparation.size == 18  # between 8 and 28 pixels
    colour = Domain.from_arrays(np.zeros((90, 28, 28, 3), np.uint8), [str(i % 10) for i in range(90)])
    problem, _ = problem_of(Source("colour", data=colour), digits(100), labels=0)
    assert network_for(bench_of(problem)).preparation.channels == 3


def test_a_mirror_image_is_made_in_both_domains_or_in_neither(digits_arrays, problem_of, trainer, monkeypatch):
    grey = digits_arrays[0][:40]
    colour = np.repeat(grey[..., None], 3, axis=3)
    labels, asked = [str(v) for v in digits_arrays[1][:40]], []
    coach = trainer(epochs=1)
    stream = coach.stream

    def noted(preparation, *a, augment, **k):
        asked.append((augment, preparation.recolours))
        return stream(preparation, *a, augment=augment, **k)

    monkeypatch.setattr(coach, "stream", noted)
    plainly, recoloured, not_at_all = (True, False), (True, True), (False, False)
    for theirs, ours, expected in (
        (grey, grey, plainly), (grey, colour, recoloured), (colour, colour, plainly), (colour, grey, not_at_all)
    ):  # fmt: skip
        known = Source("s", data=Domain.from_arrays(theirs, labels))
        problem, _ = problem_of(known, Domain.from_arrays(ours, labels), labels=0)
        network = make_method("deep-coral").fit(problem, coach).network
        assert asked == [expected, expected]
        assert (network.views is Views.MIRRORED) == (theirs is ours is colour)
        assert not network.preparation.recolours  # the answers see images as they are
        asked.clear()


def test_epochs_suit_the_number_of_rows():
    assert default_epochs(1) == 30 and default_epochs(10**6) == 4


# -- bad input --------------------------------------------------------------------------------------


def test_a_batch_of_one_row_is_refused(pair, problem_of, trainer):
    known, domain = pair
    rows = np.arange(len(domain))
    problem, _ = problem_of(known, domain, splits=Splits(rows[:0], rows[:0], rows[1:], rows[:1]))
    with pytest.raises(RequestError, match="a batch of the target would hold one \\(1 rows"):
        make_method("dan").fit(problem, trainer())
    problem, _ = problem_of(known, domain, labels=0)
    with pytest.raises(RequestError, match="a batch of the source would hold one"):
        make_method("deep-coral").fit(problem, trainer(batch_size=1))


def test_other_classes_or_columns_are_refused_at_once(source, digits):
    renamed = Domain.from_arrays(digits(100).inputs, [f"digit {v}" for v in digits(100).labels])
    with pytest.raises(RequestError, match="dann needs source data labelled as the target is"):
        transfer(replace(source, data=renamed), digits(100), method="dann", labels=0, seeds=1)
