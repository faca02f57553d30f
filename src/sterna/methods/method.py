"""What a method is, what it needs, and how it is found by name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

import sterna.methods
from sterna.bench import Bench, Fitted, Problem
from sterna.domains.learnt import Learnt
from sterna.errors import RequestError, closest
from sterna.methods.needs import Needs as Needs
from sterna.selection.validator import FEW
from sterna.training.recipe import Recipe
from sterna.training.trainer import Trainer

KINDS = ("controls", "parameters", "networks", "features", "examples", "rules", "choice")


ValidationUse = Literal["joined", "epoch", "kept"]
"""What a method does with the target's validation rows.

``joined``: nothing of it is chosen by them, so once they have scored it they join the training rows. ``epoch``: many
of them choose the epoch, few join the training rows. ``kept``: they are never trained on, or the method itself sees
to it.
"""


class Method(BaseModel, ABC):
    """One way for knowledge to move; its fields are its settings.

    A method lives in a file named after its id (``fine-tuning`` in ``fine_tuning.py``), in the folder of its kind.

    Attributes
    ----------
    needs
        What the user must have.
    suits
        What it refuses by itself to do without under its usual settings: it is advised only where there is that, too.
    validation
        What the validation rows are to the method.
    several
        Whether it takes several sources.
    knowledge
        One of `KINDS`, for a method that lies in no folder of that name.
    blind
        Whether it learns from no label of the target.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
    needs: ClassVar[Needs]
    suits: ClassVar[Needs] = Needs.NOTHING
    several: ClassVar[bool] = False
    validation: ClassVar[ValidationUse] = "joined"
    knowledge: ClassVar[str] = ""
    blind: ClassVar[bool] = False

    @abstractmethod
    def run(self, bench: Bench) -> Fitted:
        """Move the knowledge: the network that does the target's task, and which labels chose what of it."""

    def fit(self, problem: Problem, trainer: Trainer) -> Fitted:
        """Run on a bench with these rows and this trainer, whose log keeps what was chosen."""
        fitted = self.run(Bench(problem, trainer, make_method))
        trainer.log.choices += fitted.choices
        trainer.log.candidates += fitted.candidates
        return fitted

    def recipe(self) -> Recipe | None:
        """How it trains networks, which its controls do likewise; ``None`` where they train by their own settings."""
        return None

    def trains(self) -> bool:
        """Whether it trains a network step by step, where others solve for a head."""
        return self.recipe() is not None or self.validated() == "epoch"

    def beside(self, problem: Problem, chosen: Mapping[str, Any]) -> tuple[Method, Problem]:
        """What controls stand beside, once it is known what was chosen: a method, and the problem as it saw it."""
        return self, problem

    def ablated(self) -> Method | None:
        """The same without the knowledge that it moves, where a setting takes it away: a control beside it."""
        return None

    def learnt_before(self) -> Learnt | None:
        """Which rows its settings were extracted from, as rules may be from data; ``None`` where nothing tells."""
        return None

    def validated(self) -> ValidationUse:
        """What it does with the validation rows under these settings."""
        return self.validation

    def refits(self, problem: Problem) -> bool:
        """Whether, once validation has scored it, it runs again with the validation rows among the training rows."""
        use = self.validated()
        return use == "joined" or (use == "epoch" and len(problem.validation) < FEW)

    @classmethod
    def id(cls) -> str:
        """What users type."""
        return cls.__module__.rpartition(".")[2].replace("_", "-")

    @classmethod
    def kind(cls) -> str:
        """Which kind of knowledge moves: the folder it lives in, or what a method of another package says."""
        return cls.knowledge or cls.__module__.split(".")[-2]

    @classmethod
    def about(cls) -> dict[str, Any]:
        """Id, kind, needs, settings, summary and description, as plain values."""
        description = inspect.cleandoc(cls.__doc__ or "")
        return {
            "id": cls.id(),
            "kind": cls.kind(),
            "needs": cls.needs.words(),
            "settings": [_setting(name, about) for name, about in properties(cls).items()],
            "summary": description.splitlines()[0],
            "description": description,
        }


def properties(cls: type[Method]) -> Mapping[str, Any]:
    """The JSON schema of each setting of a method."""
    found: Mapping[str, Any] = cls.model_json_schema().get("properties", {})
    return found


