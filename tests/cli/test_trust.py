"""A network that was built by a function of the user's own: named once more, or not loaded."""

import sys

import pytest
from safetensors.torch import save_file

MODELS = """
from torch import nn

def tiny():
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


@pytest.fixture(scope="module")
def run(files, tmp_path_factory):
    """A run whose body a function of the user's own builds, and the folder that its module lies in."""
    import importlib

    from sterna import load_source, transfer
    from sterna.networks import ImagePreparation

    folder = tmp_path_factory.mktemp("own")
    (folder / "own_models.py").write_text(MODELS)
    sys.path.append(str(folder))
    try:
        module = importlib.import_module("own_models").tiny()
        save_file(module.state_dict(), folder / "w.safetensors")
        source = load_source(
            f"file:{folder / 'w.safetensors'}", architecture="own_models:tiny", preparation=ImagePreparation(size=16)
        )
        result = transfer(
            source,
            str(files / "pictures.npz"),
            method="feature-extraction",
            control="none",
            out=folder / "run",
            seeds=1,
        )
        assert len(result.predict(str(files / "照片"))) == 24  # it was named just now
        assert any("trust=['own_models:tiny']" in note for note in result.evidence.target.notes)
        yield folder / "run"
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("own_models", None)


@pytest.mark.parametrize(
    "command",
    [
        ("predict", "RUN", "照片", "--quiet"),
        ("score", "RUN", "照片"),
        ("rules", "extract", "RUN", "照片"),
        ("transfer", "照片", "--source", "run:RUN", "--out", "OUT", "--quiet"),
        ("shift", "照片", "pictures.npz", "--source", "run:RUN", "--quiet"),
    ],
    ids=lambda command: command[0],
)
def test_every_command_that_loads_a_run_asks_for_the_name(sterna, run, tmp_path, command):
    words = [word.replace("RUN", str(run)).replace("OUT", str(tmp_path / "out")) for word in command]
    found = sterna(*words)
    assert found.code == 2 and "--trust own_models:tiny" in found.error and found.error.count("\n") == 1
    if command[0] != "transfer" and command[0] != "rules":  # which would take long, and which images have none of
        assert sterna(*words, "--trust", "own_models:tiny").code == 0


def test_reports_and_fusing_build_no_network(sterna, run, tmp_path):
    assert sterna("report", run, "--out", tmp_path / "page.html").code == 0
    assert sterna("fuse", run, run, "--out", tmp_path / "fused").code == 0


def test_the_name_is_a_function(sterna, run):
    found = sterna("predict", run, "照片", "--trust", "own_models")
    assert found.code == 2 and "trust is 'own_models'; expected module:function" in found.error
