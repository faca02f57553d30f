"""How networks are trained, from a source's weights and from random ones."""

from sterna.training.recipe import Recipe


def test_from_a_random_start_all_trains_from_the_first_step_on_at_one_rate():
    given = Recipe(
        1e-4, epochs=7, weight_decay=0.3, label_smoothing=0.1, augment=False, average=False, patience=2,
        layer_decay=0.8, frozen_blocks=2, gradual=True, hold_statistics=True,
    )  # fmt: skip
    assert given.from_random(1e-3) == Recipe(
        1e-3, epochs=7, weight_decay=0.3, label_smoothing=0.1, augment=False, average=False, patience=2
    )
    assert given.layer_decay == 0.8 and given.frozen_blocks == 2  # the recipe itself stays