def _setting(name: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """Name, default, permitted values in words, and meaning."""
    parts = about.get("anyOf", [about])
    return {
        "name": name,
        "default": about.get("default"),
        "values": " or ".join(_values(part) for part in parts),
        "description": about.get("description", ""),
    }


def _values(part: Mapping[str, Any]) -> str:
    if "enum" in part or "const" in part:
        return ", ".join(str(v) for v in part.get("enum", [part.get("const")]))
    kind = {"number": "number", "integer": "whole number", "boolean": "true or false", "null": "none", "array": "list"}
    words = kind.get(part.get("type", ""), "text")
    for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")):
        if key in part:
            words += f" {sign} {part[key]:g}"
    return words


GROUP = "sterna.methods"
"""The entry points by which another package adds methods: the id, and the class in a file of that name."""


def method_ids() -> dict[str, str]:
    """Every method's id and the module it lives in, Sterna's own first, without importing any."""
    found = {}
    for kind in KINDS:
        for path in sterna.methods.__path__:
            for module in pkgutil.iter_modules([f"{path}/{kind}"]):
                if not module.name.startswith("_"):
                    found[module.name.replace("_", "-")] = f"sterna.methods.{kind}.{module.name}"
    others = sorted((point.name, point.module) for point in entry_points(group=GROUP))
    return {**found, **{name: module for name, module in others if name not in found}}


def method_class(name: str) -> type[Method]:
    """The method of this id.

    Raises
    ------
    RequestError
        If there is none (close matches are named), or its package cannot be imported.
    """
    known = method_ids()
    if name not in known:
        raise RequestError(f"There is no method {name!r}.{closest(name, known)} Known methods: {', '.join(known)}.")
    try:
        module = importlib.import_module(known[name])
    except ImportError as error:
        raise RequestError(
            f"The method {name!r} ({known[name]}) cannot be loaded: {error}; install its package again."
        ) from error
    return next(
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__
    )


def make_method(name: str, settings: Mapping[str, Any] | None = None) -> Method:
    """A method with these settings, checked against their types and bounds.

    Raises
    ------
    RequestError
        If the method or a setting is unknown, or a value is out of bounds.
    """
    cls = method_class(name)
    settings = dict(settings or {})
    for key in settings:
        if key not in cls.model_fields:
            known = ", ".join(cls.model_fields) or "none"
            raise RequestError(f"{name} has no setting {key!r}.{closest(key, cls.model_fields)} Its settings: {known}.")
    try:
        return cls(**{key: _none_or(cls, key, value) for key, value in settings.items()})
    except ValidationError as error:
        first = error.errors()[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, RequestError):
            raise cause from None
        if not first["loc"]:  # of several settings together
            raise RequestError(f"{name}: {cause}") from None
        where, values = str(first["loc"][0]), _setting("", properties(cls).get(str(first["loc"][0]), {}))["values"]
        several = len(first["loc"]) > 1  # of one of several types: pydantic's words speak of that one alone
        why = f"expected {values}" if several else f"but {_lower(first['msg'])}"
        raise RequestError(
            f"{name}: setting {where} is {settings.get(where, first['input'])!r}, {why}; see: sterna methods {name}."
        ) from error


def _none_or(cls: type[Method], name: str, value: Any) -> Any:
    """``None`` where the word for it was written, as the list of settings does, and the setting may be none."""
    if not isinstance(value, str) or value.strip().lower() not in ("none", "null"):
        return value
    about = properties(cls).get(name, {})
    parts = about.get("anyOf", [about])
    means_itself = any(value in part.get("enum", [part.get("const")]) for part in parts)
    return None if {"type": "null"} in parts and not means_itself else value


class Methods(list[dict[str, Any]]):
    """What is to be known of methods; shown as a line each."""

    def __repr__(self) -> str:
        return "\n".join(f"{about['id']:22}{about['kind']:12}{about['summary']}" for about in self)


def list_methods() -> Methods:
    """Every method: id, kind, needs, settings, summary and description."""
    return Methods(method_class(name).about() for name in method_ids())


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def check_needs(method: Method, have: Needs, ids: Sequence[str]) -> None:
    """Refuse a method whose needs are not met, and name those whose needs are."""
    missing = method.needs & ~have
    if missing:
        if Needs.SOURCE_DATA in missing:
            missing &= ~(Needs.SAME_TASK | Needs.SAME_INPUTS)  # of no data there is no more to say
        raise RequestError(
            f"{method.id()} needs {missing.lacking()}; with what there is these fit: "
            f"{', '.join(fitting(have, ids)) or 'none'}."
        )


def fitting(have: Needs, ids: Sequence[str]) -> list[str]:
    """The methods that can do with what there is."""
    return [name for name in ids if not (method_class(name).needs | method_class(name).suits) & ~have]
