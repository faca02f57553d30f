"""What is done with tide records where there is no source."""

from sterna.kinds import Kind, Vectors
from sterna_tides.preparation import TidePreparation


class Tides(Kind):
    """Records of water levels."""

    noun, whole = "tide records", "tide records"

    def small(self, inputs):
        """A perceptron on the hourly levels."""
        prepared = TidePreparation(inputs.levels.shape[1]).fit(inputs)
        return prepared, {"loader": "small", "name": "mlp", "width_in": prepared.hours}

    def vectors(self, inputs):
        prepared = TidePreparation(inputs.levels.shape[1]).fit(inputs)
        return Vectors(prepared, prepared.hours, f"{prepared.hours} hourly levels")
