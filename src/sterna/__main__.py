"""``python -m sterna``: the same as ``sterna`` (torchrun starts it so)."""

from sterna.cli import main

if __name__ == "__main__":
    main()
