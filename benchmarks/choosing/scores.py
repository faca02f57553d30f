"""LogME and H-score of 50,000 rows of 2,048 features: seconds and memory, beside the algorithms as they were published.

``python -m benchmarks.choosing.scores`` writes the table; with ``SCORE CODE CLASSES ROWS WIDTH`` it measures one line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import peak_here, peak_of, write

Array = np.ndarray[Any, Any]

ROWS, WIDTH, CLASSES = 50_000, 2_048, (10, 100)
CODES = ("published", "sterna")


def main() -> None:
    """Every line in a process of its own, or the one line that was named."""
    if len(sys.argv) == 6:
        score, code, *sizes = sys.argv[1:]
        print(json.dumps(measured(score, code, *map(int, sizes))))
        return
    rows = []
    for score in ("LogME", "H-score"):
        for classes in CLASSES:
            sizes = (str(classes), str(ROWS), str(WIDTH))
            found = {
                code: json.loads(
                    peak_of(sys.executable, "-m", "benchmarks.choosing.scores", score, code, *sizes)[2].splitlines()[-1]
                )
                for code in CODES
            }
            times, memory = ({code: found[code][what] for code in CODES} for what in ("seconds", "GiB"))
            rows.append({
                "score": score, "classes": classes, **{f"{code} s": times[code] for code in CODES},
                "times faster": times["published"] / times["sterna"],
                **{f"{code} more GiB": memory[code] for code in CODES},
                **{f"{code} value": found[code]["value"] for code in CODES},
            })  # fmt: skip
            print(json.dumps(rows[-1]), flush=True)
    write("scores", f"LogME and H-score of {ROWS:,} × {WIDTH:,} features", rows, quiet=True)


def measured(score: str, code: str, classes: int, rows: int, width: int) -> dict[str, float]:
    """Seconds, memory beyond the features and the value of one score."""
    from sterna.selection.transferability import h_score, logme

    functions: dict[tuple[str, str], Callable[[Array, Array], float]] = {
        ("LogME", "sterna"): logme, ("LogME", "published"): published_logme,
        ("H-score", "sterna"): h_score, ("H-score", "published"): published_h_score,
    }  # fmt: skip
    features, codes = drawn(classes, rows, width)
    small = features[:100, :20].copy()
    functions[score, code](small, codes[:100] % 2)  # what is loaded at the first call
    before, started = peak_here(), time.perf_counter()
    value = functions[score, code](features, codes)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "GiB": peak_here() - before, "value": value}


def drawn(classes: int, rows: int, width: int) -> tuple[Array, Array]:
    """Features as networks give them: none below zero, of uneven spread, and correlated."""
    random = np.random.default_rng(0)
    codes = np.arange(rows) % classes
    found = np.empty((rows, width), dtype=np.float32)
    mixing = random.standard_normal((64, width), dtype=np.float32)
    centres = random.standard_normal((classes, 64), dtype=np.float32)
    for start in range(0, rows, 1000):
        here = slice(start, min(start + 1000, rows))
        hidden = centres[codes[here]] + 2 * random.standard_normal((here.stop - start, 64), dtype=np.float32)
        noise = random.standard_normal((here.stop - start, width), dtype=np.float32)
        found[here] = np.maximum(hidden @ mixing / 8 + noise, 0) * np.geomspace(1, 0.01, width, dtype=np.float32)
    return found, codes


def published_logme(features: Array, codes: Array) -> float:
    """LogME as its authors compute it: the left singular vectors of all rows, then one class after the other."""
    f = features.astype(np.float64)
    n, d = f.shape
    _, squares, vh = np.linalg.svd(f.T @ f)
    s = np.sqrt(squares)
    rank = int((s > 1e-10).sum())
    s, vh = s[:rank, None], vh[:rank]
    u = (f @ vh.T) / s.T
    sigma, evidences = s**2, []
    for code in range(int(codes.max()) + 1):
        y = (codes == code).astype(np.float64)[:, None]
        x = u.T @ y
        x2 = x**2
        rest = (y**2).sum() - x2.sum()
        alpha, beta = 1.0, 1.0
        for _ in range(11):
            t = alpha / beta
            gamma = (sigma / (sigma + t)).sum()
            m2 = (sigma * x2 / (t + sigma) ** 2).sum()
            r2 = (x2 / (1 + sigma / t) ** 2).sum() + rest
            alpha, beta = gamma / (m2 + 1e-5), (n - gamma) / (r2 + 1e-5)
            evidence = (
                d / 2 * np.log(alpha) + n / 2 * np.log(beta) - 0.5 * np.log(alpha + beta * sigma).sum()
                - beta / 2 * r2 - alpha / 2 * m2 - n / 2 * np.log(2 * np.pi)
            )  # fmt: skip
            if abs(alpha / beta - t) / t <= 1e-3:
                break
        evidences.append(evidence / n)
    return float(np.mean(evidences))


def published_h_score(features: Array, codes: Array) -> float:
    """H-score with shrinkage as its authors compute it: both covariances, and a pseudo-inverse."""
    from sklearn.covariance import LedoitWolf

    f = features.astype(np.float64)
    f -= f.mean(0, keepdims=True)
    found = LedoitWolf(assume_centered=False).fit(f)
    means = np.zeros_like(f)
    for code in range(int(codes.max()) + 1):
        means[codes == code] = f[codes == code].mean(0)
    between = np.cov(means, rowvar=False)
    inverse = np.linalg.pinv(found.covariance_, rcond=1e-15)
    return float(np.trace(inverse @ ((1 - found.shrinkage_) * between)))


if __name__ == "__main__":
    main()
