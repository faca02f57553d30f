"""ImageNet to ants and bees: its own train and val folders as train and test."""

from benchmarks.common import SEEDS, data, row, write
from sterna import load_domain, load_source, transfer


def main() -> None:
    """Feature extraction and fine-tuning beside pixels, and the same network from a random start; five seeds."""
    target = load_domain(data("images_hymenoptera.zip"))
    source = load_source("packaged/efficientnet-lite0")
    rows = []
    for method, settings in (
        ("feature-extraction", {"blocks": "last"}),
        ("feature-extraction", {}),
        ("fine-tuning", {}),
        ("scratch", {}),
    ):
        result = transfer(source, target, method=method, settings=settings, control="target-only", seeds=SEEDS)
        blocks = settings.get("blocks", "" if method == "scratch" else "auto")
        rows.append(row(result.evidence, "accuracy", "auroc", "log_loss", blocks=blocks))
    write("hymenoptera", "ImageNet → ants and bees (397 images)", rows)
