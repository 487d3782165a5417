//! The wire shapes of the providers, from the server's side.

pub mod azuredns;
pub mod cloudflare;
pub mod desec;
pub mod digitalocean;
pub mod dnsimple;
pub mod gandi;
pub mod gcpdns;
pub mod godaddy;
pub mod hetzner;
pub mod ionos;
pub mod linode;
pub mod namecheap;
pub mod namecom;
pub mod netlify;
mod plain;
pub mod porkbun;
pub mod rfc2136;
pub mod route53;
pub mod vercel;
pub mod vultr;
