//! The embedded farm: scheduler core, lease queue, store and worker in this process.

mod driver;
mod embedded;
mod source;
mod upload;

pub use driver::{BuildWatch, Finished};
pub use embedded::{Build, Choices, Embedded, EmbeddedOptions};
pub use source::WorkerWatch;
pub use upload::{UploadError, Uploader};
