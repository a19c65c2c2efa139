#!/usr/bin/env python3
"""Writes the vector files beside this folder, or with --check compares them with what it would write.

Needs Python 3.10, clang-22, ld.lld-22 and qemu-riscv64; ends with status 3 if one is missing.
"""

import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True

import again
import control
import costs
import fused
import golden
import hosts
import lines
import memory
import qemu
import standard

HERE = Path(__file__).resolve().parent.parent


def write(folder):
    families = (golden, standard, control, lines, costs, memory, hosts, again, fused)
    print(f"{sum(family.write(folder) for family in families):6} in all")


def content(path):
    """The lines without the origin, which names versions of tools."""
    return [line for line in path.read_text().splitlines() if not line.startswith("origin ")]


def check():
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        stale = [path.name for path in sorted(Path(folder).iterdir())
                 if not (HERE / path.name).exists() or content(path) != content(HERE / path.name)]
    for name in stale:
        print(f"{name} is not what tools/generate.py writes")
    return 1 if stale else 0


def main():
    if missing := qemu.missing():
        print(f"missing: {', '.join(missing)}")
        return 3
    if sys.argv[1:] == ["--check"]:
        return check()
    if sys.argv[1:]:
        print(__doc__)
        return 2
    write(HERE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
