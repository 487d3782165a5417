//! Keys that take one of a few words.

use crate::{mistake::Problem, suggest::nearest};

/// The meaning of a word.
pub(crate) fn choose<T: Copy>(text: &str, choices: &[(&'static str, T)]) -> Result<T, Problem> {
    if let Some((_, found)) = choices.iter().find(|(word, _)| *word == text) {
        return Ok(*found);
    }
    let words = || choices.iter().map(|(word, _)| *word);
    let hint = match nearest(text, words()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("choose {}", words().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")),
    };
    Err(Problem::new("bad_choice", format!("`{text}` is not a choice"), hint))
}
