//! [`Lookalikes`]: which names a person should look at, because they may be read as another's.
//!
//! Nothing is refused here: a customer may well be called what somebody else is called. The rules are those of UTS 39
//! over U-labels, and the domains that an operator listed. The last label is not looked at. Nobody chose it, and `орг`
//! alone is made of letters that look Latin.

use std::{
    borrow::Cow,
    collections::HashSet,
    iter::{once, successors},
};

use unicode_normalization::char::is_combining_mark;
use unicode_security::{MixedScript, RestrictionLevel, RestrictionLevelDetection, skeleton};

use crate::Hostname;

/// Letters that UTS 39 takes for two others each. Whole languages write them, and no eye is deceived.
const LIGATURES: [char; 2] = ['æ', 'œ'];

/// Why a person should look at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Suspicion {
    /// It holds the name of a listed domain, or what looks like it, and is none of that domain's names.
    Brand,
    /// A label that is not ASCII looks like one that is: `аррӏе`, in Cyrillic.
    Confusable,
    /// A label mixes scripts that no language mixes: beyond "highly restrictive" of UTS 39 section 5.2.
    MixedScript,
}

impl Suspicion {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Brand, Self::Confusable, Self::MixedScript];

    /// A stable word for metrics, logs and APIs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Brand => "brand",
            Self::Confusable => "confusable",
            Self::MixedScript => "mixed_script",
        }
    }
}

/// Says which names look like others, and like those of some domains above all. Its cost does not grow with their number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lookalikes {
    /// Whose names, and those below them, are what they look like.
    domains: HashSet<Hostname>,
    /// The shapes of their first labels.
    words: HashSet<String>,
}

impl Lookalikes {
    /// With domains whose first label (`paypal` of `paypal.com`) nobody else should have in a name.
    pub fn new(domains: impl IntoIterator<Item = Hostname>) -> Self {
        let domains: HashSet<_> = domains.into_iter().collect();
        let words = domains.iter().filter_map(|domain| labels(domain).next()).map(|label| shape(&label)).collect();
        Self { domains, words }
    }

    /// Why a person should look at the name; nothing, for nearly all. Sorted, each at most once.
    pub fn suspicions(&self, name: &Hostname) -> Vec<Suspicion> {
        let holds = |suspicion: &Suspicion| match suspicion {
            Suspicion::Brand => self.has_brand(name),
            Suspicion::Confusable => labels(name).any(|label| is_confusable(&label)),
            Suspicion::MixedScript => labels(name).any(|label| mixes_scripts(&label)),
        };
        Suspicion::ALL.into_iter().filter(holds).collect()
    }

    fn has_brand(&self, name: &Hostname) -> bool {
        let is_brand = |label: Cow<'_, str>| words_of(&shape(&label)).any(|words| self.words.contains(words));
        !self.words.is_empty() && !self.is_their_own(name) && labels(name).any(is_brand)
    }

    /// Whether the name is a listed domain or below one.
    fn is_their_own(&self, name: &Hostname) -> bool {
        let mut above = successors(Some(name.as_str()), |text| Some(text.split_once('.')?.1));
        above.any(|text| self.domains.contains(text))
    }
}

/// The labels as people read them, without the last.
fn labels(name: &Hostname) -> impl Iterator<Item = Cow<'_, str>> {
    let (chosen, _) = name.as_str().rsplit_once('.').unwrap_or_default();
    chosen.split('.').map(|label| match label.starts_with("xn--") {
        // A hostname's A-labels were validated when it was parsed.
        true => idna::domain_to_unicode(label).0.into(),
        false => label.into(),
    })
}

fn is_confusable(label: &str) -> bool {
    let deceives = |letter: char| !letter.is_ascii() && !LIGATURES.contains(&letter);
    label.contains(deceives) && skeleton(label).all(|letter| letter.is_ascii())
}

/// A label of one script alone may hold letters that UTS 39 advises against; that is no mixture.
fn mixes_scripts(label: &str) -> bool {
    !label.is_ascii()
        && !label.is_single_script()
        && !label.check_restriction_level(RestrictionLevel::HighlyRestrictive)
}

/// What a hasty eye sees: the skeleton of UTS 39 without marks, strokes and case. `paypạl` is `paypal`, `g00gle` is
/// `google`, `rnodern` is `modern`. To be compared with other shapes, never to be shown.
fn shape(label: &str) -> String {
    skeleton(label).filter(|letter| !is_combining_mark(*letter)).flat_map(char::to_lowercase).collect()
}

/// All that stands between hyphens of a label, and all neighbours of it together, for names with a hyphen of their own.
fn words_of(label: &str) -> impl Iterator<Item = &str> {
    let starts = once(0).chain(label.match_indices('-').map(|(at, _)| at + 1));
    starts.filter_map(|start| label.get(start..)).flat_map(|rest| {
        let ends = rest.match_indices('-').map(|(at, _)| at).chain(once(rest.len()));
        ends.filter_map(|end| rest.get(..end))
    })
}

#[cfg(test)]
mod tests;
