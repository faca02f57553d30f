"""Reviews of books to reviews of kitchen goods, 0 and 50 labels, MiniLM."""

from benchmarks.common import compare, data
from sterna import load_domain, load_source

WITHOUT = ("source-only", "coral", "dann")
WITH = ("feature-extraction", "joint-training", "example-mining")
STEPS, BATCH = 40, 8  # of the two that train MiniLM, which two cores do slowly; by default hundreds of steps of 32


def main() -> None:
    def reviews(name: str):
        return load_domain(
            data("text_en_amazon_multidomain.csv.gz"), text="text", label="label", domain_column="domain", domain=name
        )

    known = load_source("packaged/minilm-l6").with_data(reviews("books"))
    runs = [
        {"pair": "Amazon, books → kitchen", "source": known, "target": reviews("kitchen"), "method": method,
         "labels": labels, "steps": STEPS, "batch_size": BATCH}
        for labels, methods in ((0, WITHOUT), (50, WITH)) for method in methods
    ]  # fmt: skip
    compare("products", "Amazon reviews, books → kitchen, MiniLM", runs)
