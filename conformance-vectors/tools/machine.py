"""A PVM2 machine in Python: ISA §4, §8 to §11 and gas §4, §9, §10, §12."""

from gas import HOST_CALL_FLOOR, MGMT_OP_COST, Frame, depth
from isa import (BRANCHES, CODE_BASE, DATA_BASE, LOADS, M32, M64, PAGE, STORES, compute, sext, sx32,
                 taken, walk)


class Stop(Exception):
    """An exit: kind, pc, payload."""

    def __init__(self, kind, pc, **payload):
        super().__init__(kind)
        self.kind, self.pc, self.payload = kind, pc, payload


class Answer:
    """What the host does at a call: see `call` in the README of the vectors."""

    def __init__(self, call, flow, extra=0, gas=None, regs=None, writes=()):
        self.call, self.flow, self.extra, self.gas = call, flow, extra, gas
        self.regs, self.writes = regs or {}, list(writes)


class Machine:
    """One execution. `maps` are (start, size, kind); `content` maps addresses to bytes."""

    def __init__(self, code, maps=(), content=None, regs=None, pc=0, gas=1_000_000,
                 multiplier=None, answers=()):
        self.code, self.maps = code, list(maps)
        self.frame = Frame(self.maps, multiplier)
        insts, self.starts, self.end = walk(code)
        self.insts = dict(insts)
        self.regs = [0] * 16
        for reg, value in (regs or {}).items():
            self.regs[reg] = value
        self.pc, self.gas = pc, gas
        self.memory = {}
        for addr, data in (content or {}).items():
            for i, byte in enumerate(data):
                self.memory[addr + i] = byte
        self.before = (list(self.regs), pc, gas, dict(self.memory))
        self.private = set()
        self.answers = list(answers)
        self.pending = None
        self.costs = {}
        # The last exit's state, for what changed since.
        self.seen = None

    def again(self, pc=None, gas=None, regs=None):
        """The state before once more, but for what is said; answers are used up."""
        before = self.before
        self.regs, self.memory = list(before[0]), dict(before[3])
        self.pc = before[1] if pc is None else pc
        self.gas = before[2] if gas is None else gas
        for reg, value in (regs or {}).items():
            self.regs[reg] = value
        self.private, self.pending = set(), None

    # Memory: §4, §10.

    def mapping(self, page):
        for start, size, kind in self.maps:
            if start <= page * PAGE < start + size:
                return start, size, kind
        return None

    def access_class(self, page):
        address = page * PAGE
        if CODE_BASE <= address < CODE_BASE + -(-len(self.code) // PAGE) * PAGE:
            return "ro"
        found = self.mapping(page)
        if found is None:
            return "none"
        return "ro" if found[2] == "ro" else "rw"

    def pages(self, address, size):
        out = []
        for i in range(size):
            page = ((address + i) & M32) >> 12
            if page not in out:
                out.append(page)
        return out

    def check(self, address, size, write):
        for page in self.pages(address, size):
            kind = self.access_class(page)
            if kind == "none" or (write and kind == "ro"):
                raise Stop("page-fault", self.pc, page=page << 12)

    def byte(self, address):
        address &= M32
        if CODE_BASE <= address < DATA_BASE:
            offset = address - CODE_BASE
            return self.code[offset] if offset < len(self.code) else 0
        return self.memory.get(address, 0)

    def load(self, address, size):
        self.check(address, size, False)
        return int.from_bytes(bytes(self.byte(address + i) for i in range(size)), "little")

    def page_price(self, page):
        if page in self.private:
            return 0
        return self.frame.cow_cost(depth(self.mapping(page)[1] // PAGE))

    def materialise(self, address, size):
        for page in self.pages(address, size):
            self.private.add(page)

    def store(self, address, size, value):
        self.check(address, size, True)
        self.gas -= sum(self.page_price(page) for page in self.pages(address, size))
        assert self.gas >= 0, "the reserve covers every page"
        self.put(address, (value & ((1 << 8 * size) - 1)).to_bytes(size, "little"))

    def put(self, address, data):
        self.materialise(address, len(data))
        for i, byte in enumerate(data):
            self.memory[(address + i) & M32] = byte

    # Blocks: §9, gas §4.

    def block(self, start):
        out, at = [], start
        while at in self.insts and (at == start or at not in self.starts):
            out.append((at, self.insts[at]))
            at += self.insts[at].length
        return out, at

    def price(self, start):
        if start not in self.costs:
            self.costs[start] = self.frame.block([inst for _, inst in self.block(start)[0]])
        return self.costs[start]

    def blocks(self):
        """(start, end, cost, reserve) of every block."""
        return [(s, self.block(s)[1], *self.price(s)) for s in sorted(self.starts)]

    # Execution: §11.4.

    def run(self, gas=None):
        """Runs to an exit: (kind, payload)."""
        if gas is not None:
            self.gas = gas
        try:
            if self.pending is not None:
                call, self.pending = self.pending, None
                self.pc -= 4
                self.service(call)
            while True:
                self.step_block()
        except Stop as stop:
            self.pc = stop.pc
            return stop.kind, stop.payload

    def step_block(self):
        if self.pc not in self.starts:
            raise Stop("panic", self.pc)
        block, end = self.block(self.pc)
        first = block[0][1]
        if first.call():
            return self.service("kernel" if first.name == "ecall.jar" else first.imm & M32)
        cost, reserve = self.price(self.pc)
        if self.gas < cost + reserve:
            raise Stop("out-of-gas", self.pc)
        self.gas -= cost
        for at, inst in block:
            self.pc = at
            target = self.execute(at, inst)
            if target is not None:
                if target not in self.starts:
                    raise Stop("panic", at)
                self.pc = target
                return None
        self.pc = end
        if end == self.end:
            raise Stop("panic", end)
        return None

    def service(self, call):
        """Gas §9, with the answer that the vector gives."""
        own = self.pc
        answer = self.answers[0] if self.answers else None
        payload = {} if call == "kernel" else {"selector": call}
        kind = "ecall" if call == "kernel" else "host-call"
        if answer is None or answer.call != call or answer.flow == "leave":
            if answer is not None and answer.call == call:
                self.answers.pop(0)
            self.pending = call
            raise Stop(kind, own + 4, **payload, paid=False)
        pages = []
        for address, data in answer.writes:
            for page in self.pages(address, len(data)):
                assert self.access_class(page) == "rw", "vectors write writable pages only"
                if page not in pages:
                    pages.append(page)
        total = (MGMT_OP_COST if call == "kernel" else HOST_CALL_FLOOR) + answer.extra
        total += sum(self.page_price(page) for page in pages)
        if self.gas < total:
            raise Stop("out-of-gas", own)
        self.gas -= total
        self.answers.pop(0)
        for reg, value in answer.regs.items():
            self.regs[reg] = value
        for address, data in answer.writes:
            self.put(address, data)
        if answer.gas is not None:
            self.gas = answer.gas
        if answer.flow == "suspend":
            raise Stop(kind, own + 4, **payload, paid=True)
        if answer.flow == "halt":
            raise Stop("halt", own + 4)
        self.pc = own + 4
        if self.pc == self.end:
            raise Stop("panic", self.end)

    def write(self, rd, value):
        if rd:
            self.regs[rd] = value & M64

    def execute(self, at, inst):
        """Executes one instruction; the offset it jumps to, or None."""
        name, regs = inst.name, self.regs
        a = regs[inst.rs1] if inst.rs1 is not None else 0
        b = regs[inst.rs2] if inst.rs2 is not None else inst.imm & M64
        if name == "reserved":
            raise Stop("panic", at)
        if name == "trap":
            raise Stop("trap", at)
        if name in ("fence", "fence.i", "fallthrough"):
            return None
        if name in BRANCHES:
            return at + inst.imm if taken(name, a, b) else None
        if name in LOADS:
            size, signed = LOADS[name]
            value = self.load((a + inst.imm) & M64, size)
            self.write(inst.rd, sext(value, 8 * size) if signed else value)
        elif name in STORES:
            self.store((a + inst.imm) & M64, STORES[name], b)
        elif name == "lui":
            self.write(inst.rd, sx32(inst.imm << 12))
        elif name == "auipc":
            self.write(inst.rd, CODE_BASE + at + sext(inst.imm << 12, 32))
        elif name == "jal":
            self.write(inst.rd, CODE_BASE + at + inst.length)
            return at + inst.imm
        elif name == "jalr":
            target = ((a + inst.imm) & M64 & ~1) & M32
            self.write(inst.rd, CODE_BASE + at + inst.length)
            return target - CODE_BASE
        else:
            self.write(inst.rd, compute(name, a, b))
        return None
