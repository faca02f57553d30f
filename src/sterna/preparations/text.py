"""Texts for a body: token numbers, hashed n-grams, or the texts themselves."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from sterna.domains.inputs import Inputs, Kind, Preparation, Rows
from sterna.errors import RequestError, require

_AT_ONCE = 2000
"""Texts that are tokenised at a time."""

MANY_UNKNOWN = 0.1
"""Share of unknown tokens from which on it is said."""

TOKENIZER = "tokenizer"
"""Name of the folder with the tokenizer's files."""


class TokenItems(Sequence[list[int]]):
    """Lists of token numbers, held in one array.

    Attributes
    ----------
    truncated
        How many texts were longer than the body takes.
    max_length
        How many tokens it takes.
    """

    def __init__(self, lists: Iterable[Sequence[int]], truncated: int, max_length: int) -> None:
        parts = [np.asarray(each, dtype=np.int32) for each in lists]
        self._flat = np.concatenate(parts) if parts else np.zeros(0, np.int32)
        self._ends = np.cumsum([0, *map(len, parts)])
        self.truncated, self.max_length = truncated, max_length

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        place = range(len(self))[row]
        return self._flat[self._ends[place] : self._ends[place + 1]].tolist()

    def by_length(self) -> Rows:
        """Row numbers with lists of like length together, ``(n,)``: less padding."""
        return np.argsort(np.diff(self._ends), kind="stable")

    def note(self) -> str | None:
        """One sentence on the texts that were cut, if any."""
        if not self.truncated:
            return None
        few = f"{self.truncated} of {len(self)} texts"
        return f"{few} are longer than the {self.max_length} tokens that are read; what came after was cut off."


class TextPreparation(Preparation):
    """Texts as token numbers, by a Hugging Face tokenizer.

    Parameters
    ----------
    tokenizer
        A fast tokenizer, or the folder its files are in.
    max_length
        Tokens of a text that are read; by default what the tokenizer says, 512 at most.

    Raises
    ------
    RequestError
        If the folder holds no fast tokenizer, or `max_length` is too small for one token.
    """

    kind: ClassVar[Kind] = "text"

    def __init__(self, tokenizer: Any, max_length: int | None = None) -> None:
        self.tokenizer = _read(Path(tokenizer)) if isinstance(tokenizer, (str, Path)) else tokenizer
        if not getattr(self.tokenizer, "is_fast", False):
            raise RequestError(
                f"{type(self.tokenizer).__name__} is not a fast tokenizer; save one with a tokenizer.json, such as "
                "transformers.AutoTokenizer.from_pretrained(...) gives."
            )
        known = int(min(self.tokenizer.model_max_length, 512))
        self.max_length = known if max_length is None else int(max_length)
        if self.max_length <= self.tokenizer.num_special_tokens_to_add():
            raise RequestError(f"max_length is {self.max_length}, which leaves no room for a word; give at least 3.")

    def items(self, inputs: Inputs) -> TokenItems:
        """Token numbers of all texts, cut at `max_length`."""
        lists: list[Sequence[int]] = []
        truncated = 0
        for texts in _parts(inputs):
            found = self.tokenizer(texts, truncation=True, max_length=self.max_length, return_token_type_ids=False)
            lists += [np.asarray(each, dtype=np.int32) for each in found["input_ids"]]  # type: ignore[misc]
            truncated += sum(bool(each.overflowing) for each in found.encodings)
        return TokenItems(lists, truncated, self.max_length)

    def note(self, items: TokenItems) -> str | None:
        return items.note()

    def unknown(self, inputs: Inputs) -> list[str]:
        """Which share of the tokens of these texts (of 200) the tokenizer does not know, from a tenth on."""
        some = np.unique(np.linspace(0, len(inputs) - 1, min(200, len(inputs))).astype(np.int64))
        items, number = self.items(inputs.take(some)), self.tokenizer.unk_token_id
        special = [each for each in self.tokenizer.all_special_ids if each != number]
        tokens = np.concatenate([np.zeros(0), *items[:]])
        share = float((tokens[~np.isin(tokens, special)] == number).sum()) / max(1, (~np.isin(tokens, special)).sum())
        what = f"{share:.0%} of the tokens of {len(items)} texts are unknown to the source's tokenizer"
        return [f"{what} and count as one; a source for texts like these sees more"] if share >= MANY_UNKNOWN else []

    def order(self, items: TokenItems) -> Rows:
        return items.by_length()

    def collate(self, items: Sequence[Any]) -> dict[str, Tensor]:
        """Lists of numbers to ``input_ids`` and ``attention_mask``, each ``(n, longest)``."""
        ids, mask = padded(items, int(self.tokenizer.pad_token_id or 0), self.tokenizer.padding_side == "left")
        return {"input_ids": ids, "attention_mask": mask}

    def example(self, rows: int = 2) -> dict[str, Tensor]:
        """A few words, as the body takes them."""
        found = self.tokenizer(["the arctic tern flies far"] * rows, truncation=True, max_length=self.max_length)
        return self.collate(found["input_ids"])

    def state(self) -> dict[str, Any]:
        return {"type": "text", "max_length": self.max_length, "tokenizer": _digest(self.tokenizer)}

    def save_assets(self, folder: Path) -> None:
        """Write the tokenizer's files below `folder`; see :func:`~sterna.preparations.saved.preparation_from_state`."""
        self.tokenizer.save_pretrained(str(Path(folder) / TOKENIZER))

    @classmethod
    def from_state(cls, state: Mapping[str, Any], folder: Path | None = None) -> Self:
        """Rebuild from `state` and the files that `save_assets` wrote."""
        if folder is None:
            raise RequestError("A text preparation is rebuilt from its tokenizer's files; name the folder they are in.")
        return cls(Path(folder) / TOKENIZER, state["max_length"])


