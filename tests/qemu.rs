//! The standard part of PVM2 against `qemu-riscv64` in user mode: random programs with branches,
//! loops, calls, loads and stores, the same bytes at the same addresses on both sides, registers
//! compared at the end. Skipped with a message where the emulator is not installed.
//!
//! `RIVET_AGREE_SCALE` multiplies the number of programs, `RIVET_AGREE_SEED` moves to others.

#[path = "../jit/tests/common/maps.rs"]
mod maps;

#[path = "qemu/elf.rs"]
mod elf;

use elf::{CELL, Case, Text};
use rivet::engine::{Backend, Config, Engine, Exit, NoHost, Raw, Start, native_available};
use rivet::image::RegionKind;
use rivet::isa::arbitrary::Random;
use rivet::isa::{DATA_BASE, Ext, Flow, Gas, Inst, Op, Reg, Slot, compress, encode};
use std::process::Command;

/// Programs in one executable.
const PROGRAMS: usize = 400;
/// The register that points to a program's memory; nothing writes it.
const POINTER: Reg = Reg::SP;
/// The register that counts a loop; only the loop writes it.
const COUNTER: Reg = Reg::A5;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

/// A body of code under construction.
struct Body {
    random: Random,
    code: Vec<u8>,
}

impl Body {
    fn put(&mut self, inst: Inst) {
        let half = compress(inst).filter(|_| !self.random.once_in(3));
        match half {
            Some(half) => self.code.extend(half.to_le_bytes()),
            None => self.word(inst),
        }
    }

    fn word(&mut self, inst: Inst) {
        let word = encode(inst).expect("legal operands");
        self.code.extend(word.to_le_bytes());
    }

    fn of(&mut self, op: Op, rd: Reg, rs1: Reg, rs2: Reg, imm: i32) {
        self.word(Inst::from_parts(op, rd, rs1, rs2, imm));
    }

    /// A register that a program may write.
    fn free(&mut self) -> Reg {
        loop {
            let reg = self.random.reg();
            if reg != POINTER && reg != COUNTER {
                return reg;
            }
        }
    }

    /// An instruction without transfer of control.
    fn straight(&mut self) {
        let op = self.random.pick(Op::ALL);
        if op.ext() == Ext::Xjar || op.flow() != Flow::Next {
            return self.straight();
        }
        let drawn = self.random.inst(op);
        let (rd, rs1, rs2) = (self.free(), drawn.rs1(), drawn.rs2());
        let inst = Inst::from_parts(op, rd, rs1, rs2, drawn.imm());
        if op.is_load() || op.is_store() {
            let at = self.random.below(CELL as u64 - 8) as i32;
            self.put(Inst::from_parts(op, rd, POINTER, rs2, at));
        } else {
            self.put(inst);
        }
    }

    fn straights(&mut self, most: u64) {
        for _ in 0..self.random.below(most) {
            self.straight();
        }
    }

    /// Ends a block with an instruction that both machines know and that never jumps.
    fn end_block(&mut self) {
        self.of(Op::Bne, Reg::ZERO, Reg::ZERO, Reg::ZERO, 8);
    }

