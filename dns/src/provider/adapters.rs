//! One file for each provider: its paths, fields and quirks. The head of each says where they were read.

pub(super) mod azuredns;
pub(super) mod cloudflare;
pub(super) mod desec;
pub(super) mod digitalocean;
pub(super) mod dnsimple;
pub(super) mod gandi;
pub(super) mod gcpdns;
pub(super) mod godaddy;
pub(super) mod hetzner;
pub(super) mod ionos;
pub(super) mod linode;
pub(super) mod namecheap;
pub(super) mod namecom;
pub(super) mod netlify;
pub(super) mod porkbun;
pub(super) mod rfc2136;
pub(super) mod route53;
pub(super) mod vercel;
pub(super) mod vultr;
