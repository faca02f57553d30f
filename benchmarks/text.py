"""English sentence encoder to book reviews (100 labels) and news topics (20 labels a class)."""

from benchmarks.common import SEEDS, data, row, write
from sterna import load_domain, load_source, transfer


def main() -> None:
    """Feature extraction with five seeds, fine-tuning with one."""
    source = load_source("packaged/minilm-l6")
    books = load_domain(
        data("text_en_amazon_multidomain.csv.gz"), text="text", label="label", domain_column="domain", domain="books"
    )
    news = load_domain(data("text_en_agnews_subset.csv.gz"), text="text", label="label")
    rows = []
    for name, target, labels in (("books", books, {"labels": 100}), ("news", news, {"labels_per_class": 20})):
        for method, seeds in (("feature-extraction", SEEDS), ("fine-tuning", 1)):
            result = transfer(source, target, method=method, seeds=seeds, **labels)
            rows.append(row(result.record, "accuracy", "macro_f1", target=name))
    write("text", "MiniLM → Amazon book reviews and AG News", rows)
