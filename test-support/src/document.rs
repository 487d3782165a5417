//! [`Document`]: the code blocks of a Markdown file, so that a test can run what a reader would type.

use std::path::{Path, PathBuf};

/// A Markdown file and its fenced code blocks, in their order.
///
/// Only fences (three backticks) count; what must not be run is indented or has another language than `sh`.
#[derive(Debug, Clone)]
pub struct Document {
    path: PathBuf,
    blocks: Vec<Block>,
}

/// One fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The file and the line of its first line, for messages.
    pub place: String,
    /// The nearest heading above, without its `#`.
    pub heading: String,
    /// The first word after the fence, such as `sh` or `python`; empty when there is none.
    pub language: String,
    /// Further words after the fence, for a test to choose by.
    pub notes: Vec<String>,
    /// What stands between the fences.
    pub text: String,
}

impl Document {
    /// Reads a file by its path from the root of the workspace, such as `docs/quickstart.md`.
    pub fn read(path: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path.canonicalize().unwrap();
        Self { blocks: parse(&path.display().to_string(), &text), path }
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every block.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The blocks of one language; panics when there is none, as a test of nothing would prove nothing.
    pub fn of_language(&self, language: &str) -> Vec<&Block> {
        let found: Vec<_> = self.blocks.iter().filter(|block| block.language == language).collect();
        assert!(!found.is_empty(), "{} has no block of {language}", self.path.display());
        found
    }

    /// The `sh` blocks under one heading; panics when there is none.
    pub fn commands_under(&self, heading: &str) -> Vec<&Block> {
        let found: Vec<_> =
            self.blocks.iter().filter(|block| block.language == "sh" && block.heading == heading).collect();
        assert!(!found.is_empty(), "{} has no commands under `{heading}`", self.path.display());
        found
    }
}

fn parse(file: &str, text: &str) -> Vec<Block> {
    let (mut blocks, mut heading, mut open) = (Vec::new(), String::new(), None::<Block>);
    for (index, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (Some(_), Some(rest)) if rest.trim().is_empty() => blocks.extend(open.take()),
            (Some(block), _) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, Some(info)) => {
                let mut words = info.split_whitespace().map(str::to_owned);
                open = Some(Block {
                    place: format!("{file}:{}", index + 2),
                    heading: heading.clone(),
                    language: words.next().unwrap_or_default(),
                    notes: words.collect(),
                    text: String::new(),
                });
            }
            (None, None) if line.starts_with('#') => heading = line.trim_start_matches('#').trim().to_owned(),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{file}: a code block is never closed");
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_know_their_heading_language_and_line() {
        let text =
            "# One\n\n```sh\na=1\n# not a heading\n```\n\n## Two\n```python verify.py\nprint(1)\n```\n    indented\n";
        let blocks = parse("a.md", text);
        assert_eq!(blocks.len(), 2);
        assert_eq!(
            (&*blocks[0].place, &*blocks[0].heading, &*blocks[0].text),
            ("a.md:4", "One", "a=1\n# not a heading\n")
        );
        assert_eq!((&*blocks[1].heading, &*blocks[1].language), ("Two", "python"));
        assert_eq!(blocks[1].notes, ["verify.py"]);
    }
}
