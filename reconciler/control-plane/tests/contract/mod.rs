//! The contract: what a client of the Kubernetes API sees, as sentences that hold for any server.
//!
//! Each scenario gets a [`Door`]: a client and a namespace of its own, on a server that serves the `Widget` kind of
//! `widget.yaml`. `one_contract.rs` runs each against the embedded API and against a real kube-apiserver.

#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod answers;
pub mod apply;
pub mod builtins;
pub mod deletion;
pub mod door;
pub mod lists;
pub mod objects;
pub mod schemas;
pub mod tables;
pub mod transcript;
pub mod wasmbed;
pub mod watches;

pub use door::Door;

/// Calls the given macro with every scenario as `module: name, name, ...;`.
#[macro_export]
macro_rules! scenarios {
    ($call:ident) => {
        $call! {
            objects:
                a_created_object_gets_a_uid_a_time_a_generation_and_a_version,
                a_second_create_of_the_same_name_is_already_exists,
                a_generated_name_begins_with_its_prefix,
                an_object_without_a_name_is_invalid,
                a_name_that_dns_would_refuse_is_invalid,
                a_missing_object_is_not_found_with_details,
                an_object_in_a_missing_namespace_is_not_found,
                an_update_with_a_stale_version_is_a_conflict,
                an_update_without_a_version_is_refused_for_custom_resources,
                an_update_of_a_missing_object_is_not_found,
                an_update_that_changes_nothing_writes_nothing,
                a_change_of_spec_is_a_new_generation_and_one_of_labels_is_not,
                a_merge_patch_changes_what_it_names,
                a_merge_patch_with_a_stale_version_is_a_conflict,
                a_json_patch_tests_and_changes,
                status_is_changed_only_through_its_own_door,
                the_name_in_a_body_must_be_the_one_in_the_path,
                a_uid_in_a_body_is_a_precondition,
                a_dry_run_changes_nothing,
                a_dry_run_of_every_verb_shows_and_writes_nothing,
                a_dry_run_is_refused_as_the_request_would_be,
                an_unknown_kind_of_dry_run_is_invalid;
            deletion:
                a_deleted_object_is_gone_and_the_answer_says_so,
                a_finalizer_holds_an_object_until_it_is_removed,
                an_object_that_is_going_gains_no_finalizers,
                preconditions_of_a_deletion_must_hold,
                a_collection_is_deleted_by_selector,
                what_an_object_owns_goes_with_it,
                orphans_stay_and_forget_their_owner,
                a_namespace_goes_with_all_that_is_in_it;
            lists:
                a_list_is_sorted_by_name_and_has_a_version,
                a_limited_list_is_continued_as_it_was_at_its_first_page,
                a_broken_continue_token_is_a_bad_request,
                equality_and_set_selectors_pick_by_label,
                field_selectors_pick_by_name_and_an_unknown_field_is_a_bad_request,
                a_list_over_all_namespaces_holds_each,
                a_version_from_the_future_is_a_timeout,
                an_exact_version_is_given_as_it_was,
                an_exact_version_is_paged_as_it_was,
                a_list_no_older_than_a_version_is_of_the_present,
                a_list_of_any_version_holds_what_was_there,
                versions_that_contradict_what_is_asked_are_refused,
                an_object_is_read_no_older_than_a_version;
            watches:
                a_watch_goes_on_where_a_list_ended,
                a_watch_without_a_version_begins_with_all_there_is,
                a_streamed_list_ends_with_a_bookmark,
                a_watch_by_label_adds_what_begins_to_match_and_deletes_what_ceases,
                a_watch_ends_at_its_timeout,
                a_watch_from_too_long_ago_is_gone,
                a_watch_of_one_name_hears_of_no_other,
                a_watch_that_asks_for_bookmarks_hears_how_far_it_is,
                a_watch_goes_on_where_a_bookmark_was;
            apply:
                applying_creates_and_applying_again_changes_nothing,
                a_conflict_names_the_manager_and_each_field,
                force_takes_the_field_over,
                a_field_no_longer_applied_goes,
                a_field_that_two_managers_apply_stays_until_both_let_go,
                an_atomic_map_is_put_back_whole,
                items_of_a_map_list_belong_to_those_who_apply_them,
                an_update_is_accounted_for_and_takes_ownership,
                status_is_applied_through_its_own_door,
                a_status_of_a_missing_object_cannot_be_applied,
                an_apply_without_a_manager_is_invalid,
                an_apply_with_managed_fields_is_a_bad_request,
                an_apply_that_creates_names_its_object,
                an_apply_in_yaml_is_read,
                a_dry_run_of_an_apply_shows_and_writes_nothing;
            schemas:
                a_wrong_type_is_invalid_with_its_field,
                bounds_patterns_and_enums_are_checked,
                a_missing_required_field_is_named,
                defaults_are_filled_in,
                unknown_fields_are_dropped_with_a_warning,
                unknown_fields_are_refused_when_validation_is_strict,
                a_field_that_is_there_twice_is_told,
                unknown_fields_stay_where_the_schema_keeps_them,
                int_or_string_takes_both,
                nulls_of_fields_that_may_not_be_null_are_dropped,
                labels_that_are_no_text_are_a_bad_request;
            builtins:
                an_immutable_config_map_stays_as_it_is,
                a_secret_takes_text_and_gives_base64,
                a_strategic_merge_patch_changes_a_config_map,
                a_strategic_merge_patch_of_a_custom_resource_is_unsupported,
                a_namespace_begins_active_with_its_name_as_a_label,
                the_default_namespace_may_not_be_deleted,
                a_lease_is_renewed_and_a_stale_renewal_refused,
                an_event_is_the_same_in_both_groups,
                events_are_picked_by_what_they_are_about;
            tables:
                a_config_map_is_a_row_with_the_number_of_its_entries,
                a_secret_is_a_row_with_its_type,
                a_lease_is_a_row_with_its_holder,
                a_namespace_is_a_row_with_its_phase,
                an_event_is_a_row_with_what_it_is_about,
                a_watch_of_tables_describes_the_columns_once;
            wasmbed:
                a_gateway_is_kept_and_a_wrong_one_refused,
                a_device_is_kept_and_a_wrong_one_refused,
                an_application_is_kept_and_a_wrong_one_refused,
                a_fleet_is_kept_and_a_wrong_one_refused,
                a_release_is_kept_and_a_wrong_one_refused,
                a_rollout_is_kept_and_a_wrong_one_refused;
            answers:
                an_unknown_path_is_not_found,
                an_unknown_subresource_is_not_found,
                a_verb_that_is_not_served_is_not_allowed,
                a_body_that_is_not_json_is_a_bad_request,
                a_body_of_another_kind_is_a_bad_request,
                a_body_of_the_wrong_type_is_unsupported,
                a_body_that_is_too_large_is_refused,
                an_accept_that_cannot_be_met_is_not_acceptable,
                a_table_has_the_columns_of_the_definition,
                metadata_can_be_asked_for_alone,
                discovery_names_every_kind,
                aggregated_discovery_says_the_same_at_once,
                openapi_describes_every_kind,
                the_definitions_are_listed_as_established;
        }
    };
}
