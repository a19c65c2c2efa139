"""Calls and pauses: every answer a host can give, and runs in several pieces."""

from isa import CODE_BASE, DATA_BASE, M64, encode
from machine import Answer
from values import Draw
from vec import File

TRAP = encode("trap")
FALL = encode("fallthrough")
KERNEL = encode("ecall.jar")
ORIGIN = "tools/machine.py, from ISA §6.13, §11 and gas §4, §9, §12"
MAPS = [(DATA_BASE, 0x3000, "cow"), (DATA_BASE + 0x4000, 0x1000, "ephemeral")]


def ecalli(n):
    return encode("ecalli", imm=n)


def call(draw):
    """(code, the call as the host sees it)"""
    if draw.randrange(4) == 0:
        return KERNEL, "kernel"
    n = draw.choice([0, 1, 5, -1, -2, 2047, -2048, draw.randrange(-2048, 2048)])
    return ecalli(n), n & 0xFFFF_FFFF


def answer(draw, kind, flow=None):
    writes = []
    if draw.randrange(3) == 0:
        at = DATA_BASE + draw.choice([0, 8, 0xFF8, 0xFFF, 0x1FFE, 0x2FF0, 0x4000, 0x4FF0])
        writes.append((at, bytes(draw.randrange(1, 256) for _ in range(draw.choice([1, 8, 16])))))
    regs = {draw.choice([1, 2, 3, 4, 10, 11, 15]): draw.value() for _ in range(draw.randrange(3))}
    return Answer(kind, flow or draw.choice(["continue", "continue", "continue", "suspend", "halt"]),
                  extra=draw.choice([0, 0, 1, 7, 1000]), regs=regs, writes=writes,
                  gas=draw.choice([None, None, None, None, 0, 50, 65536, (1 << 63) - 1]))


def body(draw):
    code = b"".join(encode(draw.choice(["add", "xor", "sub"]), *draw.regs(5))
                    for _ in range(draw.randrange(3)))
    if draw.randrange(3) == 0:
        code += encode("sd", rs1=14, rs2=10, imm=draw.choice([0, 8, 0x7F8]))
    return code + (FALL if draw.randrange(5) == 0 else b"")


def program(draw, calls):
    code, kinds = b"", []
    for _ in range(calls):
        word, kind = call(draw)
        code += body(draw) + word
        kinds.append(kind)
    return code + draw.choice([TRAP, b"", body(draw) + TRAP, bytes.fromhex("13")]), kinds


def registers(draw):
    regs = {r: draw.value() for r in range(1, 16)}
    regs[14] = DATA_BASE + draw.choice([0, 0xFF9, 0x2000, 0x4000])
    return regs


def answered(file, draw):
    for _ in range(220):
        code, kinds = program(draw, draw.randrange(1, 5))
        answers = [answer(draw, kind) for kind in kinds if draw.randrange(8)]
        file.add("calls", code, regs=registers(draw), maps=MAPS, answers=answers,
                 gas=draw.choice([None, 2000, 1500, 700, 300, 100, 99]), blocks=draw.randrange(6) == 0)
    for ignored in (0x0000_0000, 0x0000_0F80, 0x000F_8000, 0x000F_8F80):
        for word in (0x0050_200B, 0x0000_100B, 0xFFF0_200B):
            code = (word | ignored).to_bytes(4, "little") + TRAP
            file.add("ignored-fields", code, blocks=True)
    for n in (0, 1, -1, 2047, -2048):
        for gas in (99, 100, 101, 106, 107, 108):
            answers = [Answer(n & 0xFFFF_FFFF, "continue", extra=7, regs={10: 1})]
            file.add("priced", ecalli(n) + TRAP, gas=gas, answers=answers)
    for gas in (99, 100, 101):
        file.add("kernel-priced", KERNEL + TRAP, gas=gas, answers=[Answer("kernel", "continue")])
    file.add("loop", ecalli(3) + encode("addi", 10, 10, imm=-1)
             + encode("bne", rs1=10, rs2=0, imm=-8) + TRAP, regs={10: 5},
             answers=[Answer(3, "continue", regs={11: i}) for i in range(5)])
    file.add("into-a-call", encode("jalr", 0, 5) + TRAP + KERNEL + TRAP, regs={5: CODE_BASE + 8})
    file.add("other-call", ecalli(4) + TRAP, answers=[Answer(5, "continue")])


