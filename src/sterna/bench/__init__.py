"""What a method works with: the problem, the tools of the bench, and what it gives back."""

from sterna.bench.bench import Bench
from sterna.bench.fitted import Fitted
from sterna.bench.problem import Array, Known, Labelled, Problem

__all__ = ["Array", "Bench", "Fitted", "Known", "Labelled", "Problem"]
