"""Neighbours that an engine may treat as one, with what tells the two apart."""

from isa import CODE_BASE, DATA_BASE, M64, encode
from values import Draw
from vec import File

TRAP = encode("trap")
ORIGIN = "tools/machine.py, from ISA §6, §8, §10 and gas §5"
MAPS = [(DATA_BASE, 0x3000, "cow")]
CONTENT = {DATA_BASE + 0x1000: bytes(range(0x81, 0xC1))}
# 8: a block that traps at 12; 16: another one; 20 is no start.
REST = encode("addi", 6, 0, imm=1) + TRAP + encode("addi", 6, 0, imm=2) + TRAP


def far_jumps(file, draw):
    """auipc and jalr: a target anywhere, its lowest bit dropped, registers shared or not."""
    for to in (8, 9, 16, 17, 20, 21, 24, 4, 0xFFE, -1, -4):
        for base, rd in ((5, 0), (5, 5), (5, 1), (1, 1), (3, 3), (3, 1), (10, 4), (4, 3)):
            code = encode("auipc", base) + encode("jalr", rd, base, imm=to) + REST
            file.add("auipc-jalr", code, regs={base: M64, rd: 7} if rd else {base: M64}, gas=900)
    for high, low in ((0x1000, -0xFF7), (0x1000, 9), (-0x1000, 8), (0x7FFFF000, 16),
                      (0x80000000 - (1 << 32), 16)):
        code = encode("auipc", 5, imm=high) + encode("jalr", 1, 5, imm=low) + REST
        file.add("auipc-jalr-far", code)


def returns(file, draw):
    """Returns that leave their link alone, or add to it: here every place is a start."""
    for imm in (0, 1, 4, 5, 8, 12, 16, 2, -4):
        for link, via in ((1, 1), (5, 5), (1, 5), (3, 3)):
            body = encode("addi", via, link) if via != link else encode("addi", 6, 6, imm=1)
            # 0: the call; 4 to 16: a trap each; 20: the function.
            code = encode("jal", link, imm=20) + TRAP * 4 + body + encode("jalr", 0, via, imm=imm)
            file.add("return-further", code, regs={6: 3}, gas=400)
            code = encode("addi", 1, 1) + encode("jalr", 0, via, imm=imm) + TRAP * 4
            file.add("return-from-nowhere", code, regs={via: CODE_BASE + 8, 1: CODE_BASE + 8},
                     gas=400)


def products(file, draw):
    """Both halves of a product with another instruction between them."""
    place = DATA_BASE + 0x1008
    halves = [("mul", "mulhu"), ("mulhu", "mul")]
    betweens = [(name, 13, base, imm) for name in ("ld", "lb") for base, imm in
                ((8, 0), (3, 8), (4, -8), (0, -8))]
    betweens += [(name, base, source, imm) for name in ("sd", "sb") for base, source, imm in
                 ((8, 13, 0), (3, 13, 8), (4, 8, -8), (8, 3, 0), (3, 4, 0), (8, 0, 1), (0, 13, -8))]
    for first, second in halves:
        for name, one, other, imm in betweens:
            code = encode(first, 14, 10, 11)
            code += (encode(name, rs1=one, rs2=other, imm=imm) if name[0] == "s"
                     else encode(name, one, other, imm=imm))
            code += encode(second, 15, 10, 11) + TRAP
            regs = {10: draw.value() | 1 << 63, 11: draw.value() | 1 << 62, 13: 0x1357, 14: 5}
            regs |= {8: place, 3: place, 4: place, 15: 6}
            file.add("product-around", code, regs=regs, maps=MAPS, content=CONTENT)
        for name, rd, rs1, rs2 in (("add", 10, 10, 11), ("add", 11, 10, 11), ("xor", 13, 10, 14),
                                   ("sub", 14, 14, 10), ("add", 3, 10, 11), ("addi", 11, 10, 0),
                                   ("slli", 10, 10, 0)):
            for last in (14, 15, 10, 13):
                middle = (encode(name, rd, rs1, imm=5) if name in ("addi", "slli")
                          else encode(name, rd, rs1, rs2))
                code = encode(first, 14, 10, 11) + middle + encode(second, last, 10, 11) + TRAP
                regs = {10: draw.value() | 3 << 60, 11: draw.value() | 5 << 60, 3: 9, 13: 1, 14: 2}
                file.add("product-beside", code, regs=regs)


def write(folder):
    draw = Draw(20266)
    file = File("fused", ORIGIN)
    far_jumps(file, draw)
    returns(file, draw)
    products(file, draw)
    return file.write(folder)
