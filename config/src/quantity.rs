//! Numbers with a unit: durations (`"5s"`), sizes (`"64KiB"`) and counts, and their ranges.

use std::time::Duration;

use crate::{
    mistake::Problem,
    value::{Value, Want},
};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// A quantity that can be read from a value and shown in the same notation.
pub(crate) trait Quantity: Copy + PartialOrd {
    /// The kind of value it is written as.
    const WANT: Want;

    /// Reads an integer or a string.
    fn read(value: &Value) -> Result<Self, Problem>;

    /// The notation that [`Self::read`] takes.
    fn show(self) -> String;

    /// Holds it against the least and the greatest that make sense.
    fn within(self, (least, greatest): (Self, Self)) -> Result<Self, Problem> {
        match self >= least && self <= greatest {
            true => Ok(self),
            false => Err(out_of_range(&self.show(), &least.show(), &greatest.show())),
        }
    }
}

fn out_of_range(found: &str, least: &str, greatest: &str) -> Problem {
    let hint = format!("choose a value from {least} to {greatest}");
    Problem::new("out_of_range", format!("{found} is out of range"), hint)
}

/// Units from the largest, so that a quantity is shown in the largest one that divides it.
const DURATIONS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl Quantity for Duration {
    const WANT: Want = Want::Duration;

    fn read(value: &Value) -> Result<Self, Problem> {
        let Value::String(text) = value else { return Err(Want::Duration.refuse(value)) };
        let hint = "write a whole number and a unit (ms, s, m, h, d), as in \"5s\"";
        let problem = || Problem::new("bad_duration", format!("`{text}` is not a duration"), hint);
        read_unit(text, &DURATIONS).map(Self::from_millis).ok_or_else(problem)
    }

    fn show(self) -> String {
        show_unit(u64::try_from(self.as_millis()).unwrap_or(u64::MAX), &DURATIONS)
    }
}

const SIZES: [(&str, u64); 4] = [("GiB", GIB), ("MiB", MIB), ("KiB", KIB), ("B", 1)];

/// Bytes.
impl Quantity for u64 {
    const WANT: Want = Want::Size;

    fn read(value: &Value) -> Result<Self, Problem> {
        let hint = "write a whole number and a unit (B, KiB, MiB, GiB), as in \"64KiB\", or a number of bytes";
        let problem = |text: &str| Problem::new("bad_size", format!("`{text}` is not a size"), hint);
        match value {
            Value::Integer(number) => Self::try_from(*number).map_err(|_| problem(&number.to_string())),
            Value::String(text) => read_unit(text, &SIZES).ok_or_else(|| problem(text)),
            other => Err(Want::Size.refuse(other)),
        }
    }

    fn show(self) -> String {
        show_unit(self, &SIZES)
    }
}

/// A count of things.
impl Quantity for usize {
    const WANT: Want = Want::Integer;

    fn read(value: &Value) -> Result<Self, Problem> {
        let Value::Integer(number) = value else { return Err(Want::Integer.refuse(value)) };
        let problem = || Problem::new("out_of_range", format!("{number} is out of range"), "write a smaller count");
        match Self::try_from(*number) {
            Ok(count) => Ok(count),
            Err(_) if *number < 0 => Err(Problem::new("out_of_range", "is negative", "write a positive count")),
            Err(_) => Err(problem()),
        }
    }

    fn show(self) -> String {
        self.to_string()
    }
}

fn read_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn show_unit(number: u64, units: &[(&str, u64)]) -> String {
    let exact = units.iter().find(|(_, factor)| number >= *factor && number.is_multiple_of(*factor));
    let (unit, factor) = exact.or_else(|| units.last()).copied().unwrap_or(("", 1));
    format!("{}{unit}", number / factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    #[test]
    fn durations_are_whole_numbers_with_a_unit() {
        const GOOD: &[(&str, u64)] = &[("250ms", 250), ("5s", 5000), ("1m", 60_000), ("2 h", 7_200_000), ("0s", 0)];
        for (written, millis) in GOOD {
            assert_eq!(Duration::read(&text(written)), Ok(Duration::from_millis(*millis)), "{written}");
        }
        for written in ["", "5", "s", "1.5s", "-1s", "5S", "5 s s", "5sec", "99999999999999999999s", "999999999999999d"]
        {
            assert_eq!(Duration::read(&text(written)).unwrap_err().code, "bad_duration", "{written}");
        }
    }

    #[test]
    fn sizes_are_binary_units_or_bytes() {
        const GOOD: &[(&str, u64)] = &[("64KiB", 65_536), ("128MiB", 134_217_728), ("1GiB", GIB), ("7B", 7)];
        for (written, bytes) in GOOD {
            assert_eq!(u64::read(&text(written)), Ok(*bytes), "{written}");
        }
        assert_eq!(u64::read(&Value::Integer(4096)), Ok(4096));
        assert_eq!(u64::read(&Value::Integer(-1)).unwrap_err().code, "bad_size");
        for written in ["64", "64KB", "64k", "KiB", "1.5MiB", "99999999999GiB"] {
            assert_eq!(u64::read(&text(written)).unwrap_err().code, "bad_size", "{written}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same(number in 0_u64..=1 << 50) {
            prop_assert_eq!(u64::read(&text(&number.show())), Ok(number));
            let time = Duration::from_millis(number);
            prop_assert_eq!(Duration::read(&text(&time.show())), Ok(time));
        }
    }
}
