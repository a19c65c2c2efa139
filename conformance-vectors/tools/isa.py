"""PVM2 instructions in Python, transcribed from the ISA text alone (sections cited).

Nothing here was taken from an engine: this is the other side of the comparison.
"""

CODE_BASE = 0x0040_0000
DATA_BASE = 0x1000_0000
PAGE = 4096
M64 = (1 << 64) - 1
M32 = (1 << 32) - 1

# ISA §6.3 to §6.13: mnemonic, format, mask, match.
TABLE = [
    (name, form, int(mask, 16), int(match, 16))
    for name, form, mask, match in (
        line.split()
        for line in """
lui U 0x0000007F 0x00000037
auipc U 0x0000007F 0x00000017
jal J 0x0000007F 0x0000006F
jalr I 0x0000707F 0x00000067
beq B 0x0000707F 0x00000063
bne B 0x0000707F 0x00001063
blt B 0x0000707F 0x00004063
bge B 0x0000707F 0x00005063
bltu B 0x0000707F 0x00006063
bgeu B 0x0000707F 0x00007063
lb I 0x0000707F 0x00000003
lh I 0x0000707F 0x00001003
lw I 0x0000707F 0x00002003
ld I 0x0000707F 0x00003003
lbu I 0x0000707F 0x00004003
lhu I 0x0000707F 0x00005003
lwu I 0x0000707F 0x00006003
sb S 0x0000707F 0x00000023
sh S 0x0000707F 0x00001023
sw S 0x0000707F 0x00002023
sd S 0x0000707F 0x00003023
addi I 0x0000707F 0x00000013
slti I 0x0000707F 0x00002013
sltiu I 0x0000707F 0x00003013
xori I 0x0000707F 0x00004013
ori I 0x0000707F 0x00006013
andi I 0x0000707F 0x00007013
slli I6 0xFC00707F 0x00001013
srli I6 0xFC00707F 0x00005013
srai I6 0xFC00707F 0x40005013
add R 0xFE00707F 0x00000033
sub R 0xFE00707F 0x40000033
sll R 0xFE00707F 0x00001033
slt R 0xFE00707F 0x00002033
sltu R 0xFE00707F 0x00003033
xor R 0xFE00707F 0x00004033
srl R 0xFE00707F 0x00005033
sra R 0xFE00707F 0x40005033
or R 0xFE00707F 0x00006033
and R 0xFE00707F 0x00007033
addiw I 0x0000707F 0x0000001B
slliw I5 0xFE00707F 0x0000101B
srliw I5 0xFE00707F 0x0000501B
sraiw I5 0xFE00707F 0x4000501B
addw R 0xFE00707F 0x0000003B
subw R 0xFE00707F 0x4000003B
sllw R 0xFE00707F 0x0000103B
srlw R 0xFE00707F 0x0000503B
sraw R 0xFE00707F 0x4000503B
mul R 0xFE00707F 0x02000033
mulh R 0xFE00707F 0x02001033
mulhsu R 0xFE00707F 0x02002033
mulhu R 0xFE00707F 0x02003033
div R 0xFE00707F 0x02004033
divu R 0xFE00707F 0x02005033
rem R 0xFE00707F 0x02006033
remu R 0xFE00707F 0x02007033
mulw R 0xFE00707F 0x0200003B
divw R 0xFE00707F 0x0200403B
divuw R 0xFE00707F 0x0200503B
remw R 0xFE00707F 0x0200603B
remuw R 0xFE00707F 0x0200703B
andn R 0xFE00707F 0x40007033
orn R 0xFE00707F 0x40006033
xnor R 0xFE00707F 0x40004033
clz I1 0xFFF0707F 0x60001013
ctz I1 0xFFF0707F 0x60101013
cpop I1 0xFFF0707F 0x60201013
clzw I1 0xFFF0707F 0x6000101B
ctzw I1 0xFFF0707F 0x6010101B
cpopw I1 0xFFF0707F 0x6020101B
max R 0xFE00707F 0x0A006033
maxu R 0xFE00707F 0x0A007033
min R 0xFE00707F 0x0A004033
minu R 0xFE00707F 0x0A005033
sext.b I1 0xFFF0707F 0x60401013
sext.h I1 0xFFF0707F 0x60501013
zext.h I1 0xFFF0707F 0x0800403B
rol R 0xFE00707F 0x60001033
ror R 0xFE00707F 0x60005033
rori I6 0xFC00707F 0x60005013
rolw R 0xFE00707F 0x6000103B
rorw R 0xFE00707F 0x6000503B
roriw I5 0xFE00707F 0x6000501B
orc.b I1 0xFFF0707F 0x28705013
rev8 I1 0xFFF0707F 0x6B805013
add.uw R 0xFE00707F 0x0800003B
sh1add R 0xFE00707F 0x20002033
sh2add R 0xFE00707F 0x20004033
sh3add R 0xFE00707F 0x20006033
sh1add.uw R 0xFE00707F 0x2000203B
sh2add.uw R 0xFE00707F 0x2000403B
sh3add.uw R 0xFE00707F 0x2000603B
slli.uw I6 0xFC00707F 0x0800101B
bclr R 0xFE00707F 0x48001033
bclri I6 0xFC00707F 0x48001013
bext R 0xFE00707F 0x48005033
bexti I6 0xFC00707F 0x48005013
binv R 0xFE00707F 0x68001033
binvi I6 0xFC00707F 0x68001013
bset R 0xFE00707F 0x28001033
bseti I6 0xFC00707F 0x28001013
czero.eqz R 0xFE00707F 0x0E005033
czero.nez R 0xFE00707F 0x0E007033
fence N 0x0000707F 0x0000000F
fence.i N 0x0000707F 0x0000100F
trap N 0x0000707F 0x0000000B
ecall.jar N 0x0000707F 0x0000100B
ecalli H 0x0000707F 0x0000200B
fallthrough N 0x0000707F 0x0000400B
""".strip().splitlines()
    )
]
BY_NAME = {name: (form, mask, match) for name, form, mask, match in TABLE}

