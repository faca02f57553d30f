"""``python -m benchmarks [NAME ...]``: run the measurements, all by default."""

import importlib
import sys

NAMES = (
    "startup", "loop", "frozen", "hymenoptera", "flowers", "pneumonia", "text", "heart", "memory", "fuse", "steps",
    "intervals", "imbalance", "contradictions", "test_splits", "first_score", "powered",
)  # fmt: skip
CHOOSING = ("settings", "scores", "without")
PAIRS = ("photos", "digits", "adaptation", "frames", "gas", "hospitals", "credit", "products", "chinese", "speech")


def main() -> None:
    """Run those named on the command line."""
    names = sys.argv[1:] or [*NAMES, *CHOOSING, *PAIRS]
    for name in names:
        if name not in (*NAMES, *CHOOSING, *PAIRS):
            sys.exit(f"There is no benchmark {name!r}; there are {', '.join((*NAMES, *CHOOSING, *PAIRS))}.")
    for name in names:
        folder = "pairs." if name in PAIRS else "choosing." if name in CHOOSING else ""
        importlib.import_module(f"benchmarks.{folder}{name}").main()


if __name__ == "__main__":
    main()
