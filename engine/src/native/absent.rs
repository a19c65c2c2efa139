//! Stands in for the recompiler on targets that have none.

use super::{NativeCode, Translation, Unavailable, WithoutWindow};
use crate::call::Host;
use crate::config::{Config, Limits};
use crate::error::{HostError, LoadError};
use rivet_image::Region;
use rivet_interp::State;
use rivet_isa::{Exit, Pc};
use rivet_paging::{AddressSpace, SignalCheck};
use std::convert::Infallible;

/// Cannot exist.
#[derive(Clone, Debug)]
pub(crate) struct Native(Infallible);

impl Native {
    pub(crate) fn new(_: &Limits, _: SignalCheck) -> Result<Self, Unavailable> {
        Err(Unavailable::Target)
    }

    pub(crate) fn without_window(self, _: WithoutWindow) -> Self {
        match self.0 {}
    }
}

/// Cannot exist.
pub(crate) struct NativeProgram(Infallible);

impl NativeProgram {
    pub(crate) fn new(
        native: &Native,
        _: &Config,
        _: &rivet_interp::Program,
        _: &[Region],
    ) -> Result<Self, LoadError> {
        match native.0 {}
    }

    pub(crate) fn memory(&self) -> AddressSpace {
        match self.0 {}
    }

    pub(crate) fn translation(&self) -> Translation {
        match self.0 {}
    }

    pub(crate) fn translate(&self, _: Pc) -> bool {
        match self.0 {}
    }

    pub(crate) fn translated(&self) -> Vec<NativeCode> {
        match self.0 {}
    }
}

pub(crate) fn run(
    native: &NativeProgram,
    _: &rivet_interp::Program,
    _: &mut State,
    _: &mut AddressSpace,
    _: &mut dyn Host,
) -> Result<Exit, HostError> {
    match native.0 {}
}

pub(crate) fn step(
    native: &NativeProgram,
    _: &rivet_interp::Program,
    _: &mut State,
    _: &mut AddressSpace,
    _: &mut dyn Host,
) -> Result<Option<Exit>, HostError> {
    match native.0 {}
}
