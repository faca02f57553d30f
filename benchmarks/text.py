"""English sentence encoder to book reviews (100 labels) and news topics (20 labels a class)."""

from benchmarks.common import SEEDS, data, row, write
from sterna import load_domain, load_source, transfer


def main() -> None:
    """Feature extraction beside TF-IDF, five seeds."""
    source = load_source("packaged/minilm-l6")
    books = load_domain(
        data("text_en_amazon_multidomain.csv.gz"), text="text", label="label", domain_column="domain", domain="books"
    )
    news = load_domain(data("text_en_agnews_subset.csv.gz"), text="text", label="label")
    rows = []
    for name, target, labels in (("books", books, {"labels": 100}), ("news", news, {"labels_per_class": 20})):
        result = transfer(source, target, seeds=SEEDS, **labels)
        rows.append(row(result.evidence, "accuracy", "macro_f1", target=name))
    write("text", "MiniLM → Amazon book reviews and AG News", rows)
