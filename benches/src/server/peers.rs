//! nginx, HAProxy and Caddy of Debian 13, in a chroot: `chroot` executes them, so their process ids are ours to read.

use std::{net::SocketAddr, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use super::{Ca, Kind, Launch, first_line_of};
use crate::bed::{Bed, Folder, free_port};

const NGINX: &str = include_str!("../../peers/nginx.conf");
const HAPROXY: &str = include_str!("../../peers/haproxy.cfg");
const CADDYFILE: &str = include_str!("../../peers/Caddyfile");
const ON_DEMAND: &str = include_str!("../../peers/on-demand.Caddyfile");

pub(super) fn version(kind: Kind, bed: &Bed) -> Result<String> {
    let root = trixie(bed)?;
    let ask: &[&str] = match kind {
        Kind::Nginx => &["/usr/sbin/nginx", "-v"],
        Kind::Haproxy => &["/usr/sbin/haproxy", "-v"],
        Kind::Caddy => &["/usr/bin/caddy", "version"],
        Kind::Namegate | Kind::Floor => bail!("{kind} is no Debian package"),
    };
    let line = first_line_of(Command::new("chroot").arg(root).args(ask))?;
    // "HAProxy version 3.0.11-1+deb13u3 2026/05/20 - https://haproxy.org/", "nginx version: nginx/1.26.3", "2.6.2"
    let number = line.split([' ', '/']).find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    Ok(number.unwrap_or(&line).to_owned())
}

pub(super) fn with_certificate(kind: Kind, bed: &Bed) -> Result<Launch> {
    let root = trixie(bed)?;
    let folder = Folder::inside(root)?;
    let port = free_port()?;
    let place = |template: &str| {
        fill(
            template,
            &[
                ("folder", folder.path().display().to_string()),
                ("port", port.to_string()),
                ("origin", bed.origin.to_string()),
            ],
        )
    };
    let identity = &bed.identity;
    folder.write("chain.pem", &identity.chain_pem)?;
    folder.write("key.pem", &identity.key_pem)?;
    folder.write("bundle.pem", &format!("{}{}", identity.chain_pem, identity.key_pem))?;
    let server: Vec<String> = match kind {
        Kind::Nginx => {
            folder.write("nginx.conf", &place(NGINX))?;
            vec!["/usr/sbin/nginx".to_owned(), "-c".to_owned(), folder.file("nginx.conf")]
        }
        Kind::Haproxy => {
            folder.write("haproxy.cfg", &place(HAPROXY))?;
            vec!["/usr/sbin/haproxy".to_owned(), "-db".to_owned(), "-f".to_owned(), folder.file("haproxy.cfg")]
        }
        Kind::Caddy => {
            folder.write("Caddyfile", &place(CADDYFILE))?;
            caddy(&folder)
        }
        Kind::Namegate | Kind::Floor => bail!("{kind} is no Debian package"),
    };
    Ok(Launch { command: in_chroot(root, server), address: SocketAddr::from(([127, 0, 0, 1], port)), folder })
}

/// Caddy alone: the others cannot.
pub(super) fn on_demand(bed: &Bed, ca: &Ca) -> Result<Launch> {
    let root = trixie(bed)?;
    let folder = Folder::inside(root)?;
    folder.write("ca-root.pem", &ca.root_pem)?;
    let values = [
        ("folder", folder.path().display().to_string()),
        ("origin", bed.origin.to_string()),
        ("directory", ca.directory.clone()),
        ("ip", ca.tls.ip().to_string()),
        ("port", ca.tls.port().to_string()),
        ("http_port", ca.http.port().to_string()),
    ];
    folder.write("Caddyfile", &fill(ON_DEMAND, &values))?;
    Ok(Launch { command: in_chroot(root, caddy(&folder)), address: ca.tls, folder })
}

fn caddy(folder: &Folder) -> Vec<String> {
    let home = format!("HOME={}", folder.path().display());
    let config = folder.file("Caddyfile");
    ["/usr/bin/env", &home, "/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", &config]
        .map(str::to_owned)
        .into()
}

fn in_chroot(root: &Path, server: Vec<String>) -> Vec<String> {
    let mut command = vec!["chroot".to_owned(), root.display().to_string()];
    command.extend(server);
    command
}

fn trixie(bed: &Bed) -> Result<&Path> {
    bed.trixie.as_deref().context("there is no Debian 13 folder to run it from")
}

/// Puts values where `{{name}}` stands.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_of_every_template_is_filled() {
        let values = ["folder", "port", "origin", "directory", "ip", "http_port"].map(|name| (name, "1".to_owned()));
        for template in [NGINX, HAPROXY, CADDYFILE, ON_DEMAND] {
            assert!(!fill(template, &values).contains("{{"));
        }
    }
}
