//! What the run was made on: enough to judge the figures, nothing that names the machine.

use std::fs;

use serde::Serialize;

/// Facts of the machine.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Cores this process may use.
    pub cores: usize,
    /// The processor's model.
    pub processor: Option<String>,
    /// Memory in GiB.
    pub memory_gib: Option<u64>,
    /// The kernel's version, without a local suffix.
    pub kernel: Option<String>,
    /// Programs that ran or wanted to when this was read (the average of a minute): before a run, those of others.
    pub load: Option<f64>,
}

impl Machine {
    /// Reads them.
    pub fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        Self {
            cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            processor: field(&cpuinfo, "model name").map(str::to_owned),
            memory_gib: field(&read("/proc/meminfo"), "MemTotal").and_then(gib),
            kernel: read("/proc/sys/kernel/osrelease").split(['-', '\n']).next().map(str::to_owned),
            load: first_number(&read("/proc/loadavg")),
        }
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        (field.trim() == name).then(|| value.trim())
    })
}

fn gib(kib: &str) -> Option<u64> {
    let kib: u64 = kib.strip_suffix(" kB")?.parse().ok()?;
    Some(kib.div_ceil(1024 * 1024))
}

fn first_number(text: &str) -> Option<f64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        assert_eq!(field("model\t: 1\nmodel name\t: A CPU\n", "model name"), Some("A CPU"));
        assert_eq!(field("", "model name"), None);
    }

    #[test]
    fn the_load_is_that_of_the_last_minute() {
        assert_eq!(first_number("16.31 15.02 9.70 3/512 4711\n"), Some(16.31));
        assert_eq!(first_number(""), None);
    }

    #[test]
    fn memory_is_told_in_whole_gib() {
        assert_eq!(gib("24682508 kB"), Some(24));
        assert_eq!(gib("much"), None);
    }
}
