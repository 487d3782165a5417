//! The product's promises, kept end to end: the real binary, real CAs, real clients.
//!
//! One module a promise or a family of them. Most use Pebble through a proxy that counts and holds its requests; those
//! that are only about proxying let the edge's internal CA sign, which saves each of them a CA.

#[cfg(test)]
mod stack;

#[cfg(test)]
mod answers_for_broken_origins;
#[cfg(test)]
mod asks_before_it_issues;
#[cfg(test)]
mod bears_hostile_origins;
#[cfg(test)]
mod changes_account_keys;
#[cfg(test)]
mod cuts_slow_clients;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod drains;
#[cfg(test)]
mod follows_the_control_plane;
#[cfg(test)]
mod forgets_former_tenants;
#[cfg(test)]
mod hands_over;
#[cfg(test)]
mod hears_balancers;
#[cfg(test)]
mod is_examined;
#[cfg(test)]
mod is_operated;
#[cfg(test)]
mod issues_on_first_hello;
#[cfg(test)]
mod keeps_caddys_storage;
#[cfg(test)]
mod keeps_keys_sealed;
#[cfg(test)]
mod keeps_logs_and_secrets;
#[cfg(test)]
mod keeps_names_apart;
#[cfg(test)]
mod keeps_to_limits;
#[cfg(test)]
mod looks_before_it_orders;
#[cfg(test)]
mod notices_silence;
#[cfg(test)]
mod orders_once_for_a_fleet;
#[cfg(test)]
mod proves_by_records;
#[cfg(test)]
mod proxies_requests;
#[cfg(test)]
mod reaches_no_inside_address;
#[cfg(test)]
mod reads_hellos;
#[cfg(test)]
mod redirects_plain_text;
#[cfg(test)]
mod refuses_hostile_http1;
#[cfg(test)]
mod refuses_hostile_http2;
#[cfg(test)]
mod renews_under_traffic;
#[cfg(test)]
mod rests_when_visitors_go;
#[cfg(test)]
mod resumes_only_its_own;
#[cfg(test)]
mod serves_real_clients;
#[cfg(test)]
mod shares_bandwidth;
#[cfg(test)]
mod shares_fairly;
#[cfg(test)]
mod spares_stuck_origins;
#[cfg(test)]
mod speaks_http2;
#[cfg(test)]
mod stands_in_floods;
#[cfg(test)]
mod stays_within_memory;
#[cfg(test)]
mod survives_crashes;
#[cfg(test)]
mod takes_large_pushes;
#[cfg(test)]
mod tells_the_origin_who_asked;
#[cfg(test)]
mod writes_records;
