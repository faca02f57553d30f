"""The Hugging Face Hub as a place for files: what is cached is used, what cannot be reached is said at once."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sterna.errors import RequestError, require

_SECONDS = 5.0
"""How long the Hub may take to say that it is there."""

_CHATTY = ("huggingface_hub", "timm", "transformers", "sentence_transformers", "httpx", "urllib3", "filelock")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep warnings, log lines and progress bars of the loading libraries off the terminal, here only."""
    levels = {name: logging.getLogger(name).level for name in _CHATTY}
    restore = _hide_bars()
    try:
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        restore()


def _hide_bars() -> Any:
    """Switch the progress bars of the libraries off that are in use; what is returned switches them on again."""
    import sys

    switches: list[Any] = []
    if "transformers" in sys.modules:
        from transformers.utils import logging as transformers_logging

        if transformers_logging.is_progress_bar_enabled():
            transformers_logging.disable_progress_bar()
            switches.append(transformers_logging.enable_progress_bar)
    if "huggingface_hub" in sys.modules:
        utils = require("huggingface_hub.utils", "text")  # its names are lazy: the attribute need not be there

        # The variable, where set, has the last word, and the library warns when it is contradicted.
        if not utils.are_progress_bars_disabled() and "HF_HUB_DISABLE_PROGRESS_BARS" not in os.environ:
            utils.disable_progress_bars()
            switches.append(utils.enable_progress_bars)

    def restore() -> None:
        for switch in switches:
            switch()

    return restore


def fetch(repository: str, spec: str, hint: str = "") -> Path:
    """Find a folder with a model of the Hub: configuration, tokenizer and weights, downloaded if need be.

    Parameters
    ----------
    repository
        Its id there, such as ``google-bert/bert-base-uncased``.
    spec
        What the user typed, for the message.
    hint
        More for the message: close matches, other ways.

    Raises
    ------
    RequestError
        If the id is not known, or the Hub cannot be reached (or ``HF_HUB_OFFLINE`` is set) and nothing is cached.
        A refusal comes within seconds: there is one short request, and no second try.
    """
    hub = require("huggingface_hub", "text")
    hint = f" {hint.strip()}".rstrip()
    with quiet():
        try:
            info = hub.HfApi().model_info(repository, timeout=_SECONDS)
        except hub.errors.HFValidationError as error:
            raise RequestError(
                f"{spec!r} is neither a folder here nor an id of the Hugging Face Hub ('name' or 'owner/name').{hint}"
            ) from error
        except hub.errors.GatedRepoError as error:
            raise RequestError(
                f"{spec!r} is given only to those who asked its owner: ask on https://huggingface.co/{repository}, "
                f"then run 'hf auth login'.{hint}"
            ) from error
        except hub.errors.RepositoryNotFoundError as error:
            raise RequestError(f"The Hugging Face Hub has no public model {repository!r} ({spec!r}).{hint}") from error
        except Exception as error:  # no name service, no route, a proxy's answer, offline mode: each its own type
            return _cached(repository, spec, hint, error)
        names = [file.rfilename for file in info.siblings or []]
        try:
            return Path(hub.snapshot_download(repository, revision=info.sha, allow_patterns=wanted(names)))
        except Exception as error:
            return _cached(repository, spec, hint, error)


def _cached(repository: str, spec: str, hint: str, error: Exception) -> Path:
    hub = require("huggingface_hub", "text")
    try:
        folder = Path(hub.snapshot_download(repository, local_files_only=True))
        if any(folder.glob("*.safetensors")) or any(folder.glob("*.bin")):
            return folder
    except (hub.errors.LocalEntryNotFoundError, OSError):
        pass
    if hub.constants.HF_HUB_OFFLINE:
        why = "HF_HUB_OFFLINE is set"
    else:
        why = f"the Hugging Face Hub cannot be reached ({' '.join(str(error).split())[:80] or type(error).__name__})"
    raise RequestError(f"The weights of {spec!r} are not on this machine, and {why}.{hint}") from error


def wanted(names: list[str]) -> list[str]:
    """Which of a repository's files it takes to load the model: one set of weights, no copies in other formats."""
    top = [name for name in names if "/" not in name]
    whole = [name for name in top if name.endswith(".safetensors") and name.startswith("model")]
    weights = whole or [n for n in top if n.endswith(".safetensors")] or [n for n in top if n.endswith(".bin")]
    texts = (".json", ".txt", ".model", ".jinja", ".vocab")
    # sentence-transformers describes what comes after the encoder in folders such as 1_Pooling.
    layers = [n for n in names if n[0].isdigit() and n.endswith("/config.json")]
    return sorted({*weights, *(n for n in top if n.endswith(texts) or n == "README.md"), *layers})
