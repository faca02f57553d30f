"""`import sterna`: light and complete."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

import sterna


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_import_brings_no_heavy_library() -> None:
    heavy = "('torch', 'pandas', 'sklearn', 'scipy', 'numpy', 'timm', 'transformers')"
    assert python(f"import sys, sterna; print([n for n in {heavy} if n in sys.modules])") == "[]"


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trnasfer'"):
        sterna.trnasfer  # noqa: B018


@pytest.mark.parametrize("name", sorted(sterna.__all__))
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(sterna, name) is not None
    assert name in dir(sterna)


def test_transfer_is_the_function_whoever_imports_its_room_first() -> None:
    code = "from sterna.experiment import Transfer\nimport sterna\nprint(type(sterna.transfer).__name__)"
    assert python(code) == types.FunctionType.__name__
