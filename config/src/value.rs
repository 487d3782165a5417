//! Values with their places, from TOML or from an environment variable, before any key gives them a meaning.

use std::ops::Range;

use toml::{Spanned, de::DeValue};

use crate::{
    document::parse_value,
    mistake::{Place, Problem},
};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// The kinds of value that keys of this format take; all else is only named.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Bool(bool),
    /// Wider than any key allows, so that a number out of range is told by the range check.
    Integer(i128),
    List(Vec<Item>),
    String(String),
    /// A kind that no key takes.
    Other(&'static str),
}

/// The kind of value that a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Bool,
    Duration,
    Integer,
    List,
    Size,
    String,
}

impl Item {
    /// Copies a TOML value; nesting is bounded by the parser.
    pub(crate) fn from_toml(value: &Spanned<DeValue<'_>>, place: &dyn Fn(&Range<usize>) -> Place) -> Self {
        let copied = match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Other("a number of so many digits"),
            },
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Array(items) => Value::List(items.iter().map(|item| Self::from_toml(item, place)).collect()),
            DeValue::Float(_) => Value::Other("a fraction"),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Table(_) => Value::Other("a table"),
        };
        Self { value: copied, place: place(&value.span()) }
    }

    /// Reads a variable for a key that wants a kind: as TOML where that gives the kind, else as plain text.
    pub(crate) fn from_variable(text: &str, place: Place, want: Want) -> Self {
        let toml = parse_value(text, &place);
        let value = match (want, toml) {
            (_, Some(value)) if want.takes(&value) => value,
            (Want::Bool | Want::Integer, Some(value)) => value,
            (Want::List, _) => comma_list(text, &place),
            _ => Value::String(text.to_owned()),
        };
        Self { value, place }
    }
}

/// `a, b` as a list of two; an empty variable is an empty list.
fn comma_list(text: &str, place: &Place) -> Value {
    let item = |part: &str| Item { value: Value::String(part.trim().to_owned()), place: place.clone() };
    match text.trim().is_empty() {
        true => Value::List(Vec::new()),
        false => Value::List(text.split(',').map(item).collect()),
    }
}

impl Value {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::List(_) => "a list",
            Self::String(_) => "a string",
            Self::Other(kind) => kind,
        }
    }
}

impl Want {
    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Bool => matches!(value, Value::Bool(_)),
            Self::Integer => matches!(value, Value::Integer(_)),
            Self::List => matches!(value, Value::List(_)),
            Self::Size => matches!(value, Value::Integer(_) | Value::String(_)),
            Self::Duration | Self::String => matches!(value, Value::String(_)),
        }
    }

    /// What to say about a value of another kind.
    pub(crate) fn refuse(self, value: &Value) -> Problem {
        let (wanted, hint) = match self {
            Self::Bool => ("true or false", "write true or false without quotes"),
            Self::Duration => ("a duration", "write a string such as \"500ms\", \"5s\", \"1m\", \"2h\" or \"7d\""),
            Self::Integer => ("an integer", "write a whole number without quotes"),
            Self::List => ("a list", "put it in brackets: [\"…\"]"),
            Self::Size => ("a size", "write a string such as \"64KiB\" or \"128MiB\", or a number of bytes"),
            Self::String => ("a string", "put it in double quotes"),
        };
        Problem::new("wrong_type", format!("must be {wanted}, not {}", value.kind()), hint)
    }
}
