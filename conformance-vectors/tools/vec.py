"""Vector files as text: runs `machine.Machine` and writes what it saw."""

from isa import decode_at, walk
from machine import Machine


def hexes(data):
    """HEX words of bytes, long runs of one byte as a count."""
    out, plain, i = [], b"", 0
    while i < len(data):
        run = 1
        while i + run < len(data) and data[i + run] == data[i]:
            run += 1
        if run >= 16:
            out += [plain[j:j + 4].hex() for j in range(0, len(plain), 4)]
            out.append(f"{data[i]:02x}*{run}")
            plain = b""
        else:
            plain += data[i:i + run]
        i += run
    return out + [plain[j:j + 4].hex() for j in range(0, len(plain), 4)]


def num(value):
    return str(value) if value < 4096 else hex(value)


def page_runs(pages):
    runs = []
    for page in sorted(pages):
        if runs and runs[-1][1] == page:
            runs[-1][1] += 1
        else:
            runs.append([page, page + 1])
    return [f"{a << 12:#x}" if b == a + 1 else f"{a << 12:#x}..{b << 12:#x}" for a, b in runs]


class File:
    """Collects vectors of one file."""

    def __init__(self, name, origin):
        self.name, self.names, self.count = name, set(), 0
        self.lines = ["pvm2-vectors 1", f"origin independent {origin}"]

    def add(self, name, code, note=None, maps=(), content=None, regs=None, pc=0, gas=None,
            multiplier=None, answers=(), resumes=(), blocks=False, run=True, expect=None,
            listing=True, code_words=None, patch=None, trim=False):
        """Runs the model and writes a vector.

        `resumes` is a list of gas values (None: unchanged), one for each further run; those that
        cannot be had because an exit is final are left out. A dictionary among them begins again,
        with these arguments of `Machine.again`. `expect` is checked against the model: (kind, pc, gas) of the last exit. `patch` is called with the
        machine after the first run and may compare it with another source. `trim` leaves registers
        at zero that no instruction names.
        """
        base, n = name, 1
        while name in self.names:
            n += 1
            name = f"{base}-{n}"
        self.names.add(name)
        self.count += 1
        out = self.lines
        out += ["", f"vector {name}"]
        if note:
            out.append(f"note {note}")
        if listing:
            out += list_code(code)
        words = code_words or hexes(code)
        for i in range(0, len(words), 12):
            out.append("code " + " ".join(words[i:i + 12]))
        out += [f"map {s:#x} {z:#x} {k}" for s, z, k in maps]
        for address, data in (content or {}).items():
            out.append(f"bytes {address:#x} " + " ".join(hexes(data)))
        if multiplier:
            out.append("multiplier " + " ".join(map(str, multiplier)))
        if trim:
            named = {r for _, i in walk(code)[0] for r in (i.rd, i.rs1, i.rs2)}
            regs = {r: v for r, v in regs.items() if r in named}
        out += reg_lines({r: v for r, v in sorted((regs or {}).items()) if v})
        start = [f"pc={num(pc)}"] if pc else []
        start += [f"gas={gas}"] if gas is not None else []
        if start:
            out.append("start " + " ".join(start))
        out += [call_line(answer) for answer in answers]
        machine = Machine(code, maps, content, regs, pc, 1_000_000 if gas is None else gas,
                          multiplier, answers)
        if blocks:
            for start, end, cost, reserve in machine.blocks():
                call = machine.insts[start].call()
                out.append(f"block {start}..{end}" + ("" if call else
                                                      f" cost={cost} reserve={reserve}"))
            out.append(f"end {machine.end}")
        if not run:
            return machine
        for i, gas in enumerate([None, *resumes]):
            if isinstance(gas, dict):
                out.append(again_line(gas))
                machine.again(**gas)
                gas = None
            elif i:
                if kind not in ("out-of-gas", "host-call", "ecall"):
                    continue
                out.append("resume" + (f" gas={gas}" if gas is not None else ""))
            before = (list(machine.regs), dict(machine.memory), set(machine.private))
            kind, payload = machine.run(gas)
            if patch and i == 0:
                patch(machine)
            out += exit_lines(machine, kind, payload, before)
        if expect is not None:
            assert (kind, machine.pc, machine.gas) == expect, (
                name, kind, machine.pc, machine.gas, expect)
        return machine

    def write(self, folder):
        path = folder / f"{self.name}.vec"
        path.write_text("\n".join(self.lines) + "\n")
        print(f"{self.count:6} {path.name}")
        return self.count


def list_code(code, most=12):
    out, at = [], 0
    while (inst := decode_at(code, at)) is not None and len(out) < most:
        out.append(f"# {at:4x} {inst}")
        at += inst.length
    return out


def reg_lines(regs):
    items = [f"x{r}={v:#x}" for r, v in regs.items()]
    return ["regs " + " ".join(items[i:i + 5]) for i in range(0, len(items), 5)]


def again_line(changes):
    words = [f"{key}={num(changes[key])}" for key in ("pc", "gas") if key in changes]
    return " ".join(["again", *words, *(f"x{r}={v:#x}" for r, v in changes.get("regs", {}).items())])


def call_line(answer):
    words = [str(answer.call), answer.flow]
    words += [f"extra={answer.extra}"] if answer.extra else []
    words += [f"gas={answer.gas}"] if answer.gas is not None else []
    words += [f"x{r}={v:#x}" for r, v in answer.regs.items()]
    words += [f"write={a:#x}:{d.hex()}" for a, d in answer.writes]
    return "call " + " ".join(words)


def exit_lines(machine, kind, payload, before):
    words = [kind, f"pc={num(machine.pc)}", f"gas={machine.gas}"]
    for key, value in payload.items():
        if key == "paid":
            words.append("paid" if value else "unpaid")
        else:
            words.append(f"{key}={value:#x}" if key == "page" else f"{key}={value}")
    out = ["exit " + " ".join(words)]
    regs, memory, private = before
    out += reg_lines({r: machine.regs[r] for r in range(1, 16) if machine.regs[r] != regs[r]})
    changed = sorted(a for a, v in machine.memory.items() if memory.get(a, 0) != v)
    runs = []
    for address in changed:
        if runs and runs[-1][0] + len(runs[-1][1]) == address:
            runs[-1][1].append(machine.memory[address])
        else:
            runs.append((address, [machine.memory[address]]))
    out += [f"bytes {a:#x} " + " ".join(hexes(bytes(d))) for a, d in runs]
    if machine.private != private:
        out.append("private " + " ".join(page_runs(machine.private) or ["none"]))
    return out
