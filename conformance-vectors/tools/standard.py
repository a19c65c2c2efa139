"""Computation: every instruction of I, M, Zba, Zbb, Zbs, Zicond and C that touches registers only.

Registers after each vector are those on which qemu-riscv64 and `isa.py` agree.
"""

import qemu
from isa import BY_NAME, NO_IMMEDIATE, TABLE, decode_half, encode
from machine import Machine
from values import Draw
from vec import File

TRAP = encode("trap")
NOT_HERE = {"jal", "jalr", "auipc", "fence", "fence.i", "trap", "ecall.jar", "ecalli",
            "fallthrough"}
EXTENSIONS = {
    "m": "mul mulh mulhsu mulhu div divu rem remu mulw divw divuw remw remuw",
    "zba": "add.uw sh1add sh2add sh3add sh1add.uw sh2add.uw sh3add.uw slli.uw",
    "zbb": "andn orn xnor clz ctz cpop clzw ctzw cpopw max maxu min minu sext.b sext.h zext.h rol "
           "ror rori rolw rorw roriw orc.b rev8",
    "zbs": "bclr bclri bext bexti binv binvi bset bseti",
    "zicond": "czero.eqz czero.nez",
}
EXTENSION_OF = {name: ext for ext, names in EXTENSIONS.items() for name in names.split()}
COMPUTING = [name for name, form, _, _ in TABLE
             if form not in ("S", "B") and name not in NOT_HERE and name[0] != "l" or name == "lui"]
# Where mistakes were most frequent, more vectors.
MORE = {"div", "divu", "rem", "remu", "divw", "divuw", "remw", "remuw", "mulhsu", "sllw", "srlw",
        "sraw", "rolw", "rorw", "orc.b"}


def immediate(draw, name):
    form = BY_NAME[name][0]
    if name in NO_IMMEDIATE:
        return 0
    if form == "U":
        return draw.choice([0, 1, 0x7FFFF, 0x80000, 0xFFFFF, draw.randrange(1 << 20)])
    if form == "I6":
        return draw.choice([0, 1, 31, 32, 33, 63, draw.randrange(64)])
    if form == "I5":
        return draw.choice([0, 1, 15, 31, draw.randrange(32)])
    return draw.imm12()


def word(draw, name):
    rd, rs1, rs2 = draw.regs()
    return encode(name, rd, rs1, rs2, immediate(draw, name))


def halfword(draw):
    """A 16-bit instruction that only computes, or None."""
    half = draw.getrandbits(16)
    if half & 3 == 3:
        return None
    inst = decode_half(half)
    return half.to_bytes(2, "little") if inst.name in COMPUTING else None


def used(code):
    """Registers that a snippet names; the others need no value."""
    machine = Machine(code)
    return {r for _, i in machine.insts.items() for r in (i.rd, i.rs1, i.rs2) if r}


def singles(draw):
    """(file, name, code, registers) for each instruction alone."""
    for name in COMPUTING:
        for _ in range(44 if name in MORE else 30):
            code = word(draw, name)
            regs = [v if r in used(code) else 0 for r, v in enumerate(draw.all_regs())]
            yield EXTENSION_OF.get(name, "i"), name, code, regs
    forms = {}
    while sum(forms.values()) < 700:
        code = halfword(draw)
        if code is None:
            continue
        half = int.from_bytes(code, "little")
        # Encodings of one kind: quadrant, function bits, and the operation they expand to.
        kind = (half & 3, half >> 13, decode_half(half).name)
        if forms.get(kind, 0) >= 45:
            if len(forms) >= 15 and min(forms.values()) >= 30:
                break
            continue
        forms[kind] = forms.get(kind, 0) + 1
        regs = [v if r in used(code) else 0 for r, v in enumerate(draw.all_regs())]
        yield "c", f"c-{kind[2]}", code, regs


def sequences(draw):
    """Straight lines in which results are used again, neighbours that could be fused included."""
    for i in range(420):
        names = draw.sample(COMPUTING, 5)
        code = b""
        for _ in range(draw.randrange(3, 14)):
            pick = draw.randrange(6)
            half = halfword(draw) if pick == 0 else None
            if half:
                code += half
            elif pick == 1:
                code += pair(draw)
            else:
                code += word(draw, draw.choice(names))
        yield "sequences", f"sequence-{i}", code, draw.all_regs()


def pair(draw):
    """Two or three neighbours that engines like to fuse, with registers at random."""
    a, b, c, d = (draw.choice(range(1, 16)) for _ in range(4))
    sh = draw.choice([1, 16, 32, 48, 56])
    return b"".join(draw.choice([
        [encode("add", a, b, c), encode("sltu", d, a, c)],
        [encode("add", a, b, c), encode("sltu", d, a, b)],
        [encode("sub", a, b, c), encode("sltu", d, b, c)],
        [encode("lui", a, imm=draw.randrange(1 << 20)), encode("addi", b, a, imm=draw.imm12())],
        [encode("lui", a, imm=draw.randrange(1 << 20)), encode("addiw", b, a, imm=draw.imm12())],
        [encode("mulhu", a, b, c), encode("mul", d, b, c)],
        [encode("mulh", a, b, c), encode("mul", d, b, c)],
        [encode("mul", a, b, c), encode("mulhu", d, b, c)],
        [encode("div", a, b, c), encode("rem", d, b, c)],
        [encode("divu", a, b, c), encode("remu", d, b, c)],
        [encode("remuw", a, b, c), encode("divuw", d, b, c)],
        [encode("slli", a, b, imm=sh), encode("srli", c, a, imm=sh)],
        [encode("slli", a, b, imm=sh), encode("srai", c, a, imm=sh)],
        [encode("slli", a, b, imm=sh), encode("srli", a, a, imm=sh - 1)],
        [encode("czero.eqz", a, b, c), encode("czero.nez", d, a, c), encode("or", a, a, d)],
        [encode("addw", a, b, c), encode("addiw", d, a)],
        [encode("srl", a, b, c), encode("sub", d, 0, c), encode("sll", b, b, d),
         encode("or", a, a, b)],
        [encode("xor", a, b, c), encode("sltiu", d, a, imm=1)],
        [encode("slt", a, b, c), encode("xori", a, a, imm=1)],
        [encode("addi", 0, a, imm=1), encode("sltu", d, 0, c)],
        [encode("add", 0, b, c), encode("sltu", d, 0, c)],
    ]))


def extensions(draw):
    """Shift pairs of equal amount in one register, which are zero and sign extensions."""
    for sh in (0, 1, 16, 31, 32, 33, 48, 56, 63):
        for name in ("srli", "srai"):
            for rd, rs1 in ((10, 10), (11, 5), (3, 4), (15, 2)):
                code = encode("slli", rd, rs1, imm=sh) + encode(name, rd, rd, imm=sh)
                yield "sequences", f"extension-{sh}", code, draw.all_regs()


def write(folder):
    draw = Draw(20261)
    cases = [*singles(draw), *sequences(draw), *extensions(Draw(1))]
    results = qemu.run([(code, regs) for _, _, code, regs in cases])
    origin = (f"registers: {qemu.version()}, and tools/isa.py agrees; gas: tools/gas.py")
    files = {}
    for (ext, name, code, regs), after in zip(cases, results):
        file = files.setdefault(ext, File(ext, origin))

        def agrees(machine, after=after, name=name, code=code):
            assert machine.regs == after, (name, code.hex(), machine.regs, after)

        file.add(name, code + TRAP, regs=dict(enumerate(regs)), patch=agrees)
    return sum(file.write(folder) for file in files.values())
