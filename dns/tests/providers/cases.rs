//! The cases, each a promise about every provider.

use std::{future::Future, pin::Pin, sync::Arc};

use crate::shim::Shim;

mod conflicts;
mod failing;
mod finding;
mod killed;
mod merging;
mod volume;
mod writing;

/// A promise and what proves it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Arc<dyn Shim>) -> Proof,
}

/// Ends well or panics.
type Proof = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Cases of answers that only an interface over HTTP can give.
const OVER_HTTP: [&str; 11] = [
    "every_second_call_refused_for_its_rate_still_ends_right",
    "a_long_wait_is_told_with_its_time",
    "a_credential_without_rights_changes_nothing",
    "a_missing_zone_is_told",
    "a_page_instead_of_an_answer_is_not_quoted",
    "a_page_that_claims_success_is_no_empty_zone",
    "an_endless_answer_is_cut",
    "a_redirect_is_not_followed",
    "a_fault_of_the_provider_passes",
    "a_refused_half_is_undone",
    "no_failure_shows_a_secret",
];

impl Case {
    /// Whether the provider has what the case is about.
    pub(crate) fn applies(&self, shim: &dyn Shim) -> bool {
        if shim.bind().is_some() && OVER_HTTP.contains(&self.name) {
            return false;
        }
        match self.name {
            "a_malformed_credential_is_told_without_a_call" => shim.malformed_credential().is_some(),
            // A zone that is written as a whole has no such moment at the provider.
            "a_record_that_came_between_look_and_write_ends_it" => !shim.whole(),
            _ => true,
        }
    }
}

macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        pub(crate) const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            run: |shim| Box::pin(async move { $module::$name(crate::bench::World::new(&shim).await).await }),
        }),*];
    };
}

cases![
    finding::the_zone_with_the_longest_name_is_found,
    finding::a_zone_that_merely_ends_alike_is_not_taken,
    finding::every_record_of_a_long_zone_is_read,
    finding::the_records_of_the_customer_are_read_as_they_are,
    finding::looking_writes_nothing,
    writing::a_cname_is_written,
    writing::what_is_there_already_costs_no_write,
    writing::the_way_a_name_is_spelled_makes_no_difference,
    writing::addresses_of_both_kinds_are_written,
    writing::texts_are_written_as_they_are,
    writing::a_short_time_to_live_is_raised_to_the_floor,
    writing::a_changed_target_never_leaves_the_name_empty,
    writing::changed_addresses_never_leave_the_name_empty,
    writing::addresses_become_a_cname_and_addresses_again,
    writing::a_finished_plan_can_be_taken_back,
    merging::texts_of_others_in_the_same_set_stay_byte_for_byte,
    merging::the_former_site_is_announced_and_replaced,
    merging::addresses_at_the_top_leave_mail_alone,
    merging::only_our_own_records_are_removed,
    merging::removing_what_is_gone_is_no_error,
    merging::several_names_change_in_one_plan,
    conflicts::a_cname_beside_mail_is_refused_before_anything_is_written,
    conflicts::a_cname_at_the_top_is_flattened_or_refused,
    conflicts::a_delegated_name_is_refused,
    conflicts::a_text_beside_the_customers_cname_is_refused,
    conflicts::a_zone_that_changed_since_the_preview_is_looked_at_again,
    conflicts::a_record_that_came_between_look_and_write_ends_it,
    failing::every_second_call_refused_for_its_rate_still_ends_right,
    failing::a_long_wait_is_told_with_its_time,
    failing::an_unknown_credential_is_told,
    failing::a_malformed_credential_is_told_without_a_call,
    failing::a_credential_without_rights_changes_nothing,
    failing::a_missing_zone_is_told,
    failing::a_page_instead_of_an_answer_is_not_quoted,
    failing::a_page_that_claims_success_is_no_empty_zone,
    failing::an_endless_answer_is_cut,
    failing::a_silent_provider_is_left,
    failing::a_redirect_is_not_followed,
    failing::a_fault_of_the_provider_passes,
    failing::a_refused_half_is_undone,
    failing::no_failure_shows_a_secret,
    killed::a_cut_before_any_write_is_completed,
    killed::a_cut_after_any_write_makes_no_duplicate,
    killed::killed_between_any_two_calls_the_next_run_completes_it,
    volume::two_writers_of_one_zone_wait_for_each_other,
    volume::hundreds_of_records_survive_random_plans,
];