    /// A conditional branch over a few instructions.
    fn branch(&mut self) {
        let branches = [Op::Beq, Op::Bne, Op::Blt, Op::Bge, Op::Bltu, Op::Bgeu];
        let (op, rs1, rs2) = (
            self.random.pick(&branches),
            self.random.reg(),
            self.random.reg(),
        );
        let at = self.code.len();
        self.of(op, Reg::ZERO, rs1, rs2, 0);
        self.straights(6);
        self.end_block();
        let over = (self.code.len() - at) as i32;
        let inst = Inst::from_parts(op, Reg::ZERO, rs1, rs2, over);
        let word = encode(inst).expect("a short branch");
        self.code[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }

    /// A loop of a few rounds.
    fn round(&mut self) {
        let rounds = 1 + self.random.below(5) as i32;
        self.of(Op::Addi, COUNTER, Reg::ZERO, Reg::ZERO, rounds);
        self.end_block();
        let head = self.code.len();
        self.straights(8);
        self.of(Op::Addi, COUNTER, COUNTER, Reg::ZERO, -1);
        let back = head as i32 - self.code.len() as i32;
        self.of(Op::Bne, Reg::ZERO, COUNTER, Reg::ZERO, back);
    }

    /// A jump with its link, to what follows, directly or through a register.
    fn jump(&mut self) {
        let (rd, through) = (self.free(), self.free());
        if through.is_zero() {
            return self.of(Op::Jal, rd, Reg::ZERO, Reg::ZERO, 4);
        }
        self.of(Op::Auipc, through, Reg::ZERO, Reg::ZERO, 0);
        // An odd target loses its last bit.
        let odd = i32::from(self.random.once_in(2));
        self.of(Op::Jalr, rd, through, Reg::ZERO, 8 + odd);
    }
}

fn case(seed: u64, index: usize) -> Case {
    let mut body = Body {
        random: Random::new(seed),
        code: Vec::new(),
    };
    for _ in 0..3 + body.random.below(8) {
        match body.random.below(8) {
            0 => body.branch(),
            1 => body.round(),
            2 => body.jump(),
            _ => body.straights(6),
        }
    }
    let mut regs = [0; 16];
    for reg in &mut regs[1..] {
        *reg = body.random.value();
    }
    regs[usize::from(POINTER.number())] = Text::cell(index);
    Case {
        body: body.code,
        regs,
    }
}

/// What the emulator gives, or `None` if it is not installed.
fn emulated(text: &Text, cases: &[Case]) -> Option<Vec<[u64; 16]>> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("programs");
    std::fs::write(&file, text.elf(cases)).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&file, mode).expect("executable");
    }
    let mut command = Command::new("qemu-riscv64");
    let output = command.args(["-cpu", "max"]).arg(&file).output().ok()?;
    assert!(output.status.success(), "{output:?}");
    let results = elf::results(&output.stdout);
    assert_eq!(results.len(), cases.len(), "qemu reports each program");
    Some(results)
}

#[test]
fn random_programs_end_with_the_registers_that_qemu_gives() {
    maps::watch();
    let mut compared = 0;
    for round in 0..setting("RIVET_AGREE_SCALE", 1) {
        let first = setting("RIVET_AGREE_SEED", 1) << 40 | round << 20;
        let cases: Vec<Case> = (0..PROGRAMS).map(|i| case(first + i as u64, i)).collect();
        let text = Text::new(&cases);
        let Some(expected) = emulated(&text, &cases) else {
            println!("skipped: qemu-riscv64 is not installed");
            return;
        };
        for backend in [Backend::Interp, Backend::Jit] {
            if backend == Backend::Jit && native_available().is_err() {
                continue;
            }
            let config = Config {
                backend,
                ..Config::default()
            };
            let engine = Engine::new(config).expect("the backend runs here");
            let size = (PROGRAMS * CELL).next_multiple_of(4096) as u64;
            let raw = Raw::new(text.code.clone());
            let raw = raw.region(DATA_BASE, size, RegionKind::Ephemeral, Vec::new());
            let program = engine.load_raw(raw).expect("a valid program");
            for (i, case) in cases.iter().enumerate() {
                let (start, end) = text.bodies[i];
                let start = Slot::all().fold(Start::at(start).with_gas(Gas::MAX), |s, slot| {
                    s.with_slot(slot, case.regs[usize::from(slot.reg().number())])
                });
                let mut machine = program.machine(start).expect("a start");
                let exit = machine.run(&mut NoHost).expect("the host works");
                let name = format!("seed {} on {backend}", first + i as u64);
                assert_eq!((exit, machine.pc().value()), (Exit::Panic, end), "{name}");
                for reg in Reg::all() {
                    let (have, want) = (
                        machine.regs().get(reg),
                        expected[i][usize::from(reg.number())],
                    );
                    assert_eq!(
                        have,
                        want,
                        "{name}: x{} is {have:#x}, qemu says {want:#x}",
                        reg.number()
                    );
                }
                compared += 1;
            }
        }
    }
    println!("{compared} runs compared with qemu-riscv64");
}
