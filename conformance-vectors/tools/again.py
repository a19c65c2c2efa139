"""Machines that begin again: nothing of an earlier run may be left."""

from isa import DATA_BASE, STORES, encode
from machine import Answer
from values import Draw
from vec import File

TRAP = encode("trap")
FALL = encode("fallthrough")
KERNEL = encode("ecall.jar")
ORIGIN = "tools/machine.py, from ISA §11, §13 and gas §4, §9, §10, §12"
PAGE = 4096
# A run of pages with content, one without, and one so large that few of its pages are touched.
MAPS = [(DATA_BASE, 0x40 * PAGE, "cow"), (0x2000_0000, 0x40 * PAGE, "ephemeral"),
        (0x4000_0000, 0x1000 * PAGE, "cow")]
CONTENT = {DATA_BASE + 5 * PAGE + 8: b"\xA5" * 24, 0x2000_0000 + 7 * PAGE: b"\x5A" * 16}
STARTS = [start for start, _, _ in MAPS]


def store_and_load():
    """Reads, writes and reads again where x10 says, x12 pages in all, x11 apart."""
    return (encode("ld", 5, 10) + encode("add", 6, 6, 5) + encode("sd", rs1=10, rs2=12)
            + encode("ld", 5, 10) + encode("add", 7, 7, 5) + encode("add", 10, 10, 11)
            + encode("addi", 12, 12, imm=-1) + encode("bne", rs1=12, rs2=0, imm=-28) + TRAP)


def add(file, name, code, **more):
    file.add(name, code, maps=MAPS, content=CONTENT, **more)


def neighbours(file, draw):
    """Another run writes beside what the first one wrote, or reads it, or both."""
    code = store_and_load()
    for _ in range(120):
        start, page = draw.choice(STARTS), draw.randrange(0, 60)
        where = {10: start + page * PAGE + draw.choice([0, 8, 4092, 4089]), 11: PAGE,
                 12: draw.choice([1, 1, 2, 3])}
        agains = []
        for _ in range(draw.randrange(1, 4)):
            near = min(63, max(0, page + draw.choice([0, 1, -1, 2, 7, 15, -7])))
            count = draw.choice([1, 1, 2, 16]) if near < 48 else 1
            agains.append({"regs": {10: start + near * PAGE + draw.choice([0, 8, 16]),
                                    11: draw.choice([PAGE, PAGE, 8]), 12: count}})
            if draw.randrange(3) == 0:
                agains[-1]["gas"] = draw.choice([260, 600, 1 << 20, (1 << 62)])
            if draw.randrange(4) == 0:
                agains.append(draw.choice([None, 30_000]))
        if where[12] > 1 and page > 60 - where[12]:
            where[12] = 1
        add(file, "beside", code, regs=where, gas=draw.choice([None, None, 900, 1 << 40]),
            resumes=agains)


def widths(file, draw):
    """Stores of every width, straddling ones and such that fault, one after the other."""
    for _ in range(100):
        name = draw.choice(sorted(STORES))
        code = (encode(name, rs1=10, rs2=11) + encode("ld", 12, 10) + FALL
                + encode(draw.choice(sorted(STORES)), rs1=13, rs2=10) + TRAP)

        def place():
            start = draw.choice(STARTS)
            return start + draw.choice([0, PAGE - 4, PAGE, 3 * PAGE - 1, 0x40 * PAGE - 4, -1, 8,
                                        7 * PAGE, 5 * PAGE + 8])
        regs = {10: place(), 11: draw.value(), 13: place()}
        agains = [{"regs": {draw.choice([10, 13]): place(), 11: draw.value()}}
                  for _ in range(draw.randrange(1, 4))]
        add(file, "widths", code, regs=regs, resumes=agains,
            gas=draw.choice([None, 2000, 1100, 600, 70]))


def calls(file, draw):
    """Calls that are open, answered late or write memory when the machine begins again."""
    for _ in range(100):
        word, kind = draw.choice([(encode("ecalli", imm=7), 7), (KERNEL, "kernel")])
        code = (encode("sd", rs1=10, rs2=11) + word + encode("ld", 12, 10)
                + encode("sb", rs1=13, rs2=11) + word + TRAP)
        page = draw.randrange(1, 60)
        start = draw.choice(STARTS)
        regs = {10: start + page * PAGE, 11: draw.value() | 1,
                13: start + (page + draw.choice([0, 1, 2])) * PAGE + 9}
        answers = []
        for _ in range(draw.randrange(1, 7)):
            flow = draw.choice(["leave", "leave", "continue", "continue", "suspend"])
            writes = [(start + (page + draw.choice([0, 1, 3])) * PAGE + 64, b"\x77" * 8)]
            answers.append(Answer(kind, flow) if flow == "leave" else
                           Answer(kind, flow, regs={14: draw.value()}, extra=draw.choice([0, 3]),
                                  writes=writes if draw.randrange(2) else []))
        resumes = [draw.choice([None, None, 5000, {}, {"gas": draw.choice([100, 700, 5000])},
                                {"pc": 4}]) for _ in range(draw.randrange(2, 7))]
        add(file, "calls", code, regs=regs, resumes=resumes, answers=answers,
            gas=draw.choice([None, 5000, 1500, 700]))


def many(file):
    """Many pages, far from each other or not, then those between them, and the same ones again.

    An engine may make neighbours of a written page writable in advance and leave some of them so
    at the end of a run; when the machine begins again, each first write must be found all the same.
    """
    code = store_and_load()
    for start in STARTS:
        for apart, count in ((1, 1), (1, 60), (2, 30), (3, 20), (2, 20)):
            regs = {10: start + PAGE, 11: apart * PAGE, 12: count}
            between = {"regs": {10: start + 2 * PAGE}}
            few = {"regs": {10: start + 4 * PAGE, 11: 3 * PAGE, 12: 4}}
            one = {"regs": {10: start + 9 * PAGE, 11: 8, 12: 40}}
            for row in ((between, {}), (few, one, between), (one, few)):
                add(file, f"every-{apart}-of-{count}", code, regs=regs, gas=1 << 40, resumes=row)


def write(folder):
    draw = Draw(20266)
    file = File("again", ORIGIN)
    neighbours(file, draw)
    widths(file, draw)
    calls(file, draw)
    many(file)
    return file.write(folder)
