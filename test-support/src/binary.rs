//! Where the product's binaries are.

use std::{ffi::OsString, path::PathBuf, process::Command};

use crate::daemon;

/// A binary of this repository.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binary {
    /// What cargo calls it.
    pub(crate) name: &'static str,
    /// The package that it is built from.
    pub(crate) package: &'static str,
    /// The variable that says where one is that was built already.
    pub(crate) variable: &'static str,
}

impl Binary {
    /// What the variable names; else what cargo has built beside this program; else it is built now.
    pub(crate) fn find(self) -> PathBuf {
        self.named().or_else(|| self.beside()).unwrap_or_else(|| self.build())
    }

    fn named(self) -> Option<PathBuf> {
        let path = PathBuf::from(std::env::var_os(self.variable)?);
        assert!(path.exists(), "{} names {}, which is not there", self.variable, path.display());
        Some(path)
    }

    /// A test runs in `target/<profile>/deps/`, a binary in `target/<profile>/`.
    fn beside(self) -> Option<PathBuf> {
        let exe = std::env::current_exe().ok()?;
        exe.ancestors().skip(1).take(2).map(|folder| folder.join(self.name)).find(|path| path.exists())
    }

    fn build(self) -> PathBuf {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo).args(["build", "--package", self.package, "--bin", self.name]).status();
        assert!(status.is_ok_and(|status| status.success()), "{} does not build", self.name);
        self.beside().unwrap_or_else(|| panic!("cargo must have put {} beside this program", self.name))
    }
}

/// A command for a binary of ours, without the settings of the caller's own environment: they would win over the file.
pub(crate) fn command(binary: Binary, foreign: impl Fn(&str) -> bool) -> Command {
    let mut command = daemon::command(binary.find());
    for (key, _) in std::env::vars_os() {
        if key.to_str().is_some_and(&foreign) {
            command.env_remove(key);
        }
    }
    command
}

/// The `PATH` of this process with the product's binaries in front, for a shell that types their names.
pub fn path_with_binaries() -> String {
    let folders = [crate::edge::BINARY, crate::control_plane::BINARY].map(Binary::find);
    let folders = folders.iter().filter_map(|binary| binary.parent().map(PathBuf::from));
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(folders.chain(std::env::split_paths(&inherited)));
    path.map(OsString::into_string).expect("the folders must have no colon in their names").expect("PATH must be UTF-8")
}
