"""Spoken digits: one speaker to one with another accent, 0 and 5 labels a digit."""

from benchmarks.common import compare, data, trained
from sterna import load_domain

WITHOUT, WITH = ("source-only", "dann"), ("fine-tuning", "prototypes")


def main() -> None:
    def speaker(name: str):
        return load_domain(data("audio_fsdd.zip"), label="digit", domain_column="speaker", domain=name)

    starts = [trained(speaker("jackson"), start) for start in range(3)]
    source, runs = starts[0], []
    for name in ("lucas", "nicolas"):
        for amount, methods in (({"labels": 0}, WITHOUT), ({"labels_per_class": 5}, WITH)):
            runs += [
                {"pair": f"spoken digits, jackson → {name}", "source": source, "target": speaker(name),
                 "method": method, **amount}
                for method in methods
            ]  # fmt: skip
        runs += [  # how much hangs on the source network's random start
            {"pair": f"spoken digits, jackson → {name}, start {start}", "source": other, "target": speaker(name),
             "method": "source-only", "labels": 0, "control": "source-only"}
            for start, other in enumerate(starts) if start
        ]  # fmt: skip
    compare("speech", "Spoken digits, a speaker from the USA → speakers with other accents", runs)
