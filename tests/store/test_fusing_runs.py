"""Runs put together: also one of the first format of saved networks with one of the present."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from sterna.domains.images import ImageArray
from sterna.networks.network import Network
from sterna.networks.pair import PairBody
from sterna.networks.saved import load_network, save_network
from sterna.networks.small import small_body
from sterna.networks.views import Views
from sterna.preparations.pair import PairPreparation
from sterna.store.fusing_runs import fuse_runs


def seen_in_a_mirror(folder, seed):
    """A saved pair whose first half, and which itself, sees images in a mirror too."""
    images = ImageArray(np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8))
    (first, one), (second, two) = (small_body(images, seed=seed + i) for i in range(2))
    pair = PairBody(first, second, (Views.MIRRORED, Views.ONE))
    network = Network(PairPreparation(one, two), pair, nn.Linear(pair.width, 2), views=Views.MIRRORED)
    save_network(network.eval(), folder / "network")
    return folder


def as_format_1(folder):
    path = folder / "network" / "network.json"
    about = json.loads(path.read_text())
    about["format"], about["recipe"]["mirror"] = 1, about.pop("views") == "mirrored"
    about["recipe"]["first"]["recipe"]["mirror"] = about["recipe"]["first"].pop("views") == "mirrored"
    path.write_text(json.dumps(about))
    return folder


@pytest.mark.parametrize("old", [0, 1])
def test_an_old_run_and_a_new_one_can_be_fused(tmp_path, old):
    runs = [seen_in_a_mirror(tmp_path / name, seed) for name, seed in (("a", 0), ("b", 5))]
    as_format_1(runs[old])
    fuse_runs(*runs, 0.25, tmp_path / "fused")
    ours, theirs, fused = (load_network(folder / "network") for folder in (*runs, tmp_path / "fused"))
    assert fused.views is Views.MIRRORED and fused.body.views == (Views.MIRRORED, Views.ONE)
    name = "module.first.module.stem.0.weight"
    wanted = 0.25 * ours.body.get_parameter(name) + 0.75 * theirs.body.get_parameter(name)
    torch.testing.assert_close(fused.body.get_parameter(name), wanted)
