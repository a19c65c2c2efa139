//! The engine: configuration, what its programs share, and loading.

use crate::config::{Backend, Config};
use crate::error::{EngineError, LoadError};
use crate::native::{Native, Unavailable, WithoutWindow};
use crate::program::{Program, Raw};
use rivet_image::Image;
use std::sync::Arc;

/// Which engine a program's machines run on, with what it needs.
#[derive(Clone, Debug)]
pub(crate) enum Chosen {
    Interp,
    Jit(Native),
    Checked(Native),
}

/// Loads programs under one configuration. Cheap to clone, shared between threads.
#[derive(Clone, Debug)]
pub struct Engine {
    config: Arc<Config>,
    chosen: Chosen,
    fallback: Option<Unavailable>,
}

impl Engine {
    /// An engine of this configuration.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] if the configuration names a backend that cannot run here;
    /// `Auto` never fails.
    pub fn new(config: Config) -> Result<Self, EngineError> {
        let backend = config.backend;
        let native = match backend {
            Backend::Interp => None,
            _ => Some(Native::new(&config.limits, config.signals)),
        };
        let (chosen, fallback) = match (backend, native) {
            (Backend::Interp, _) | (_, None) => (Chosen::Interp, None),
            (Backend::Checked, Some(Ok(native))) => {
                let native = native.without_window(WithoutWindow::Fail);
                (Chosen::Checked(native), None)
            }
            (Backend::Auto, Some(Ok(native))) => (Chosen::Jit(native), None),
            (_, Some(Ok(native))) => {
                let native = native.without_window(WithoutWindow::Fail);
                (Chosen::Jit(native), None)
            }
            (Backend::Auto, Some(Err(reason))) => (Chosen::Interp, Some(reason)),
            (_, Some(Err(reason))) => return Err(EngineError::Unsupported { backend, reason }),
        };
        Ok(Self {
            config: Arc::new(config),
            chosen,
            fallback,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The backend that machines run on; never [`Backend::Auto`].
    pub fn backend(&self) -> Backend {
        match self.chosen {
            Chosen::Interp => Backend::Interp,
            Chosen::Jit(_) => Backend::Jit,
            Chosen::Checked(_) => Backend::Checked,
        }
    }

    /// Why `Auto` chose the interpreter, if it did.
    pub fn fallback(&self) -> Option<Unavailable> {
        self.fallback
    }

    /// Loads an image. The instruction stream cannot make this fail (ISA §12).
    ///
    /// # Errors
    /// [`LoadError`] for a structural violation, or a host that cannot hold the program.
    pub fn load(&self, image: &Image) -> Result<Program, LoadError> {
        Program::of_image(&self.config, &self.chosen, image)
    }

    /// Loads bare code and regions.
    ///
    /// # Errors
    /// [`LoadError`] for a structural violation, or a host that cannot hold the program.
    pub fn load_raw(&self, raw: Raw) -> Result<Program, LoadError> {
        Program::of_raw(&self.config, &self.chosen, raw)
    }

    /// Loads bare code that another engine has loaded already.
    #[cfg(feature = "diff")]
    pub(crate) fn load_beside(&self, other: &Program) -> Result<Program, LoadError> {
        Program::beside(&self.config, &self.chosen, other)
    }
}
