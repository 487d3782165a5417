//! Doors for the fuzz targets, which stand outside of the workspace. Built with `--cfg fuzzing` only.

pub use crate::origin::fuzz_answer as answer;