class HashedTextPreparation(Preparation):
    """Texts as numbers of hashed n-grams: words one and two at a time, and two to four characters.

    No vocabulary is learnt, and languages without spaces work through their characters (Weinberger et al., "Feature
    hashing for large scale multitask learning", ICML 2009; Joulin et al., "Bag of tricks for efficient text
    classification", EACL 2017).

    Parameters
    ----------
    buckets
        Numbers that words and characters are hashed to, each; a power of two. 0 is kept for padding.
    max_length
        Distinct n-grams of a text that are kept, spread evenly over them.
    """

    kind: ClassVar[Kind] = "text"

    def __init__(self, buckets: int = 2**15, max_length: int = 2048) -> None:
        self.buckets, self.max_length = int(buckets), int(max_length)

    @property
    def size(self) -> int:
        """Rows of the embedding table that the numbers point into."""
        return 1 + 2 * self.buckets

    def items(self, inputs: Inputs) -> TokenItems:
        """Distinct n-gram numbers of each text, sorted."""
        from sklearn.feature_extraction.text import HashingVectorizer

        options = {"n_features": self.buckets, "alternate_sign": False, "norm": None, "binary": True}
        words = HashingVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **options)
        characters = HashingVectorizer(analyzer="char", ngram_range=(2, 4), **options)
        lists: list[Sequence[int]] = []
        truncated = 0
        for texts in _parts(inputs):
            found = [vectors.transform(texts) for vectors in (words, characters)]
            for row in range(len(texts)):
                numbers = np.concatenate(
                    [1 + i * self.buckets + np.sort(_row(table, row)) for i, table in enumerate(found)]
                )
                if len(numbers) > self.max_length:
                    truncated += 1
                    numbers = numbers[np.linspace(0, len(numbers) - 1, self.max_length).astype(int)]
                lists.append(numbers)  # type: ignore[arg-type]
        return TokenItems(lists, truncated, self.max_length)

    def note(self, items: TokenItems) -> str | None:
        return items.note()

    def order(self, items: TokenItems) -> Rows:
        return items.by_length()

    def collate(self, items: Sequence[Any]) -> Tensor:
        """Lists of numbers to one tensor ``(n, longest)``, 0 where there is none."""
        return padded(items, 0)[0]

    def example(self, rows: int = 2) -> Tensor:
        """A few n-grams, as the body takes them."""
        return torch.ones(rows, 4, dtype=torch.int64)

    def state(self) -> dict[str, Any]:
        return {"type": "hashed-text", "buckets": self.buckets, "max_length": self.max_length}


class RawText(Preparation):
    """Texts as they are, for heads that read text."""

    kind: ClassVar[Kind] = "text"

    def items(self, inputs: Inputs) -> list[str]:
        """All texts."""
        _check(inputs)
        return [inputs[row] for row in range(len(inputs))]

    def collate(self, items: Sequence[Any]) -> list[str]:
        """The texts as a list."""
        return list(items)

    def state(self) -> dict[str, Any]:
        return {"type": "raw-text"}


def padded(lists: Sequence[Sequence[int]], number: int, left: bool = False) -> tuple[Tensor, Tensor]:
    """Lists of numbers side by side: the numbers ``(n, longest)``, and 1 where they are, each int64."""
    longest = max(1, max(map(len, lists), default=1))
    ids = torch.full((len(lists), longest), number, dtype=torch.int64)
    mask = torch.zeros((len(lists), longest), dtype=torch.int64)
    for row, each in enumerate(lists):
        where = slice(longest - len(each), longest) if left else slice(0, len(each))
        ids[row, where] = torch.as_tensor(each, dtype=torch.int64)
        mask[row, where] = 1
    return ids, mask


def _row(table: Any, row: int) -> np.ndarray[Any, Any]:
    numbers: np.ndarray[Any, Any] = table.indices[table.indptr[row] : table.indptr[row + 1]]
    return numbers


def _parts(inputs: Inputs) -> Iterator[list[str]]:
    _check(inputs)
    for start in range(0, len(inputs), _AT_ONCE):
        yield [inputs[row] for row in range(start, min(start + _AT_ONCE, len(inputs)))]


def _check(inputs: Inputs) -> None:
    if inputs.kind != "text":
        raise RequestError(f"A text preparation takes texts, but came upon {inputs.kind}.")


def _digest(tokenizer: Any) -> str:
    """A hash of what the tokenizer does, whatever truncation or padding was last asked of it."""
    import json

    about = json.loads(tokenizer.backend_tokenizer.to_str())
    about.pop("truncation", None)
    about.pop("padding", None)
    return hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=16).hexdigest()


def _read(folder: Path) -> Any:
    transformers = require("transformers", "text")
    if not folder.is_dir():
        raise RequestError(f"There is no folder {str(folder)!r} with a tokenizer's files.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = transformers.AutoTokenizer.from_pretrained
            return read(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise RequestError(f"{str(folder)!r} holds no tokenizer that can be read ({first}).") from error
