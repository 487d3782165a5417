//! How much memory there is, and how much of it the process has.

use std::{fs, path::Path};

/// Where the kernel tells of itself; elsewhere in tests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernel<'a> {
    pub(super) proc: &'a Path,
    pub(super) cgroup: &'a Path,
}

impl Kernel<'static> {
    pub(super) fn here() -> Self {
        Self { proc: Path::new("/proc"), cgroup: Path::new("/sys/fs/cgroup") }
    }
}

impl Kernel<'_> {
    /// The least of what the machine has and what any control group over the process allows, in bytes; `None` when
    /// nothing can be read.
    pub(super) fn limit(&self) -> Option<u64> {
        let groups = fs::read_to_string(self.proc.join("self/cgroup")).unwrap_or_default();
        groups.lines().filter_map(|line| self.group_limit(line)).chain(self.machine()).min()
    }

    /// Bytes that the process has in memory.
    pub(super) fn resident(&self) -> Option<u64> {
        self.bytes("self/status", "VmRSS:")
    }

    fn machine(&self) -> Option<u64> {
        self.bytes("meminfo", "MemTotal:")
    }

    /// What a line such as `VmRSS:  1234 kB` tells.
    fn bytes(&self, file: &str, key: &str) -> Option<u64> {
        let lines = fs::read_to_string(self.proc.join(file)).ok()?;
        let amount = lines.lines().find_map(|line| line.strip_prefix(key))?;
        Some(amount.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    }

    /// A line of `/proc/self/cgroup`: `0::/path` in version 2, `4:memory:/path` in version 1. The groups above count as
    /// well, and in a container the path may be one that is seen from outside: then only the root is there.
    fn group_limit(&self, line: &str) -> Option<u64> {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let (root, file) = match controllers {
            "" => (self.cgroup.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (self.cgroup.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let group = root.join(path.trim_start_matches('/'));
        let groups = group.ancestors().take_while(|group| group.starts_with(&root));
        groups.filter_map(|group| fs::read_to_string(group.join(file)).ok()?.trim().parse().ok()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn limit(files: &[(&str, &str)]) -> Option<u64> {
        let folder = kernel(files);
        Kernel { proc: &folder.path().join("proc"), cgroup: &folder.path().join("cgroup") }.limit()
    }

    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:       16000000 kB\nMemFree: 1 kB\n");

    #[test]
    fn the_tightest_bound_over_the_process_counts() {
        let v2 = ("proc/self/cgroup", "0::/system.slice/edge.service\n");
        let service = ("cgroup/system.slice/edge.service/memory.max", "max\n");
        let slice = ("cgroup/system.slice/memory.max", "536870912\n");
        assert_eq!(limit(&[MACHINE]), Some(16_000_000 * 1024));
        assert_eq!(limit(&[MACHINE, v2, service]), Some(16_000_000 * 1024));
        assert_eq!(limit(&[MACHINE, v2, service, slice]), Some(536_870_912));
        let inside = ("cgroup/memory.max", "268435456\n");
        assert_eq!(limit(&[MACHINE, v2, inside]), Some(268_435_456), "the root, as a container sees its own group");
        let v1 = ("proc/self/cgroup", "5:cpu,memory:/edge\n4:pids:/edge\n");
        let group = ("cgroup/memory/edge/memory.limit_in_bytes", "100000000\n");
        assert_eq!(limit(&[MACHINE, v1, group]), Some(100_000_000));
        assert_eq!(limit(&[]), None);
    }

    #[test]
    fn this_process_has_memory_and_a_limit() {
        let resident = Kernel::here().resident().unwrap();
        assert!(resident > 1024 * 1024 && resident < Kernel::here().limit().unwrap(), "{resident}");
    }
}
