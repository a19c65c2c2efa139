//! A static RV64 executable that runs programs one after the other and reports their registers.
//!
//! ```text
//! CODE_BASE   per program:  ld x1..x15 from [x31]   program   sd x1..x15 to [x30]   advance both
//!             write(1, results), exit(0)
//! DATA_BASE   a cell for each program │ initial registers │ results
//! ```
//!
//! Registers above x15 hold the pointers. To PVM2 an instruction that names one is reserved, so the
//! same bytes are a PVM2 program: each body starts a block and ends in Panic at its end.

use rivet_isa::{CODE_BASE, DATA_BASE};

/// Bytes of one set of registers x1 to x15.
const SET: usize = 15 * 8;
/// Bytes of memory that a program has to itself.
pub(super) const CELL: usize = 64;

/// A program and the registers it starts with; index 0 is x0.
pub(super) struct Case {
    pub(super) body: Vec<u8>,
    pub(super) regs: [u64; 16],
}

/// The code of all programs, and where each begins and ends.
pub(super) struct Text {
    pub(super) code: Vec<u8>,
    pub(super) bodies: Vec<(u64, u64)>,
    cells: usize,
}

/// `ld rd, imm(rs1)` or `sd rs2, imm(rs1)` and the like, for any register.
fn i_type(opcode: u32, funct3: u32, rd: u32, rs1: u32, imm: i32) -> u32 {
    (imm as u32) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode
}

fn sd(rs2: u32, rs1: u32, imm: u32) -> u32 {
    (imm >> 5) << 25 | rs2 << 20 | rs1 << 15 | 3 << 12 | (imm & 31) << 7 | 0x23
}

fn lui(rd: u32, value: usize) -> u32 {
    value as u32 & 0xFFFF_F000 | rd << 7 | 0x37
}

impl Text {
    /// Lays out the programs.
    pub(super) fn new(cases: &[Case]) -> Self {
        // Cells, initial registers and results start on pages, which `lui` can name.
        let cells = (cases.len() * CELL).next_multiple_of(4096);
        let sets = (cases.len() * SET).next_multiple_of(4096);
        let mut code = Vec::new();
        let mut bodies = Vec::new();
        let put = |words: &[u32], code: &mut Vec<u8>| {
            code.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        };
        let input = DATA_BASE as usize + cells;
        put(&[lui(31, input), lui(30, input + sets)], &mut code);
        for case in cases {
            for reg in 1..16 {
                put(&[i_type(0x03, 3, reg, 31, 8 * (reg as i32 - 1))], &mut code);
            }
            let start = code.len() as u64;
            code.extend(&case.body);
            bodies.push((start, code.len() as u64));
            for reg in 1..16 {
                put(&[sd(reg, 30, 8 * (reg - 1))], &mut code);
            }
            let next = |reg| i_type(0x13, 0, reg, reg, SET as i32);
            put(&[next(31), next(30)], &mut code);
        }
        let len = cases.len() * SET;
        // write(1, results, len) with len in two halves, then exit(0).
        let li = |rd, value| i_type(0x13, 0, rd, 0, value);
        let upper = len.wrapping_add(0x800) & !0xFFF;
        let lower = (len as i32) - (upper as i32);
        let write = [lui(12, upper), i_type(0x13, 0, 12, 12, lower)];
        put(&write, &mut code);
        put(
            &[li(10, 1), lui(11, input + sets), li(17, 64), 0x73],
            &mut code,
        );
        put(&[li(10, 0), li(17, 93), 0x73], &mut code);
        Self {
            code,
            bodies,
            cells,
        }
    }

    /// Address of the memory a program has to itself.
    pub(super) fn cell(index: usize) -> u64 {
        DATA_BASE + (index * CELL) as u64
    }

    /// The executable.
    pub(super) fn elf(&self, cases: &[Case]) -> Vec<u8> {
        let sets = (cases.len() * SET).next_multiple_of(4096);
        let mut data = vec![0; self.cells];
        for case in cases {
            data.extend(case.regs[1..].iter().flat_map(|reg| reg.to_le_bytes()));
        }
        data.resize(self.cells + 2 * sets, 0);
        let mut out = b"\x7fELF\x02\x01\x01".to_vec();
        out.resize(16, 0);
        let half = |out: &mut Vec<u8>, value: u16| out.extend(value.to_le_bytes());
        let word = |out: &mut Vec<u8>, value: u32| out.extend(value.to_le_bytes());
        let long = |out: &mut Vec<u8>, value: u64| out.extend(value.to_le_bytes());
        half(&mut out, 2); // ET_EXEC
        half(&mut out, 243); // EM_RISCV
        word(&mut out, 1);
        long(&mut out, CODE_BASE);
        long(&mut out, 64); // program headers
        long(&mut out, 0);
        word(&mut out, 1); // compressed instructions occur
        for value in [64, 56, 2, 64, 0, 0] {
            half(&mut out, value);
        }
        let text_at = 4096;
        let data_at = (text_at + self.code.len()).next_multiple_of(4096);
        let segments = [
            (5, text_at, CODE_BASE, self.code.len()),
            (6, data_at, DATA_BASE, data.len()),
        ];
        for (flags, offset, address, size) in segments {
            word(&mut out, 1); // PT_LOAD
            word(&mut out, flags);
            for value in [
                offset as u64,
                address,
                address,
                size as u64,
                size as u64,
                4096,
            ] {
                long(&mut out, value);
            }
        }
        out.resize(text_at, 0);
        out.extend(&self.code);
        out.resize(data_at, 0);
        out.extend(data);
        out
    }
}

/// The registers that the executable reported.
pub(super) fn results(output: &[u8]) -> Vec<[u64; 16]> {
    let set = |bytes: &[u8]| {
        let mut regs = [0; 16];
        for (reg, bytes) in regs[1..].iter_mut().zip(bytes.chunks_exact(8)) {
            *reg = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        }
        regs
    };
    output.chunks_exact(SET).map(set).collect()
}