LOADS = {"lb": (1, True), "lh": (2, True), "lw": (4, True), "ld": (8, False),
         "lbu": (1, False), "lhu": (2, False), "lwu": (4, False)}
STORES = {"sb": 1, "sh": 2, "sw": 4, "sd": 8}
BRANCHES = {"beq", "bne", "blt", "bge", "bltu", "bgeu"}
# Register operands of each format (§6.1, §6.2).
OPERANDS = {"R": ("rd", "rs1", "rs2"), "I": ("rd", "rs1"), "I6": ("rd", "rs1"),
            "I5": ("rd", "rs1"), "I1": ("rd", "rs1"), "S": ("rs1", "rs2"),
            "B": ("rs1", "rs2"), "U": ("rd",), "J": ("rd",), "N": (), "H": ()}


def sext(value, bits):
    """The low `bits` bits as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def s64(v):
    return sext(v, 64)


def sx32(v):
    return sext(v, 32) & M64


class Inst:
    """A decoded instruction; `name` is "reserved" for what must not execute."""

    __slots__ = ("name", "rd", "rs1", "rs2", "imm", "length")

    def __init__(self, name, rd=None, rs1=None, rs2=None, imm=0, length=4):
        self.name, self.rd, self.rs1, self.rs2 = name, rd, rs1, rs2
        self.imm, self.length = imm, length

    def terminator(self):
        """§9.1"""
        return self.name in BRANCHES or self.name in (
            "trap", "ecall.jar", "ecalli", "fallthrough", "jal", "jalr", "reserved")

    def call(self):
        return self.name in ("ecall.jar", "ecalli")

    def __str__(self):
        parts = [f"x{r}" for r in (self.rd, self.rs1, self.rs2) if r is not None]
        if self.name in LOADS or self.name == "jalr":
            parts = [f"x{self.rd}", f"{self.imm}(x{self.rs1})"]
        elif self.name in STORES:
            parts = [f"x{self.rs2}", f"{self.imm}(x{self.rs1})"]
        elif self.name not in NO_IMMEDIATE:
            parts.append(str(self.imm))
        return f"{self.name} {', '.join(parts)}".strip()


NO_IMMEDIATE = {n for n, f, _, _ in TABLE if f in ("R", "I1", "N")} | {"reserved"}


def bits(v, high, low):
    return (v >> low) & ((1 << (high - low + 1)) - 1)


def decode_word(v):
    """§6: the row with v & mask == match, then the register check."""
    for name, form, mask, match in TABLE:
        if v & mask == match:
            break
    else:
        return Inst("reserved")
    fields = {"rd": bits(v, 11, 7), "rs1": bits(v, 19, 15), "rs2": bits(v, 24, 20)}
    regs = {r: fields[r] for r in OPERANDS[form]}
    if any(r > 15 for r in regs.values()):
        return Inst("reserved")
    imm = 0
    if form == "I":
        imm = sext(v >> 20, 12)
    elif form == "H":
        imm = sext(v >> 20, 12)
    elif form == "I6":
        imm = bits(v, 25, 20)
    elif form == "I5":
        imm = bits(v, 24, 20)
    elif form == "S":
        imm = sext(bits(v, 31, 25) << 5 | bits(v, 11, 7), 12)
    elif form == "B":
        imm = sext(bits(v, 31, 31) << 12 | bits(v, 7, 7) << 11 | bits(v, 30, 25) << 5
                   | bits(v, 11, 8) << 1, 13)
    elif form == "U":
        imm = bits(v, 31, 12)
    elif form == "J":
        imm = sext(bits(v, 31, 31) << 20 | bits(v, 19, 12) << 12 | bits(v, 20, 20) << 11
                   | bits(v, 30, 21) << 1, 21)
    return Inst(name, regs.get("rd"), regs.get("rs1"), regs.get("rs2"), imm)


def decode_half(h):
    """§7.1 to §7.3: the expansion, with length 2."""
    inst = expand(h)
    if inst is None or any(r is not None and r > 15 for r in (inst.rd, inst.rs1, inst.rs2)):
        inst = Inst("reserved")
    inst.length = 2
    return inst


def expand(h):
    quadrant, top = h & 3, h >> 13
    low, high = 8 + bits(h, 4, 2), 8 + bits(h, 9, 7)  # primed fields
    full, rs2 = bits(h, 11, 7), bits(h, 6, 2)
    u6 = bits(h, 12, 12) << 5 | bits(h, 6, 2)
    i6 = sext(u6, 6)
    lw = bits(h, 12, 10) << 3 | bits(h, 6, 6) << 2 | bits(h, 5, 5) << 6
    ld = bits(h, 12, 10) << 3 | bits(h, 6, 5) << 6
    if quadrant == 0:
        if top == 0:
            u = bits(h, 12, 11) << 4 | bits(h, 10, 7) << 6 | bits(h, 6, 6) << 2 | bits(h, 5, 5) << 3
            return Inst("addi", low, 2, None, u) if u else None
        return {2: lambda: Inst("lw", low, high, None, lw),
                3: lambda: Inst("ld", low, high, None, ld),
                6: lambda: Inst("sw", None, high, low, lw),
                7: lambda: Inst("sd", None, high, low, ld)}.get(top, lambda: None)()
    if quadrant == 1:
        return quadrant1(h, top, low, high, full, u6, i6)
    if top == 0:
        return Inst("slli", full, full, None, u6)
    if top == 2:
        u = bits(h, 12, 12) << 5 | bits(h, 6, 4) << 2 | bits(h, 3, 2) << 6
        return Inst("lw", full, 2, None, u) if full else None
    if top == 3:
        u = bits(h, 12, 12) << 5 | bits(h, 6, 5) << 3 | bits(h, 4, 2) << 6
        return Inst("ld", full, 2, None, u) if full else None
    if top == 4:
        if not bits(h, 12, 12):
            if rs2:
                return Inst("add", full, 0, rs2)
            return Inst("jalr", 0, full, None, 0) if full else None
        if rs2:
            return Inst("add", full, full, rs2)
        return Inst("jalr", 1, full, None, 0) if full else None
    if top == 6:
        return Inst("sw", None, 2, rs2, bits(h, 12, 9) << 2 | bits(h, 8, 7) << 6)
    if top == 7:
        return Inst("sd", None, 2, rs2, bits(h, 12, 10) << 3 | bits(h, 9, 7) << 6)
    return None


def quadrant1(h, top, low, high, full, u6, i6):
    if top == 0:
        return Inst("addi", full, full, None, i6)
    if top == 1:
        return Inst("addiw", full, full, None, i6) if full else None
    if top == 2:
        return Inst("addi", full, 0, None, i6)
    if top == 3:
        if full == 2:
            s = sext(bits(h, 12, 12) << 9 | bits(h, 6, 6) << 4 | bits(h, 5, 5) << 6
                     | bits(h, 4, 3) << 7 | bits(h, 2, 2) << 5, 10)
            return Inst("addi", 2, 2, None, s) if s else None
        return Inst("lui", full, None, None, i6 & 0xFFFFF) if i6 else None
    if top == 4:
        kind = bits(h, 11, 10)
        if kind < 2:
            return Inst(("srli", "srai")[kind], high, high, None, u6)
        if kind == 2:
            return Inst("andi", high, high, None, i6)
        names = ("subw", "addw", None, None) if bits(h, 12, 12) else ("sub", "xor", "or", "and")
        name = names[bits(h, 6, 5)]
        return Inst(name, high, high, low) if name else None
    if top == 5:
        s = (bits(h, 12, 12) << 11 | bits(h, 11, 11) << 4 | bits(h, 10, 9) << 8
             | bits(h, 8, 8) << 10 | bits(h, 7, 7) << 6 | bits(h, 6, 6) << 7
             | bits(h, 5, 3) << 1 | bits(h, 2, 2) << 5)
        return Inst("jal", 0, None, None, sext(s, 12))
    s = (bits(h, 12, 12) << 8 | bits(h, 11, 10) << 3 | bits(h, 6, 5) << 6 | bits(h, 4, 3) << 1
         | bits(h, 2, 2) << 5)
    return Inst("beq" if top == 6 else "bne", None, high, 0, sext(s, 9))


def decode_at(code, at):
    """§5: the instruction at an offset, or None where the walk stops."""
    left = len(code) - at
    if left < 2:
        return None
    half = int.from_bytes(code[at:at + 2], "little")
    if half & 3 != 3:
        return decode_half(half)
    if left < 4:
        return None
    return decode_word(int.from_bytes(code[at:at + 4], "little"))


def walk(code):
    """§9.2: (offset, instruction) pairs, the set of starts, END."""
    insts, starts, at, fresh = [], set(), 0, True
    while (inst := decode_at(code, at)) is not None:
        if fresh or inst.call():
            starts.add(at)
        fresh = inst.terminator()
        insts.append((at, inst))
        at += inst.length
    return insts, starts, at


def div(a, b):
    """Quotient that rounds toward zero."""
    q = abs(a) // abs(b)
    return -q if (a < 0) != (b < 0) else q


def divide(name, a, b, width):
    """§6.10, on operands of `width` bits; the result is not yet extended."""
    signed = "u" not in name
    if signed:
        a, b = sext(a, width), sext(b, width)
    else:
        a, b = a & ((1 << width) - 1), b & ((1 << width) - 1)
    if name.startswith("div"):
        return -1 if b == 0 else div(a, b)
    return a if b == 0 else a - b * div(a, b)


def rotate_right(v, by, width):
    v &= (1 << width) - 1
    return (v >> by | v << (width - by)) & ((1 << width) - 1)


def compute(name, a, b):
    """The value of X[rd] of a computational row; `b` is X[rs2] or the immediate modulo 2^64."""
    if name.endswith("w") and name[:-1] in W_FORMS:
        return sx32(compute_w(name[:-1], a, b))
    sh = b & 63
    base = {"addi": "add", "slti": "slt", "sltiu": "sltu", "xori": "xor", "ori": "or",
            "andi": "and", "slli": "sll", "srli": "srl", "srai": "sra", "rori": "ror",
            "bclri": "bclr", "bexti": "bext", "binvi": "binv", "bseti": "bset"}.get(name, name)
    if base in ("div", "divu", "rem", "remu"):
        return divide(base, a, b, 64) & M64
    uw = a & M32
    results = {
        "add": lambda: a + b, "sub": lambda: a - b, "xor": lambda: a ^ b, "or": lambda: a | b,
        "and": lambda: a & b, "sll": lambda: a << sh, "srl": lambda: a >> sh,
        "sra": lambda: s64(a) >> sh, "slt": lambda: int(s64(a) < s64(b)),
        "sltu": lambda: int(a < b),
        "mul": lambda: a * b, "mulh": lambda: s64(a) * s64(b) >> 64,
        "mulhsu": lambda: s64(a) * b >> 64, "mulhu": lambda: a * b >> 64,
        "andn": lambda: a & ~b, "orn": lambda: a | (~b & M64), "xnor": lambda: ~(a ^ b),
        "min": lambda: min(a, b, key=s64), "max": lambda: max(a, b, key=s64),
        "minu": lambda: min(a, b), "maxu": lambda: max(a, b),
        "rol": lambda: rotate_right(a, (64 - sh) & 63, 64), "ror": lambda: rotate_right(a, sh, 64),
        "clz": lambda: 64 - a.bit_length(),
        "ctz": lambda: 64 if a == 0 else (a & -a).bit_length() - 1,
        "cpop": lambda: a.bit_count(),
        "clzw": lambda: 32 - uw.bit_length(),
        "ctzw": lambda: 32 if uw == 0 else (uw & -uw).bit_length() - 1,
        "cpopw": lambda: uw.bit_count(),
        "sext.b": lambda: sext(a, 8), "sext.h": lambda: sext(a, 16), "zext.h": lambda: a & 0xFFFF,
        "orc.b": lambda: sum(0xFF << i for i in range(0, 64, 8) if a >> i & 0xFF),
        "rev8": lambda: int.from_bytes(a.to_bytes(8, "little"), "big"),
        "add.uw": lambda: b + uw, "slli.uw": lambda: uw << sh,
        "sh1add": lambda: b + (a << 1), "sh2add": lambda: b + (a << 2),
        "sh3add": lambda: b + (a << 3), "sh1add.uw": lambda: b + (uw << 1),
        "sh2add.uw": lambda: b + (uw << 2), "sh3add.uw": lambda: b + (uw << 3),
        "bclr": lambda: a & ~(1 << sh), "bset": lambda: a | 1 << sh, "binv": lambda: a ^ 1 << sh,
        "bext": lambda: a >> sh & 1,
        "czero.eqz": lambda: 0 if b == 0 else a, "czero.nez": lambda: 0 if b != 0 else a,
    }
    return results[base]() & M64


W_FORMS = {"addi", "slli", "srli", "srai", "add", "sub", "sll", "srl", "sra", "mul", "div",
           "divu", "rem", "remu", "rol", "ror", "rori"}


def compute_w(name, a, b):
    """§6.9 to §6.11: the low 32 bits of a W form."""
    sh, w = b & 31, a & M32
    if name in ("div", "divu", "rem", "remu"):
        return divide(name, a, b, 32)
    return {
        "addi": lambda: a + b, "add": lambda: a + b, "sub": lambda: a - b, "mul": lambda: a * b,
        "slli": lambda: w << sh, "sll": lambda: w << sh, "srli": lambda: w >> sh,
        "srl": lambda: w >> sh, "srai": lambda: sext(a, 32) >> sh,
        "sra": lambda: sext(a, 32) >> sh, "rol": lambda: rotate_right(w, (32 - sh) & 31, 32),
        "ror": lambda: rotate_right(w, sh, 32), "rori": lambda: rotate_right(w, sh, 32),
    }[name]()


def taken(name, a, b):
    """§6.4"""
    return {"beq": a == b, "bne": a != b, "blt": s64(a) < s64(b), "bge": s64(a) >= s64(b),
            "bltu": a < b, "bgeu": a >= b}[name]


def encode(name, rd=0, rs1=0, rs2=0, imm=0):
    """A 32-bit word as bytes (§6.1)."""
    form, _, match = BY_NAME[name]
    word = match
    if "rd" in OPERANDS[form]:
        word |= rd << 7
    if "rs1" in OPERANDS[form]:
        word |= rs1 << 15
    if "rs2" in OPERANDS[form]:
        word |= rs2 << 20
    if form in ("I", "H"):
        word |= (imm & 0xFFF) << 20
    elif form in ("I5", "I6"):
        word |= imm << 20
    elif form == "S":
        word |= bits(imm, 11, 5) << 25 | bits(imm, 4, 0) << 7
    elif form == "B":
        word |= (bits(imm, 12, 12) << 31 | bits(imm, 11, 11) << 7 | bits(imm, 10, 5) << 25
                 | bits(imm, 4, 1) << 8)
    elif form == "U":
        word |= (imm & 0xFFFFF) << 12
    elif form == "J":
        word |= (bits(imm, 20, 20) << 31 | bits(imm, 19, 12) << 12 | bits(imm, 11, 11) << 20
                 | bits(imm, 10, 1) << 21)
    return word.to_bytes(4, "little")
