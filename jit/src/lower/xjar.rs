//! custom-0 and reserved encodings (ISA §6.13, §2).

use dynasmrt::{DynasmApi as _, dynasm};
use rivet_isa::{N, Sel, Visit, VisitXjar};

use super::{Lower, Targets};
use crate::chunk::{Site, SiteKind};
use crate::context::field;

impl<T: Targets> VisitXjar for Lower<'_, T> {
    fn trap(&mut self, _: N) {
        let pc = self.this.step.pc;
        self.this.jump_cold(Site::plain(SiteKind::Trap, pc));
    }

    fn ecall_jar(&mut self, _: N) {
        self.call();
    }

    fn ecalli(&mut self, _: Sel) {
        self.call();
    }

    fn fallthrough(&mut self, _: N) {}
}

impl<T: Targets> Visit for Lower<'_, T> {
    fn reserved(&mut self) {
        let pc = self.this.step.pc;
        self.this.jump_cold(Site::plain(SiteKind::Panic, pc));
    }
}

impl<T> Lower<'_, T> {
    /// Calls the stub with the own pc; if the host continues, it returns to the code behind.
    fn call(&mut self) {
        let pc = self.this.step.pc as i32;
        dynasm!(self.this.asm.code
            ; .arch x64
            ; mov edx, pc
            ; gs call QWORD [DWORD field!(call_stub)]
        );
    }
}
