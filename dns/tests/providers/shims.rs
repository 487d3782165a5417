//! The wire shapes of the providers, from the server's side.

pub(crate) mod azuredns;
pub(crate) mod cloudflare;
pub(crate) mod desec;
pub(crate) mod digitalocean;
pub(crate) mod dnsimple;
pub(crate) mod gandi;
pub(crate) mod gcpdns;
pub(crate) mod godaddy;
pub(crate) mod hetzner;
pub(crate) mod ionos;
pub(crate) mod linode;
pub(crate) mod namecheap;
pub(crate) mod namecom;
pub(crate) mod netlify;
mod plain;
pub(crate) mod porkbun;
pub(crate) mod rfc2136;
pub(crate) mod route53;
pub(crate) mod vercel;
pub(crate) mod vultr;
