//! [`Format`]: what differs between the files of the two binaries; the machinery that reads them is one.

/// One format: its tables and how its overrides are named.
#[derive(Debug)]
pub(crate) struct Format {
    /// Every table, in the order of the reference file; a table in a table has both names.
    pub(crate) tables: &'static [&'static str],
    /// What every override starts with.
    pub(crate) prefix: &'static str,
    /// Variables with names of their own, which win over all else, and the key that each sets.
    pub(crate) aliases: &'static [(&'static str, (&'static str, &'static str))],
    /// A key to show when the naming of overrides must be explained.
    pub(crate) example: (&'static str, &'static str),
    /// The file that lists every key.
    pub(crate) reference: &'static str,
}

/// `namegate-edge`.
pub(crate) const EDGE: Format = Format {
    tables: &[
        "listen",
        "ask",
        "control",
        "acme",
        "acme.dns",
        "acme.limits",
        "acme.preflight",
        "storage",
        "proxy",
        "limits",
        "log",
    ],
    prefix: "NAMEGATE_EDGE__",
    aliases: &[],
    example: ("ask", "url"),
    reference: "config.default.toml",
};

/// `namegate-control`.
pub(crate) const CONTROL: Format = Format {
    tables: &[
        "listen",
        "database",
        "keys",
        "tokens",
        "edge",
        "acme",
        "dns",
        "domain_connect",
        "worker",
        "webhooks",
        "plans",
        "review",
        "limits",
        "dev",
        "log",
    ],
    prefix: "NAMEGATE_CONTROL__",
    aliases: &[("DATABASE_URL", ("database", "url")), ("NAMEGATE_KEY_FILE", ("keys", "file"))],
    example: ("edge", "cname"),
    reference: "control.default.toml",
};

impl Format {
    /// `NAMEGATE_EDGE__ASK__URL`, `NAMEGATE_EDGE__ACME__DNS__ZONES`.
    pub(crate) fn variable(&self, table: &str, key: &str) -> String {
        format!("{}{}__{key}", self.prefix, table.replace('.', "__")).to_ascii_uppercase()
    }

    /// Whether a variable is meant for this format.
    pub(crate) fn owns(&self, variable: &str) -> bool {
        variable.starts_with(self.prefix) || self.aliases.iter().any(|(alias, _)| *alias == variable)
    }

    /// The variable with a name of its own for a key.
    pub(crate) fn alias(&self, table: &str, key: &str) -> Option<&'static str> {
        self.aliases.iter().find(|(_, home)| *home == (table, key)).map(|(alias, _)| *alias)
    }

    /// The overrides in the environment of this process.
    ///
    /// A variable that is not UTF-8 is kept with replacement characters, so that it is refused and not overlooked.
    pub(crate) fn environment(&'static self) -> impl Iterator<Item = (String, String)> {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        std::env::vars_os().map(move |(name, value)| (lossy(name), lossy(value))).filter(|(name, _)| self.owns(name))
    }
}
