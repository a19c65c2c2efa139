//! The engine: configuration and loading.

use crate::config::Config;
use crate::error::{EngineError, LoadError};
use crate::program::{Program, Raw};
use rivet_image::Image;
use std::sync::Arc;

/// Loads programs under one configuration. Cheap to clone, shared between threads.
#[derive(Clone, Debug)]
pub struct Engine {
    config: Arc<Config>,
}

impl Engine {
    /// An engine of this configuration.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] if the configuration names a backend that cannot run here;
    /// `Auto` never fails.
    pub fn new(config: Config) -> Result<Self, EngineError> {
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Loads an image. The instruction stream cannot make this fail (ISA §12).
    ///
    /// # Errors
    /// [`LoadError`] for a structural violation.
    pub fn load(&self, image: &Image) -> Result<Program, LoadError> {
        Program::of_image(&self.config, image)
    }

    /// Loads bare code and regions.
    ///
    /// # Errors
    /// [`LoadError`] for a structural violation.
    pub fn load_raw(&self, raw: Raw) -> Result<Program, LoadError> {
        Program::of_raw(&self.config, raw)
    }
}
