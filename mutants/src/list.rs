//! The mutants: where each is planted and what it gets wrong.

macro_rules! mutants {
    ($($name:ident $place:literal $about:literal)*) => {
        /// A historical bug.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Mutant {
            $(#[doc = concat!($place, ": ", $about)] $name,)*
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// Where it is planted.
            pub const fn place(self) -> &'static str {
                match self {
                    $(Self::$name => $place,)*
                }
            }

            /// What it gets wrong.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$name => $about,)*
                }
            }
        }
    };
}

mutants! {
    ImmediateUnsigned "decoder" "immediates lose their sign"
    RegistersMasked "decoder" "x16 to x31 are taken for x0 to x15"
    HintsReserved "decoder" "a compressed no-op with an immediate is reserved"
    PartialTailDecoded "decoder" "half an instruction at the end of the code is one"
    CallsJoinBlocks "block starts" "a call is a start only after a terminator"
    ReservedContinues "block starts" "an encoding that names x16 to x31 does not end its block"
    DecodeWidthBeyond "gas" "a fifth slot fits into a decode cycle"
    CreditBeforeMinimum "gas" "short blocks cost nothing"
    SurchargeOnce "gas" "an instruction that names x3 and x4 pays for one of them"
    OverlapOfZero "gas" "rd = x0 saves a decode slot"
    LatencyWraps "gas" "latencies above 255 are not capped"
    ReserveOnePage "gas" "a store reserves one page, not two"
    TierExclusive "gas" "a footprint at a tier's limit is in the next tier"
    DepthShallow "gas" "pages of a mapping cost what those of half of it do"
    ExcessCarried "gas" "slots beyond the decode width count in the next cycle"
    WriteAfterWrite "gas" "a register written twice waits for the first result"
    FootprintWritable "gas" "pinned pages are not in the footprint"
    InterpGateReserve "interpreter" "the gate asks for the cost only"
    InterpGateStrict "interpreter" "the gate refuses gas that just suffices"
    InterpJalrAlias "interpreter" "jalr with rd = rs1 jumps to the link"
    InterpFailedJumpPc "interpreter" "a failed branch reports its target"
    InterpOddTarget "interpreter" "jalr keeps bit 0 of its target"
    InterpLwuSigned "interpreter" "lwu extends the sign"
    InterpShiftWordMask "interpreter" "sllw looks at six bits of the amount"
    InterpMulhsuOrder "interpreter" "mulhsu takes the second operand as the signed one"
    InterpDivideOverflow "interpreter" "the least number divided by -1 is 0"
    InterpSecondPageUnchecked "interpreter" "a store asks for its first page only"
    InterpChargedTwice "interpreter" "a private page is charged again by a straddling store"
    InterpLongBlockCost "interpreter" "a block of more than 4096 instructions is priced short"
    InterpPlacedClean "interpreter" "placing content makes a private page clean"
    InterpResetLookaside "interpreter" "a machine that begins again remembers where pages were"
    JitShiftWord "recompiler" "32-bit results are not extended"
    JitSlliwZero "recompiler" "slliw by 0 leaves the upper half zero"
    JitAddiwZero "recompiler" "addiw by 0 copies 64 bits"
    JitAndiUpper "recompiler" "andi with a negative mask clears the upper half"
    JitAuipcNarrow "recompiler" "auipc extends the sign of a 32-bit sum"
    JitSubAlias "recompiler" "sub with rd = rs2 subtracts the wrong way round"
    JitDivideOverflow "recompiler" "a quotient by -1 is the dividend"
    JitRemainderUpper "recompiler" "a 32-bit remainder by 0 keeps the upper half"
    JitMulhsuSign "recompiler" "mulhsu takes both operands as unsigned"
    JitMulhRax "recompiler" "mulh loses a factor that lives in rax"
    JitPickAlias "recompiler" "max with rd = rs2 is min"
    JitBitAlias "recompiler" "bset with rd = rs2 overwrites its index"
    JitCzeroAlias "recompiler" "czero with rd = rs2 overwrites its condition"
    JitFusedFirstLost "recompiler" "a fused constant pair forgets the first register"
    JitFusedClobber "recompiler" "a fused product overwrites a factor between its halves"
    JitFusedExtension "recompiler" "a shift pair by 48 extends the sign"
    JitFusedFault "recompiler" "a fault in a fused access forgets the addition before it"
    JitFailedJumpPc "recompiler" "a failed branch reports the following instruction"
    JitJalrAlias "recompiler" "jalr with rd = rs1 jumps to the link"
    JitCompressedLink "recompiler" "a compressed call links to pc + 4"
    JitZeroCompare "recompiler" "0 >= x is taken for 0 > x"
    JitReturnUnchecked "recompiler" "a return goes where the last call came from"
    JitGateReserve "recompiler" "large reserves are taken for covered by the bias"
    JitLwuSigned "recompiler" "lwu extends the sign"
    JitZeroLoadSkipped "recompiler" "a load into x0 does not access memory"
    JitSpilledLoad "recompiler" "a load into x3 or x4 is lost"
    JitSpilledResult "recompiler" "a result in x3 or x4 is lost"
    JitFarOdd "recompiler" "auipc and jalr keep bit 0 of their target"
    JitProductScratch "recompiler" "a product around a store with a spilled base loses a half"
    JitFusedFaultScale "recompiler" "a fault in a fused access adds an index scaled wrong"
    JitFailedLink "recompiler" "a failed jalr does not link"
    JitReturnOffset "recompiler" "jalr x0, n(ra) returns to ra"
    JitEndPc "recompiler" "running off the end reports the last instruction"
    JitTrapBias "recompiler" "gas held back does not cover pages that a trap opened"
    JitCallBias "recompiler" "gas held back does not cover open pages after a call"
    StraddleFaultPage "paging" "a fault on the second page reports the first"
    StraddleChargedFirst "paging" "a store that faults on its second page has paid for the first"
    StraddleChargedOnce "paging" "a store to two fresh pages pays for one"
    SettleFree "paging" "pages found written by a settle cost nothing"
    OpenChargeKept "paging" "a page that was paid still counts as open"
    EdgePagesOpened "paging" "the edges of a writable run are opened"
    WindowNotWiped "paging" "a window is handed on with the last machine's pages"
    ForkForgets "paging" "a fork starts with the pages as they were before the run"
    ResetKeeps "paging" "a reset keeps the private pages"
    WipeLeavesOpen "paging" "a machine that begins again finds pages open"
    WipeKeepsPlaced "paging" "a wiped window keeps placed content"
    PlacedPagesOpened "paging" "pages with placed content are opened"
    OpenUncounted "paging" "opened pages are not set aside for"
    OwedLost "paging" "what a settle inside a trap found costs nothing"
    ForkForgetsPlaced "paging" "a fork forgets placed content"
    PlacedLost "paging" "content placed in a window is lost when it is left"
    AdoptedClean "paging" "private pages moved into a window are clean"
    SnapshotTwice "snapshots" "a private page is saved as a placed one, too"
    CallPagesFree "calls" "pages that the host writes are not charged"
    CallHalfPaid "calls" "a call that cannot be paid takes its floor"
    CallRefusedPc "calls" "a call that cannot be paid reports next_pc"
    CallPaidAgain "calls" "a paid call that was suspended is offered again"
    CallPagesClean "calls" "pages that were quoted and not written stay clean"
    CallRefusedPaid "calls" "a range that is refused pays for its writable pages"
    CallUnquoted "calls" "a host writes past what it has quoted"
    CallCheckShort "calls" "the last byte of a range is not checked"
    CallViewGas "calls" "a quote sees gas after the floor"
}