def pausing(file, draw):
    for _ in range(170):
        code, kinds = program(draw, draw.randrange(1, 5))
        answers = [answer(draw, kind, draw.choice(["suspend", "suspend", "continue"]))
                   for kind in kinds]
        for a in answers:
            a.gas = None
        resumes = [draw.choice([None, None, 5000, 400, 100, 30, 1]) for _ in range(7)]
        file.add("pause", code, regs=registers(draw), maps=MAPS, answers=answers, resumes=resumes,
                 gas=draw.choice([2000, 700, 300, 120, 10, 0]))
    for _ in range(40):
        code, kinds = program(draw, 3)
        file.add("unanswered", code, regs=registers(draw), maps=MAPS, resumes=[None, 1 << 20],
                 gas=draw.choice([2000, 300, 1]))
    sp = {2: DATA_BASE + 0x10, 10: M64, 11: 3}
    loop = (encode("sd", rs1=2, rs2=11) + encode("addi", 2, 2, imm=2040)
            + encode("addi", 11, 11, imm=-1) + encode("bne", rs1=11, rs2=0, imm=-12) + TRAP)
    total = 3 * 22 + 2 * 256 + 1
    for gas in [*range(0, 30, 7), *range(520, 560, 3), *range(total - 3, total + 4), 800, 1024]:
        file.add("budget", loop, regs=sp, maps=MAPS, gas=gas, resumes=[600, 512 + 22, 533, 1000])
    for word in (ecalli(9), KERNEL):
        kind = "kernel" if word == KERNEL else 9
        for gas in (0, 100, 101, 102, 201, 202, 203):
            code = encode("addi", 10, 10, imm=1) + word + encode("addi", 10, 10, imm=1) + word + TRAP
            answers = [Answer(kind, "continue"), Answer(kind, "suspend", regs={11: 4})]
            file.add("budget-of-calls", code, gas=gas, answers=answers, resumes=[1, 100, 101, 300])
    big = (1 << 63) - 1
    for gas in (1 << 16, (1 << 16) + 21, 1 << 31, (1 << 31) + 22, 1 << 32, 1 << 62, big):
        for delta in (-1, 0, 1):
            if gas + delta <= big:
                file.add("large-budget", loop, regs=sp, maps=MAPS, gas=gas + delta)


def xjar(file, draw):
    """Every custom-0 function with ignored fields, at the start, middle and end of a block."""
    for funct3 in range(8):
        for i in range(8):
            word = 0x0B | funct3 << 12 | (draw.getrandbits(5) << 7 | draw.getrandbits(5) << 15
                                          if i % 2 else 0) | draw.getrandbits(12) << 20
            lead = [b"", encode("addi", 6, 6, imm=1), bytes.fromhex("0503")][i % 3]
            file.add(f"custom-0-{funct3}", lead + word.to_bytes(4, "little") + lead + TRAP,
                     regs={r: draw.value() for r in (6, 11, 14)}, blocks=True,
                     gas=draw.choice([None, 1, 0, 2]))
    for opcode in (0x2B, 0x5B, 0x7B, 0x73, 0x1F, 0x3F, 0x7F, 0x07, 0x27, 0x2F, 0x43, 0x53):
        word = opcode | draw.getrandbits(25) << 7
        file.add("not-in-the-profile", encode("addi", 6, 6, imm=1) + word.to_bytes(4, "little")
                 + TRAP, blocks=True)


def write(folder):
    draw = Draw(20264)
    total = 0
    for name, family in (("host-calls", answered), ("pausing", pausing), ("xjar", xjar)):
        file = File(name, ORIGIN)
        family(file, draw)
        total += file.write(folder)
    return total
