"""example-weighting: what weights must do, and the head that is fitted with them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, RequestError, Source, load_domain, transfer
from sterna.bench.density_ratio import both_domains, likeness
from sterna.methods.examples.example_weighting import ExampleWeighting, effective_rows, fitting_power, weights_of
from sterna.networks.saved import load_network, save_network
from sterna.selection.cross_validation import fit_head


def shifted(rows=240, shift=0.0, seed=0, labels=None):
    """Two columns, labels by the first; the shift is along the second."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 2)) + np.array([0, shift])
    y = np.where(x[:, 0] + 0.3 * random.normal(size=rows) > 0, "yes", "no") if labels is None else labels(x)
    return Domain.from_arrays(pd.DataFrame(x, columns=["a", "b"]), y)


def problem_between(problem_of, source, target, **more):
    return problem_of(Source("known", data=source), target, **more)[0]


# -- the weights --------------------------------------------------------------------------------------


def test_weights_have_mean_one_and_a_bound_and_the_power_keeps_half_the_rows_worth():
    random = np.random.default_rng(0)
    raw = np.exp(3 * random.normal(size=400))
    for power in (0.0, 0.3, 1.0):
        weights = weights_of(raw, power)
        assert weights.mean() == pytest.approx(1)
        np.testing.assert_allclose(weights, weights_of(raw * 1e6, power))  # only ratios count
        uncut = raw**power / (raw**power).mean()
        np.testing.assert_allclose(weights, np.minimum(uncut, 20) / np.minimum(uncut, 20).mean())
    assert effective_rows(weights_of(raw, 0.0)) == pytest.approx(400)
    power = fitting_power(raw)
    assert 0 < power < 1 and effective_rows(weights_of(raw, power)) == pytest.approx(200, rel=0.01)
    assert fitting_power(np.exp(0.1 * random.normal(size=400))) == 1.0
    assert effective_rows(np.array([3.0, 1.0])) == pytest.approx(16 / 10)


def test_alike_domains_give_weights_near_one(problem_of, bench_of):
    domain = shifted(200)
    both = both_domains(bench_of(problem_between(problem_of, domain, domain)))
    weights = weights_of(likeness(both, 0))
    assert np.abs(weights - 1).max() < 0.1
    other = both_domains(bench_of(problem_between(problem_of, domain, shifted(200, seed=9))))
    weights = weights_of(likeness(other, 0))
    assert weights.std() < 0.2 and effective_rows(weights) > 190


def test_rows_like_the_targets_count_for_more_and_a_far_one_for_less(problem_of, bench_of):
    known = shifted(200)
    frame = known.inputs.frame.copy()
    frame.iloc[0] = [80.0, 80.0]  # in the direction of the target, but nobody is there
    problem = problem_between(problem_of, Domain.from_arrays(frame, known.labels), shifted(200, shift=1.5))
    both = both_domains(bench_of(problem))
    found = likeness(both, 0)
    place = {row: i for i, row in enumerate(both.order)}
    weights = weights_of(found)[[place[i] for i in range(200)]]
    assert weights[0] < np.median(weights[1:])
    b = known.inputs.frame["b"].to_numpy()[1:]
    assert np.corrcoef(weights[1:], b)[0, 1] > 0.6


# -- the method ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [0, 30])
def test_the_head_is_fitted_on_the_weighted_rows_of_both(problem_of, bench_of, trainer, labels):
    problem = problem_between(problem_of, shifted(150), shifted(150, shift=1.0, seed=1), labels=labels)
    coach = trainer()
    network = ExampleWeighting().fit(problem, coach).network
    both = both_domains(bench_of(problem))
    found = likeness(both, problem.seed)
    weights = weights_of(found, fitting_power(found))
    assert len(both.labelled) == len(problem.train) == (24 if labels else 0)
    head, penalty, _ = fit_head(
        np.concatenate([both.labelled, both.source]),
        np.concatenate([both.targets, both.source_targets]).astype(int),
        problem.task,
        np.concatenate([np.full(len(both.labelled), 150 / effective_rows(weights)), weights]),
    )
    np.testing.assert_array_equal(network.head.weight.detach(), head.weight.detach())
    assert coach.log.chosen == {"penalty": penalty}
    assert coach.log.choices[0].of == ("source and target" if labels else "source")
    assert f"worth {effective_rows(weights):,.0f} rows" in coach.log.messages[0]


