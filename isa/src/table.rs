//! The instruction set: one row per instruction (ISA §6).
//!
//! ```text
//! /// semantics
//! mnemonic = Variant (format) "bit pattern", control flow, gas class;
//! ```
//!
//! The mnemonic is also the visitor method, with `_` standing for `.`. The semantics use the
//! notation of ISA §1. Rows are grouped by extension; each group has one visitor trait and one
//! file of that name in each engine. Compressed encodings are in `compressed.rs`.
//!
//! What this file does not say: which numbers a gas class stands for (`gas/cost.rs`) and where
//! a format keeps its operands (`format.rs`).

/// Calls `$consumer!` with the whole table.
macro_rules! for_each_inst {
    ($consumer:ident) => {
        $consumer! {
            /// RV64I base (ISA §6.3–6.9, §6.12).
            I by VisitI {
                /// `rd = sx32(imm20 << 12)`
                lui = Lui (U) "iiiiiiiiiiiiiiiiiiii ddddd 0110111", Next, Upper;
                /// `rd = CODE_BASE + pc + sx32(imm20 << 12)`
                auipc = Auipc (U) "iiiiiiiiiiiiiiiiiiii ddddd 0010111", Next, Upper;
                /// `rd = CODE_BASE + next_pc; go to pc + imm`
                jal = Jal (J) "iiiiiiiiiiiiiiiiiiii ddddd 1101111", Jump, Jump;
                /// `t = (rs1 + imm) & !1; rd = CODE_BASE + next_pc; go to address t`
                jalr = Jalr (I) "iiiiiiiiiiii aaaaa 000 ddddd 1100111", JumpIndirect, JumpIndirect;
                /// `if rs1 == rs2 go to pc + imm`
                beq = Beq (B) "iiiiiii bbbbb aaaaa 000 iiiii 1100011", Branch, Branch;
                /// `if rs1 != rs2 go to pc + imm`
                bne = Bne (B) "iiiiiii bbbbb aaaaa 001 iiiii 1100011", Branch, Branch;
                /// `if s(rs1) < s(rs2) go to pc + imm`
                blt = Blt (B) "iiiiiii bbbbb aaaaa 100 iiiii 1100011", Branch, Branch;
                /// `if s(rs1) >= s(rs2) go to pc + imm`
                bge = Bge (B) "iiiiiii bbbbb aaaaa 101 iiiii 1100011", Branch, Branch;
                /// `if rs1 < rs2 go to pc + imm`
                bltu = Bltu (B) "iiiiiii bbbbb aaaaa 110 iiiii 1100011", Branch, Branch;
                /// `if rs1 >= rs2 go to pc + imm`
                bgeu = Bgeu (B) "iiiiiii bbbbb aaaaa 111 iiiii 1100011", Branch, Branch;
                /// `rd = sx8(mem8[rs1 + imm])`
                lb = Lb (I) "iiiiiiiiiiii aaaaa 000 ddddd 0000011", Next, Load;
                /// `rd = sx16(mem16[rs1 + imm])`
                lh = Lh (I) "iiiiiiiiiiii aaaaa 001 ddddd 0000011", Next, Load;
                /// `rd = sx32(mem32[rs1 + imm])`
                lw = Lw (I) "iiiiiiiiiiii aaaaa 010 ddddd 0000011", Next, Load;
                /// `rd = mem64[rs1 + imm]`
                ld = Ld (I) "iiiiiiiiiiii aaaaa 011 ddddd 0000011", Next, Load;
                /// `rd = mem8[rs1 + imm]`
                lbu = Lbu (I) "iiiiiiiiiiii aaaaa 100 ddddd 0000011", Next, Load;
                /// `rd = mem16[rs1 + imm]`
                lhu = Lhu (I) "iiiiiiiiiiii aaaaa 101 ddddd 0000011", Next, Load;
                /// `rd = mem32[rs1 + imm]`
                lwu = Lwu (I) "iiiiiiiiiiii aaaaa 110 ddddd 0000011", Next, Load;
                /// `mem8[rs1 + imm] = rs2`
                sb = Sb (S) "iiiiiii bbbbb aaaaa 000 iiiii 0100011", Next, Store;
                /// `mem16[rs1 + imm] = rs2`
                sh = Sh (S) "iiiiiii bbbbb aaaaa 001 iiiii 0100011", Next, Store;
                /// `mem32[rs1 + imm] = rs2`
                sw = Sw (S) "iiiiiii bbbbb aaaaa 010 iiiii 0100011", Next, Store;
                /// `mem64[rs1 + imm] = rs2`
                sd = Sd (S) "iiiiiii bbbbb aaaaa 011 iiiii 0100011", Next, Store;
                /// `rd = rs1 + imm`
                addi = Addi (I) "iiiiiiiiiiii aaaaa 000 ddddd 0010011", Next, AluImm;
                /// `rd = s(rs1) < imm ? 1 : 0`
                slti = Slti (I) "iiiiiiiiiiii aaaaa 010 ddddd 0010011", Next, AluImm;
                /// `rd = rs1 < u64(imm) ? 1 : 0`
                sltiu = Sltiu (I) "iiiiiiiiiiii aaaaa 011 ddddd 0010011", Next, AluImm;
                /// `rd = rs1 ^ imm`
                xori = Xori (I) "iiiiiiiiiiii aaaaa 100 ddddd 0010011", Next, AluImm;
                /// `rd = rs1 | imm`
                ori = Ori (I) "iiiiiiiiiiii aaaaa 110 ddddd 0010011", Next, AluImm;
                /// `rd = rs1 & imm`
                andi = Andi (I) "iiiiiiiiiiii aaaaa 111 ddddd 0010011", Next, AluImm;
                /// `rd = rs1 << amount`
                slli = Slli (I6) "000000 iiiiii aaaaa 001 ddddd 0010011", Next, AluImm;
                /// `rd = rs1 >> amount`
                srli = Srli (I6) "000000 iiiiii aaaaa 101 ddddd 0010011", Next, AluImm;
                /// `rd = s(rs1) >> amount`
                srai = Srai (I6) "010000 iiiiii aaaaa 101 ddddd 0010011", Next, AluImm;
                /// `rd = rs1 + rs2`
                add = Add (R) "0000000 bbbbb aaaaa 000 ddddd 0110011", Next, Alu;
                /// `rd = rs1 - rs2`
                sub = Sub (R) "0100000 bbbbb aaaaa 000 ddddd 0110011", Next, Alu;
                /// `rd = rs1 << (rs2 & 63)`
                sll = Sll (R) "0000000 bbbbb aaaaa 001 ddddd 0110011", Next, Shift;
                /// `rd = s(rs1) < s(rs2) ? 1 : 0`
                slt = Slt (R) "0000000 bbbbb aaaaa 010 ddddd 0110011", Next, SetLess;
                /// `rd = rs1 < rs2 ? 1 : 0`
                sltu = Sltu (R) "0000000 bbbbb aaaaa 011 ddddd 0110011", Next, SetLess;
                /// `rd = rs1 ^ rs2`
                xor = Xor (R) "0000000 bbbbb aaaaa 100 ddddd 0110011", Next, Alu;
                /// `rd = rs1 >> (rs2 & 63)`
                srl = Srl (R) "0000000 bbbbb aaaaa 101 ddddd 0110011", Next, Shift;
                /// `rd = s(rs1) >> (rs2 & 63)`
                sra = Sra (R) "0100000 bbbbb aaaaa 101 ddddd 0110011", Next, Shift;
                /// `rd = rs1 | rs2`
                or = Or (R) "0000000 bbbbb aaaaa 110 ddddd 0110011", Next, Alu;
                /// `rd = rs1 & rs2`
                and = And (R) "0000000 bbbbb aaaaa 111 ddddd 0110011", Next, Alu;
                /// `rd = sx32(rs1 + imm)`
                addiw = Addiw (I) "iiiiiiiiiiii aaaaa 000 ddddd 0011011", Next, AluImmW;
                /// `rd = sx32(rs1 << amount)`
                slliw = Slliw (I5) "0000000 iiiii aaaaa 001 ddddd 0011011", Next, AluImmW;
                /// `rd = sx32(w(rs1) >> amount)`
                srliw = Srliw (I5) "0000000 iiiii aaaaa 101 ddddd 0011011", Next, AluImmW;
                /// `rd = sx32(s32(rs1) >> amount)`
                sraiw = Sraiw (I5) "0100000 iiiii aaaaa 101 ddddd 0011011", Next, AluImmW;
                /// `rd = sx32(rs1 + rs2)`
                addw = Addw (R) "0000000 bbbbb aaaaa 000 ddddd 0111011", Next, AluW;
                /// `rd = sx32(rs1 - rs2)`
                subw = Subw (R) "0100000 bbbbb aaaaa 000 ddddd 0111011", Next, AluW;
                /// `rd = sx32(rs1 << (rs2 & 31))`
                sllw = Sllw (R) "0000000 bbbbb aaaaa 001 ddddd 0111011", Next, ShiftW;
                /// `rd = sx32(w(rs1) >> (rs2 & 31))`
                srlw = Srlw (R) "0000000 bbbbb aaaaa 101 ddddd 0111011", Next, ShiftW;
                /// `rd = sx32(s32(rs1) >> (rs2 & 31))`
                sraw = Sraw (R) "0100000 bbbbb aaaaa 101 ddddd 0111011", Next, ShiftW;
                /// `nothing; all other fields are ignored`
                fence = Fence (N) "------------ ----- 000 ----- 0001111", Next, Fence;
                /// `nothing; all other fields are ignored`
                fence_i = FenceI (N) "------------ ----- 001 ----- 0001111", Next, Fence;
            }
            /// Multiplication and division (ISA §6.10).
            M by VisitM {
                /// `rd = low64(rs1 * rs2)`
                mul = Mul (R) "0000001 bbbbb aaaaa 000 ddddd 0110011", Next, Mul;
                /// `rd = high64(s(rs1) * s(rs2))`
                mulh = Mulh (R) "0000001 bbbbb aaaaa 001 ddddd 0110011", Next, MulHigh;
                /// `rd = high64(s(rs1) * rs2)`
                mulhsu = Mulhsu (R) "0000001 bbbbb aaaaa 010 ddddd 0110011", Next, MulHighMixed;
                /// `rd = high64(rs1 * rs2)`
                mulhu = Mulhu (R) "0000001 bbbbb aaaaa 011 ddddd 0110011", Next, MulHigh;
                /// `rd = s(rs1) / s(rs2), toward zero; all ones by 0; MIN / -1 = MIN`
                div = Div (R) "0000001 bbbbb aaaaa 100 ddddd 0110011", Next, Divide;
                /// `rd = rs1 / rs2; all ones by 0`
                divu = Divu (R) "0000001 bbbbb aaaaa 101 ddddd 0110011", Next, Divide;
                /// `rd = s(rs1) % s(rs2); rs1 by 0; MIN % -1 = 0`
                rem = Rem (R) "0000001 bbbbb aaaaa 110 ddddd 0110011", Next, Divide;
                /// `rd = rs1 % rs2; rs1 by 0`
                remu = Remu (R) "0000001 bbbbb aaaaa 111 ddddd 0110011", Next, Divide;
                /// `rd = sx32(rs1 * rs2)`
                mulw = Mulw (R) "0000001 bbbbb aaaaa 000 ddddd 0111011", Next, MulW;
                /// `rd = sx32(s32(rs1) / s32(rs2)), as div`
                divw = Divw (R) "0000001 bbbbb aaaaa 100 ddddd 0111011", Next, Divide;
                /// `rd = sx32(w(rs1) / w(rs2)), as divu`
                divuw = Divuw (R) "0000001 bbbbb aaaaa 101 ddddd 0111011", Next, Divide;
                /// `rd = sx32(s32(rs1) % s32(rs2)), as rem`
                remw = Remw (R) "0000001 bbbbb aaaaa 110 ddddd 0111011", Next, Divide;
                /// `rd = sx32(w(rs1) % w(rs2)), as remu`
                remuw = Remuw (R) "0000001 bbbbb aaaaa 111 ddddd 0111011", Next, Divide;
            }
            /// Address generation (ISA §6.11).
            Zba by VisitZba {
                /// `rd = rs2 + zx32(rs1)`
                add_uw = AddUw (R) "0000100 bbbbb aaaaa 000 ddddd 0111011", Next, Alu;
                /// `rd = rs2 + (rs1 << 1)`
                sh1add = Sh1add (R) "0010000 bbbbb aaaaa 010 ddddd 0110011", Next, Alu;
                /// `rd = rs2 + (rs1 << 2)`
                sh2add = Sh2add (R) "0010000 bbbbb aaaaa 100 ddddd 0110011", Next, Alu;
                /// `rd = rs2 + (rs1 << 3)`
                sh3add = Sh3add (R) "0010000 bbbbb aaaaa 110 ddddd 0110011", Next, Alu;
                /// `rd = rs2 + (zx32(rs1) << 1)`
                sh1add_uw = Sh1addUw (R) "0010000 bbbbb aaaaa 010 ddddd 0111011", Next, Alu;
                /// `rd = rs2 + (zx32(rs1) << 2)`
                sh2add_uw = Sh2addUw (R) "0010000 bbbbb aaaaa 100 ddddd 0111011", Next, Alu;
                /// `rd = rs2 + (zx32(rs1) << 3)`
                sh3add_uw = Sh3addUw (R) "0010000 bbbbb aaaaa 110 ddddd 0111011", Next, Alu;
                /// `rd = zx32(rs1) << amount`
                slli_uw = SlliUw (I6) "000010 iiiiii aaaaa 001 ddddd 0011011", Next, AluImm;
            }
            /// Basic bit manipulation (ISA §6.11).
            Zbb by VisitZbb {
                /// `rd = rs1 & !rs2`
                andn = Andn (R) "0100000 bbbbb aaaaa 111 ddddd 0110011", Next, NotLogic;
                /// `rd = rs1 | !rs2`
                orn = Orn (R) "0100000 bbbbb aaaaa 110 ddddd 0110011", Next, NotLogic;
                /// `rd = !(rs1 ^ rs2)`
                xnor = Xnor (R) "0100000 bbbbb aaaaa 100 ddddd 0110011", Next, Xnor;
                /// `rd = leading zeros of rs1; 64 for 0`
                clz = Clz (I1) "011000000000 aaaaa 001 ddddd 0010011", Next, Unary;
                /// `rd = trailing zeros of rs1; 64 for 0`
                ctz = Ctz (I1) "011000000001 aaaaa 001 ddddd 0010011", Next, TrailingZeros;
                /// `rd = one bits of rs1`
                cpop = Cpop (I1) "011000000010 aaaaa 001 ddddd 0010011", Next, Unary;
                /// `rd = leading zeros of w(rs1); 32 for 0`
                clzw = Clzw (I1) "011000000000 aaaaa 001 ddddd 0011011", Next, Unary;
                /// `rd = trailing zeros of w(rs1); 32 for 0`
                ctzw = Ctzw (I1) "011000000001 aaaaa 001 ddddd 0011011", Next, TrailingZeros;
                /// `rd = one bits of w(rs1)`
                cpopw = Cpopw (I1) "011000000010 aaaaa 001 ddddd 0011011", Next, Unary;
                /// `rd = signed maximum of rs1, rs2`
                max = Max (R) "0000101 bbbbb aaaaa 110 ddddd 0110011", Next, MinMax;
                /// `rd = unsigned maximum of rs1, rs2`
                maxu = Maxu (R) "0000101 bbbbb aaaaa 111 ddddd 0110011", Next, MinMax;
                /// `rd = signed minimum of rs1, rs2`
                min = Min (R) "0000101 bbbbb aaaaa 100 ddddd 0110011", Next, MinMax;
                /// `rd = unsigned minimum of rs1, rs2`
                minu = Minu (R) "0000101 bbbbb aaaaa 101 ddddd 0110011", Next, MinMax;
                /// `rd = sx8(rs1)`
                sext_b = SextB (I1) "011000000100 aaaaa 001 ddddd 0010011", Next, Unary;
                /// `rd = sx16(rs1)`
                sext_h = SextH (I1) "011000000101 aaaaa 001 ddddd 0010011", Next, Unary;
                /// `rd = rs1 & 0xFFFF`
                zext_h = ZextH (I1) "000010000000 aaaaa 100 ddddd 0111011", Next, Unary;
                /// `rd = rs1 rotated left by rs2 & 63`
                rol = Rol (R) "0110000 bbbbb aaaaa 001 ddddd 0110011", Next, Shift;
                /// `rd = rs1 rotated right by rs2 & 63`
                ror = Ror (R) "0110000 bbbbb aaaaa 101 ddddd 0110011", Next, Shift;
                /// `rd = rs1 rotated right by amount`
                rori = Rori (I6) "011000 iiiiii aaaaa 101 ddddd 0010011", Next, AluImm;
                /// `rd = sx32(w(rs1) rotated left by rs2 & 31)`
                rolw = Rolw (R) "0110000 bbbbb aaaaa 001 ddddd 0111011", Next, ShiftW;
                /// `rd = sx32(w(rs1) rotated right by rs2 & 31)`
                rorw = Rorw (R) "0110000 bbbbb aaaaa 101 ddddd 0111011", Next, ShiftW;
                /// `rd = sx32(w(rs1) rotated right by amount)`
                roriw = Roriw (I5) "0110000 iiiii aaaaa 101 ddddd 0011011", Next, AluImmW;
                /// `rd = each byte of rs1 as 0xFF if non-zero, else 0`
                orc_b = OrcB (I1) "001010000111 aaaaa 101 ddddd 0010011", Next, Unary;
                /// `rd = bytes of rs1 in reverse order`
                rev8 = Rev8 (I1) "011010111000 aaaaa 101 ddddd 0010011", Next, Unary;
            }
            /// Single bits (ISA §6.11).
            Zbs by VisitZbs {
                /// `rd = rs1 with bit k cleared; k = rs2 & 63`
                bclr = Bclr (R) "0100100 bbbbb aaaaa 001 ddddd 0110011", Next, Alu;
                /// `rd = rs1 with bit k cleared; k = amount`
                bclri = Bclri (I6) "010010 iiiiii aaaaa 001 ddddd 0010011", Next, AluImm;
                /// `rd = bit k of rs1; k = rs2 & 63`
                bext = Bext (R) "0100100 bbbbb aaaaa 101 ddddd 0110011", Next, Alu;
                /// `rd = bit k of rs1; k = amount`
                bexti = Bexti (I6) "010010 iiiiii aaaaa 101 ddddd 0010011", Next, AluImm;
                /// `rd = rs1 with bit k flipped; k = rs2 & 63`
                binv = Binv (R) "0110100 bbbbb aaaaa 001 ddddd 0110011", Next, Alu;
                /// `rd = rs1 with bit k flipped; k = amount`
                binvi = Binvi (I6) "011010 iiiiii aaaaa 001 ddddd 0010011", Next, AluImm;
                /// `rd = rs1 with bit k set; k = rs2 & 63`
                bset = Bset (R) "0010100 bbbbb aaaaa 001 ddddd 0110011", Next, Alu;
                /// `rd = rs1 with bit k set; k = amount`
                bseti = Bseti (I6) "001010 iiiiii aaaaa 001 ddddd 0010011", Next, AluImm;
            }
            /// Conditional zero (ISA §6.11).
            Zicond by VisitZicond {
                /// `rd = rs2 == 0 ? 0 : rs1`
                czero_eqz = CzeroEqz (R) "0000111 bbbbb aaaaa 101 ddddd 0110011", Next, CondZero;
                /// `rd = rs2 != 0 ? 0 : rs1`
                czero_nez = CzeroNez (R) "0000111 bbbbb aaaaa 111 ddddd 0110011", Next, CondZero;
            }
            /// custom-0 (ISA §6.13).
            Xjar by VisitXjar {
                /// `exit Trap with the own pc`
                trap = Trap (N) "------------ ----- 000 ----- 0001011", Trap, Stop;
                /// `kernel operation, exit Ecall with next_pc`
                ecall_jar = EcallJar (N) "------------ ----- 001 ----- 0001011", KernelCall, Call;
                /// `host call with the selector, exit HostCall with next_pc`
                ecalli = Ecalli (Sel) "iiiiiiiiiiii ----- 010 ----- 0001011", HostCall, Call;
                /// `nothing; ends the block`
                fallthrough = Fallthrough (N) "------------ ----- 100 ----- 0001011", Fallthrough, Stop;
            }
        }
    };
}
pub(crate) use for_each_inst;
