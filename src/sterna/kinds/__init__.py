"""What each kind of data is: its names, how it is learnt from without a source, what is shown of a row."""

from sterna.kinds.kind import KINDS as KINDS
from sterna.kinds.kind import Kind as Kind
from sterna.kinds.kind import Raw as Raw
from sterna.kinds.kind import Vectors as Vectors
from sterna.kinds.kind import kind_of as kind_of