def test_power_zero_is_pooling_and_the_order_of_the_source_changes_nothing(problem_of, bench_of, trainer, tmp_path):
    source, target = shifted(120), shifted(120, shift=1.0, seed=1)
    problem = problem_between(problem_of, source, target, labels=20)
    pooled = ExampleWeighting(power=0).fit(problem, trainer()).network
    both = both_domains(bench_of(problem))
    x, y = np.concatenate([both.labelled, both.source]), np.concatenate([both.targets, both.source_targets])
    np.testing.assert_array_equal(pooled.head.weight.detach(), fit_head(x, y, problem.task)[0].weight.detach())

    network = ExampleWeighting().fit(problem, trainer()).network
    mixed = problem_between(problem_of, source.take(np.random.default_rng(4).permutation(120)), target, labels=20)
    again = ExampleWeighting().fit(mixed, trainer()).network
    answers = trainer().outputs(network, problem.inputs)
    np.testing.assert_allclose(trainer().outputs(again, problem.inputs), answers, atol=1e-4)
    save_network(network, tmp_path / "kept")
    np.testing.assert_array_equal(trainer().outputs(load_network(tmp_path / "kept"), problem.inputs), answers)


def test_weighting_helps_where_only_the_inputs_differ(problem_of, trainer):
    """Two groups follow two rules, and a linear head cannot have both: the target is nearly all of the second."""

    def two(rows, share, seed):
        random = np.random.default_rng(seed)
        group = random.random(rows) < share
        x = random.normal(size=(rows, 2))
        y = np.where(group, x[:, 0] > 0, x[:, 1] > 0)
        return Domain.from_arrays(pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "g": group + 0.0}), np.where(y, "u", "v"))

    target = two(300, 0.95, 1)
    problem = problem_between(problem_of, two(400, 0.3, 0), target, labels=0)
    codes = problem.task.encode(target.labels)

    def right(power):
        network = ExampleWeighting(power=power).fit(problem, trainer()).network
        return (trainer().outputs(network, target.inputs).argmax(1) == codes).mean()

    assert right(None) > right(0) + 0.1 and right(None) > 0.85


def test_numbers_are_weighted_as_well(problem_of, trainer):
    rule = lambda x: x[:, 0] * 2 + x[:, 1] + 5
    problem = problem_between(problem_of, shifted(100, labels=rule), shifted(100, 1.0, 1, rule), labels=0)
    network = ExampleWeighting().fit(problem, trainer()).network
    found = trainer().outputs(network, problem.unlabelled.inputs)[:, 0]
    np.testing.assert_allclose(found, rule(problem.unlabelled.inputs.frame.to_numpy()), atol=0.1)


def test_hearts_of_another_hospital_without_labels(shared_data):
    path, options = shared_data / "tab_heart_4hospitals.csv.gz", {"label": "disease", "drop": ["num"]}
    known, target = (
        load_domain(path, domain_column="hospital", domain=name, **options) for name in ("cleveland", "va_long_beach")
    )
    result = transfer(Source("hearts", data=known), target, method="example-weighting", labels=0, seeds=1)
    assert result.scores["log_loss"].value < result.controls["source-only"]["log_loss"].value
    assert result.selected_by.startswith("without target labels")


def test_other_classes_are_refused_in_one_sentence(digits):
    other = replace(digits(60), labels=np.array([f"c{i % 3}" for i in range(60)], dtype=object))
    with pytest.raises(RequestError, match="example-weighting needs source data labelled as the target is"):
        transfer(Source("other", data=other), digits(60), method="example-weighting", control="none", seeds=1)
