"""Runs instructions on qemu-riscv64 in user mode: x1..x15 before and after each snippet.

Snippets are straight-line RV64 code without memory accesses. All run in one static executable that
loads the registers of a snippet, executes its bytes, stores the registers, and writes the lot to
standard output. Registers above x15 hold the pointers, which PVM2 code cannot touch.
"""

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

CLANG = "clang-22"
QEMU = "qemu-riscv64"


def missing():
    """The tools that are not installed."""
    return [tool for tool in (CLANG, "ld.lld-22", QEMU) if shutil.which(tool) is None]


def version():
    return subprocess.run([QEMU, "--version"], capture_output=True, text=True,
                          check=True).stdout.splitlines()[0]


def source(snippets):
    loads = "".join(f"  ld x{r}, {8 * (r - 1)}(x31)\n" for r in range(1, 16))
    stores = "".join(f"  sd x{r}, {8 * (r - 1)}(x30)\n" for r in range(1, 16))
    out = [".option norvc\n.globl _start\n.text\n_start:\n  la x31, input\n  la x30, output\n"]
    for code in snippets:
        halves = ", ".join(f"{h:#x}" for (h,) in struct.iter_unpack("<H", code))
        out.append(f"{loads}  .2byte {halves}\n  .balign 4, 0x01\n{stores}"
                   "  addi x31, x31, 120\n  addi x30, x30, 120\n")
    out.append("""  la x11, output
1: sub x12, x30, x11
  beqz x12, 2f
  li x10, 1
  li x17, 64
  ecall
  blez x10, 2f
  add x11, x11, x10
  j 1b
2: li x10, 0
  li x17, 93
  ecall
.data
.balign 8
input: .incbin "input.bin"
.bss
.balign 8
output: .space %d
""" % (120 * len(snippets)))
    return "".join(out)


def run(cases):
    """`cases` are (code, 16 register values); the values afterwards, x0 included."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "input.bin").write_bytes(
            b"".join(struct.pack("<15Q", *regs[1:]) for _, regs in cases))
        (folder / "run.s").write_text(source([code for code, _ in cases]))
        subprocess.run([CLANG, "--target=riscv64-linux-gnu", "-march=rv64gc_zba_zbb_zbs_zicond",
                        "-nostdlib", "-static", "-fuse-ld=lld-22", "-o", "run", "run.s"],
                       cwd=folder, check=True)
        result = subprocess.run([QEMU, "-cpu", "max", str(folder / "run")], capture_output=True)
    if result.returncode != 0 or len(result.stdout) != 120 * len(cases):
        raise SystemExit(f"{QEMU} failed: status {result.returncode}, "
                         f"{len(result.stdout)} of {120 * len(cases)} bytes, {result.stderr!r}")
    return [[0, *struct.unpack_from("<15Q", result.stdout, 120 * i)] for i in range(len(cases))]
