"""ImageNet to ants and bees: its own train and val folders as train and test."""

from benchmarks.common import SEEDS, data, row, write
from sterna import load_domain, load_source, transfer


def main() -> None:
    """Feature extraction and fine-tuning beside scratch, five seeds."""
    target = load_domain(data("images_hymenoptera.zip"))
    source = load_source("packaged/efficientnet-lite0")
    rows = []
    for method, settings, control in (
        ("feature-extraction", {"blocks": "last"}, "target-only"),
        ("feature-extraction", {}, "target-only"),
        ("fine-tuning", {}, "scratch"),
    ):
        result = transfer(source, target, method=method, settings=settings, control=control, seeds=SEEDS)
        rows.append(row(result.record, "accuracy", "auroc", "log_loss", blocks=settings.get("blocks", "auto")))
    write("hymenoptera", "ImageNet → ants and bees (397 images)", rows)
