"""Chinese hotel reviews to takeaway reviews, and English reviews to Chinese hotel reviews: a multilingual encoder.

``STERNA_E5`` names the folder of a multilingual sentence encoder in the format of Hugging Face.
"""

import os
import sys
from pathlib import Path

import numpy as np

from benchmarks.common import compare, data
from sterna import Domain, load_domain, load_source

RULES = Path(__file__).parent.parent / "rules_zh_reviews.txt"


def main() -> None:
    folder = os.environ.get("STERNA_E5")
    if not folder:
        sys.exit("STERNA_E5 is not set; it names the folder of a multilingual encoder (Hugging Face format).")
    encoder = load_source(f"hf/{folder}")
    hotel = some(load_domain(data("text_zh_hotel_chnsenticorp.csv.gz"), text="review", label="label"), 2000)
    takeaway = some(load_domain(data("text_zh_takeaway_waimai.csv.gz"), text="review", label="label"), 2000)
    english = load_domain(data("text_en_amazon_multidomain.csv.gz"), text="text", label="label")
    runs = []
    for pair, known, target in (
        ("hotel → takeaway (Chinese)", hotel, takeaway),
        ("Amazon (English) → hotel (Chinese)", some(english, 2000), hotel),
    ):
        source = encoder.with_data(known)
        for labels, methods in (
            (0, ("source-only", "label-propagation", "rule-head", "weak-labels")),
            (20, ("pooled", "feature-extraction", "label-propagation")),
            (100, ("pooled", "feature-extraction", "label-propagation")),
        ):
            for method in methods:
                settings = {"rules": str(RULES)} if method in ("rule-head", "weak-labels") else {}
                runs.append({"pair": pair, "source": source, "target": target, "method": method, "labels": labels,
                             "settings": settings, "metric": "balanced_accuracy"})  # fmt: skip
    compare("chinese", "Reviews across domains and languages, a multilingual encoder", runs)


def some(domain: Domain, rows: int) -> Domain:
    """Rows spread over the domain."""
    return domain.take(np.unique(np.linspace(0, len(domain) - 1, rows).astype(int)))
