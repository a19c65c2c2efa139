//! What containment rests on, checked on the native code of every program of the suite: which
//! memory each instruction can reach, and where control can go.

use std::ops::Deref;

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};
use rivet_jit::{NativeChunk, Program};

use super::maps;

/// Bytes of context that generated code may use below the window.
const CONTEXT: i64 = 4096;

/// A program whose native code is checked when the test has done with it.
#[derive(Debug)]
pub(crate) struct Audited(pub(crate) Program);

impl Deref for Audited {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.0
    }
}

impl Drop for Audited {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for chunk in self.0.native() {
            check_chunk(&chunk, self.0.code().len());
        }
        maps::check();
    }
}

/// All instructions of a chunk.
pub(crate) fn instructions(chunk: &NativeChunk) -> impl Iterator<Item = Instruction> + '_ {
    Decoder::with_ip(64, &chunk.code, chunk.address, DecoderOptions::NONE).into_iter()
}

/// Checks every instruction of a chunk of a program of `code_len` bytes.
pub(crate) fn check_chunk(chunk: &NativeChunk, code_len: usize) {
    let mut decoder = Decoder::with_ip(64, &chunk.code, chunk.address, DecoderOptions::NONE);
    let mut inst = Instruction::default();
    while decoder.can_decode() {
        let before = inst;
        decoder.decode_out(&mut inst);
        check_instruction(&inst, chunk, code_len);
        if inst.memory_index() == Register::RDX && inst.op0_register() == Register::EDX {
            check_mask(&before, code_len);
        }
    }
}

/// Checks that an index of the dispatch table has just been cut to what the table holds, whatever
/// the processor guesses about the comparison with the limit.
fn check_mask(inst: &Instruction, code_len: usize) {
    assert_eq!(inst.mnemonic(), Mnemonic::And, "{inst}");
    assert_eq!(inst.op0_register(), Register::EDX, "{inst}");
    let largest = code_len.next_power_of_two().max(2) as u64;
    assert!(inst.immediate(1) < largest, "{inst}: past the table");
}

/// Checks one instruction.
pub(crate) fn check_instruction(inst: &Instruction, chunk: &NativeChunk, code_len: usize) {
    assert!(!inst.is_invalid(), "at {:#x}", inst.ip());
    assert!(!inst.is_string_instruction(), "{inst}");
    assert!(!inst.is_privileged(), "{inst}");
    let refused = matches!(
        inst.mnemonic(),
        Mnemonic::Push | Mnemonic::Pop | Mnemonic::Syscall | Mnemonic::Wrgsbase | Mnemonic::Int
    );
    // Cold sites tell themselves apart by how often they push the stack pointer.
    let site = inst.ip() >= chunk.address + u64::from(chunk.cold)
        && inst.code() == Code::Push_r64
        && inst.op0_register() == Register::RSP;
    assert!(site || !refused, "{inst}");
    let moffs = matches!(
        inst.code(),
        Code::Mov_AL_moffs8
            | Code::Mov_EAX_moffs32
            | Code::Mov_RAX_moffs64
            | Code::Mov_moffs8_AL
            | Code::Mov_moffs32_EAX
            | Code::Mov_moffs64_RAX
    );
    assert!(!moffs, "{inst}");
    if (0..inst.op_count()).any(|i| inst.op_kind(i) == OpKind::Memory) {
        check_memory(inst, chunk, code_len);
    }
    match inst.flow_control() {
        FlowControl::IndirectBranch | FlowControl::IndirectCall => {
            let through_context = inst.memory_segment() == Register::GS;
            let from_table = inst.op0_register() == Register::RDX;
            assert!(through_context || from_table, "{inst}");
        }
        FlowControl::UnconditionalBranch
        | FlowControl::ConditionalBranch
        | FlowControl::Call
        | FlowControl::Next
        | FlowControl::Return => {}
        other => panic!("{other:?}: {inst}"),
    }
}

/// Checks the memory operand of one instruction: window, context or dispatch table.
fn check_memory(inst: &Instruction, chunk: &NativeChunk, code_len: usize) {
    let (base, index) = (inst.memory_base(), inst.memory_index());
    let disp = inst.memory_displacement64();
    if inst.mnemonic() == Mnemonic::Lea || inst.mnemonic() == Mnemonic::Nop {
        assert_eq!(inst.segment_prefix(), Register::None, "{inst}");
        return;
    }
    if inst.memory_segment() == Register::GS {
        if base == Register::None {
            assert_eq!(index, Register::None, "{inst}");
            let inside = (-CONTEXT..0).contains(&(disp as i64));
            assert!(inside, "{inst}: outside the context");
            return;
        }
        assert!(base.is_gpr32(), "{inst}: an address is cut to 32 bits");
        assert!(index == Register::None || index.is_gpr32(), "{inst}");
        for part in [base, index] {
            assert_ne!(part, Register::ESP, "{inst}");
            assert_ne!(part, Register::R15D, "{inst}: gas is no address");
        }
        return;
    }
    // Without GS only the dispatch table is read, by a masked or a constant index.
    let table_len = 2 * code_len as u64 + 4;
    assert_eq!(
        inst.code(),
        Code::Mov_r32_rm32,
        "{inst}: reads of the table"
    );
    assert_eq!(inst.op0_register(), Register::EDX, "{inst}");
    assert!(base == Register::None || base == Register::RDX, "{inst}");
    assert!(index == Register::None || (index == Register::RDX && inst.memory_index_scale() <= 2));
    let inside = (chunk.table..chunk.table + table_len).contains(&disp);
    assert!(inside, "{inst}: outside the table");
}
