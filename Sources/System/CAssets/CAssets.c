// SPDX-License-Identifier: Apache-2.0
// Written by scripts/embed; do not edit.
#include "CAssets.h"

static const unsigned char asset_0[] = {
#embed "sql/blueprints/coach/migrations/20260101000000_create_coach.sql"
};
static const unsigned char asset_1[] = {
#embed "sql/blueprints/social/migrations/20260101000000_create_social.sql"
};
static const unsigned char asset_2[] = {
#embed "sql/blueprints/starter/migrations/20260101000000_create_starter_views.sql"
};
static const unsigned char asset_3[] = {
#embed "sql/blueprints/studio/migrations/20260101000000_create_studio.sql"
};
static const unsigned char asset_4[] = {
#embed "sql/blueprints/workspace/migrations/20260101000000_create_workspace.sql"
};
static const unsigned char asset_5[] = {
#embed "sql/migrations/20261121000100_create_schemas.sql"
};
static const unsigned char asset_6[] = {
#embed "sql/migrations/20261121000200_create_extensions.sql"
};
static const unsigned char asset_7[] = {
#embed "sql/migrations/20261121000300_grant_default_privileges.sql"
};
static const unsigned char asset_8[] = {
#embed "sql/migrations/20261121000400_create_auth_functions.sql"
};
static const unsigned char asset_9[] = {
#embed "sql/migrations/20261121000500_create_auth_users.sql"
};
static const unsigned char asset_10[] = {
#embed "sql/migrations/20261121000600_create_auth_identities.sql"
};
static const unsigned char asset_11[] = {
#embed "sql/migrations/20261121000700_create_auth_sessions.sql"
};
static const unsigned char asset_12[] = {
#embed "sql/migrations/20261121000800_create_auth_refresh_tokens.sql"
};
static const unsigned char asset_13[] = {
#embed "sql/migrations/20261121000900_create_auth_mfa_factors.sql"
};
static const unsigned char asset_14[] = {
#embed "sql/migrations/20261121001000_create_auth_one_time_tokens.sql"
};
static const unsigned char asset_15[] = {
#embed "sql/migrations/20261121001100_create_auth_flow_state.sql"
};
static const unsigned char asset_16[] = {
#embed "sql/migrations/20261121001200_create_auth_audit_log_entries.sql"
};
static const unsigned char asset_17[] = {
#embed "sql/migrations/20261121001300_create_storage_functions.sql"
};
static const unsigned char asset_18[] = {
#embed "sql/migrations/20261121001400_create_storage_buckets.sql"
};
static const unsigned char asset_19[] = {
#embed "sql/migrations/20261121001500_create_storage_objects.sql"
};
static const unsigned char asset_20[] = {
#embed "sql/migrations/20261121001600_protect_storage_rows.sql"
};
static const unsigned char asset_21[] = {
#embed "sql/migrations/20261121001700_create_realtime_topic.sql"
};
static const unsigned char asset_22[] = {
#embed "sql/migrations/20261121001800_create_realtime_publication.sql"
};
static const unsigned char asset_23[] = {
#embed "sql/migrations/20261121002000_create_tenancy_plans.sql"
};
static const unsigned char asset_24[] = {
#embed "sql/migrations/20261121002100_create_tenancy_touch.sql"
};
static const unsigned char asset_25[] = {
#embed "sql/migrations/20261121002200_create_tenancy_tenants.sql"
};
static const unsigned char asset_26[] = {
#embed "sql/migrations/20261121002300_create_tenancy_members.sql"
};
static const unsigned char asset_27[] = {
#embed "sql/migrations/20261121002400_create_tenancy_current_tenant.sql"
};
static const unsigned char asset_28[] = {
#embed "sql/migrations/20261121002500_create_tenancy_profiles.sql"
};
static const unsigned char asset_29[] = {
#embed "sql/migrations/20261121002600_create_tenancy_settings.sql"
};
static const unsigned char asset_30[] = {
#embed "sql/migrations/20261121002700_create_tenancy_audit_log.sql"
};
static const unsigned char asset_31[] = {
#embed "sql/migrations/20261121002800_create_tenancy_secrets.sql"
};
static const unsigned char asset_32[] = {
#embed "sql/migrations/20261121002900_create_tenancy_setup_runs.sql"
};
static const unsigned char asset_33[] = {
#embed "sql/migrations/20261121003000_create_tenancy_usage.sql"
};
static const unsigned char asset_34[] = {
#embed "sql/migrations/20261121003100_create_tenancy_services.sql"
};
static const unsigned char asset_35[] = {
#embed "sql/migrations/20261121003200_provision_users.sql"
};
static const unsigned char asset_36[] = {
#embed "sql/migrations/20261121003300_watch_schema_changes.sql"
};
static const unsigned char asset_37[] = {
#embed "sql/migrations/20261121010000_create_statement_statistics.sql"
};
static const unsigned char asset_38[] = {
#embed "sql/migrations/20261121010100_restrict_statement_statistics.sql"
};
static const unsigned char asset_39[] = {
#embed "sql/migrations/20261121023000_create_auth_sso.sql"
};
static const unsigned char asset_40[] = {
#embed "sql/migrations/20261121023100_create_auth_used_codes.sql"
};
static const unsigned char asset_41[] = {
#embed "sql/migrations/20261121024000_create_jobs.sql"
};
static const unsigned char asset_42[] = {
#embed "sql/migrations/20261121024100_extend_one_time_tokens.sql"
};
static const unsigned char asset_43[] = {
#embed "sql/migrations/20261121026000_create_vectors_collections.sql"
};
static const unsigned char asset_44[] = {
#embed "sql/migrations/20261121026100_create_vectors_points.sql"
};
static const unsigned char asset_45[] = {
#embed "sql/migrations/20261121026200_create_vectors_functions.sql"
};
static const unsigned char asset_46[] = {
#embed "sql/migrations/20261121026300_create_vectors_expressions.sql"
};
static const unsigned char asset_47[] = {
#embed "sql/migrations/20261121026400_create_usage_recording.sql"
};
static const unsigned char asset_48[] = {
#embed "sql/migrations/20261121026500_claim_index_builds.sql"
};
static const unsigned char asset_49[] = {
#embed "sql/migrations/20261121027000_limit_tenant_storage.sql"
};
static const unsigned char asset_50[] = {
#embed "sql/migrations/20261121027100_create_storage_uploads.sql"
};
static const unsigned char asset_51[] = {
#embed "sql/migrations/20261121027200_account_storage_usage.sql"
};
static const unsigned char asset_52[] = {
#embed "sql/migrations/20261121027300_create_storage_uploading.sql"
};
static const unsigned char asset_53[] = {
#embed "sql/migrations/20261121027400_create_storage_listing.sql"
};
static const unsigned char asset_54[] = {
#embed "sql/migrations/20261121027900_restrict_storage_functions.sql"
};
static const unsigned char asset_55[] = {
#embed "sql/migrations/20261121028100_create_auth_passkeys.sql"
};
static const unsigned char asset_56[] = {
#embed "sql/migrations/20261121028110_index_auth_factor_keys.sql"
};
static const unsigned char asset_57[] = {
#embed "sql/migrations/20261121028200_default_vector_keys.sql"
};
static const unsigned char asset_58[] = {
#embed "sql/migrations/20261121028300_restrict_storage_uploads.sql"
};
static const unsigned char asset_59[] = {
#embed "sql/migrations/20261121028310_announce_storage_events.sql"
};
static const unsigned char asset_60[] = {
#embed "sql/migrations/20261121028400_create_tenancy_rules.sql"
};
static const unsigned char asset_61[] = {
#embed "sql/migrations/20261121028410_extend_tenancy_tenants.sql"
};
static const unsigned char asset_62[] = {
#embed "sql/migrations/20261121028420_audit_tenancy_changes.sql"
};
static const unsigned char asset_63[] = {
#embed "sql/migrations/20261121028430_choose_session_tenant.sql"
};
static const unsigned char asset_64[] = {
#embed "sql/migrations/20261121028440_create_tenancy_invitations.sql"
};
static const unsigned char asset_65[] = {
#embed "sql/migrations/20261121028450_remove_tenants.sql"
};
static const unsigned char asset_66[] = {
#embed "sql/migrations/20261121028460_enforce_usage_limits.sql"
};
static const unsigned char asset_67[] = {
#embed "sql/migrations/20261121028470_export_tenants.sql"
};
static const unsigned char asset_68[] = {
#embed "sql/migrations/20261121028600_create_setup_functions.sql"
};
static const unsigned char asset_69[] = {
#embed "sql/migrations/20261121028610_record_secret_validation.sql"
};
static const unsigned char asset_70[] = {
#embed "sql/migrations/20261121028620_create_tenant_schemas.sql"
};
static const unsigned char asset_71[] = {
#embed "sql/migrations/20261121028630_create_execute_sql.sql"
};
static const unsigned char asset_72[] = {
#embed "sql/migrations/20261121028800_restrict_pictures.sql"
};
static const unsigned char asset_73[] = {
#embed "sql/migrations/20261121029100_keep_collections_outside.sql"
};
static const unsigned char asset_74[] = {
#embed "sql/migrations/20261121029400_seal_identities.sql"
};
static const unsigned char asset_75[] = {
#embed "sql/migrations/20261121029410_enter_tenant_schemas.sql"
};
static const unsigned char asset_76[] = {
#embed "sql/migrations/20261121029420_announce_tenant_status.sql"
};
static const unsigned char asset_77[] = {
#embed "sql/migrations/20261121029430_tell_usage_alerts.sql"
};
static const unsigned char asset_78[] = {
#embed "sql/migrations/20261121029440_extend_profiles.sql"
};
static const unsigned char asset_79[] = {
#embed "sql/migrations/20261121029450_hide_prepared_statements.sql"
};
static const unsigned char asset_80[] = {
#embed "sql/migrations/20261121029470_group_tenant_roles.sql"
};
static const unsigned char asset_81[] = {
#embed "sql/migrations/20261121029480_grant_tenant_objects.sql"
};
static const unsigned char asset_82[] = {
#embed "sql/migrations/20261121029600_order_setup_locks.sql"
};
static const unsigned char asset_83[] = {
#embed "sql/migrations/20261121029610_revoke_invitations_of_members.sql"
};
static const unsigned char asset_84[] = {
#embed "sql/prepare.sql"
};
static const unsigned char asset_85[] = {
#embed "web/atoll.css"
};
static const unsigned char asset_86[] = {
#embed "web/atoll.js"
};
static const unsigned char asset_87[] = {
#embed "web/atoll.svg"
};
static const unsigned char asset_88[] = {
#embed "web/robots.txt"
};

const struct atoll_asset atoll_assets[] = {
    {"sql/blueprints/coach/migrations/20260101000000_create_coach.sql", asset_0, sizeof asset_0},
    {"sql/blueprints/social/migrations/20260101000000_create_social.sql", asset_1, sizeof asset_1},
    {"sql/blueprints/starter/migrations/20260101000000_create_starter_views.sql", asset_2, sizeof asset_2},
    {"sql/blueprints/studio/migrations/20260101000000_create_studio.sql", asset_3, sizeof asset_3},
    {"sql/blueprints/workspace/migrations/20260101000000_create_workspace.sql", asset_4, sizeof asset_4},
    {"sql/migrations/20261121000100_create_schemas.sql", asset_5, sizeof asset_5},
    {"sql/migrations/20261121000200_create_extensions.sql", asset_6, sizeof asset_6},
    {"sql/migrations/20261121000300_grant_default_privileges.sql", asset_7, sizeof asset_7},
    {"sql/migrations/20261121000400_create_auth_functions.sql", asset_8, sizeof asset_8},
    {"sql/migrations/20261121000500_create_auth_users.sql", asset_9, sizeof asset_9},
    {"sql/migrations/20261121000600_create_auth_identities.sql", asset_10, sizeof asset_10},
    {"sql/migrations/20261121000700_create_auth_sessions.sql", asset_11, sizeof asset_11},
    {"sql/migrations/20261121000800_create_auth_refresh_tokens.sql", asset_12, sizeof asset_12},
    {"sql/migrations/20261121000900_create_auth_mfa_factors.sql", asset_13, sizeof asset_13},
    {"sql/migrations/20261121001000_create_auth_one_time_tokens.sql", asset_14, sizeof asset_14},
    {"sql/migrations/20261121001100_create_auth_flow_state.sql", asset_15, sizeof asset_15},
    {"sql/migrations/20261121001200_create_auth_audit_log_entries.sql", asset_16, sizeof asset_16},
    {"sql/migrations/20261121001300_create_storage_functions.sql", asset_17, sizeof asset_17},
    {"sql/migrations/20261121001400_create_storage_buckets.sql", asset_18, sizeof asset_18},
    {"sql/migrations/20261121001500_create_storage_objects.sql", asset_19, sizeof asset_19},
    {"sql/migrations/20261121001600_protect_storage_rows.sql", asset_20, sizeof asset_20},
    {"sql/migrations/20261121001700_create_realtime_topic.sql", asset_21, sizeof asset_21},
    {"sql/migrations/20261121001800_create_realtime_publication.sql", asset_22, sizeof asset_22},
    {"sql/migrations/20261121002000_create_tenancy_plans.sql", asset_23, sizeof asset_23},
    {"sql/migrations/20261121002100_create_tenancy_touch.sql", asset_24, sizeof asset_24},
    {"sql/migrations/20261121002200_create_tenancy_tenants.sql", asset_25, sizeof asset_25},
    {"sql/migrations/20261121002300_create_tenancy_members.sql", asset_26, sizeof asset_26},
    {"sql/migrations/20261121002400_create_tenancy_current_tenant.sql", asset_27, sizeof asset_27},
    {"sql/migrations/20261121002500_create_tenancy_profiles.sql", asset_28, sizeof asset_28},
    {"sql/migrations/20261121002600_create_tenancy_settings.sql", asset_29, sizeof asset_29},
    {"sql/migrations/20261121002700_create_tenancy_audit_log.sql", asset_30, sizeof asset_30},
    {"sql/migrations/20261121002800_create_tenancy_secrets.sql", asset_31, sizeof asset_31},
    {"sql/migrations/20261121002900_create_tenancy_setup_runs.sql", asset_32, sizeof asset_32},
    {"sql/migrations/20261121003000_create_tenancy_usage.sql", asset_33, sizeof asset_33},
    {"sql/migrations/20261121003100_create_tenancy_services.sql", asset_34, sizeof asset_34},
    {"sql/migrations/20261121003200_provision_users.sql", asset_35, sizeof asset_35},
    {"sql/migrations/20261121003300_watch_schema_changes.sql", asset_36, sizeof asset_36},
    {"sql/migrations/20261121010000_create_statement_statistics.sql", asset_37, sizeof asset_37},
    {"sql/migrations/20261121010100_restrict_statement_statistics.sql", asset_38, sizeof asset_38},
    {"sql/migrations/20261121023000_create_auth_sso.sql", asset_39, sizeof asset_39},
    {"sql/migrations/20261121023100_create_auth_used_codes.sql", asset_40, sizeof asset_40},
    {"sql/migrations/20261121024000_create_jobs.sql", asset_41, sizeof asset_41},
    {"sql/migrations/20261121024100_extend_one_time_tokens.sql", asset_42, sizeof asset_42},
    {"sql/migrations/20261121026000_create_vectors_collections.sql", asset_43, sizeof asset_43},
    {"sql/migrations/20261121026100_create_vectors_points.sql", asset_44, sizeof asset_44},
    {"sql/migrations/20261121026200_create_vectors_functions.sql", asset_45, sizeof asset_45},
    {"sql/migrations/20261121026300_create_vectors_expressions.sql", asset_46, sizeof asset_46},
    {"sql/migrations/20261121026400_create_usage_recording.sql", asset_47, sizeof asset_47},
    {"sql/migrations/20261121026500_claim_index_builds.sql", asset_48, sizeof asset_48},
    {"sql/migrations/20261121027000_limit_tenant_storage.sql", asset_49, sizeof asset_49},
    {"sql/migrations/20261121027100_create_storage_uploads.sql", asset_50, sizeof asset_50},
    {"sql/migrations/20261121027200_account_storage_usage.sql", asset_51, sizeof asset_51},
    {"sql/migrations/20261121027300_create_storage_uploading.sql", asset_52, sizeof asset_52},
    {"sql/migrations/20261121027400_create_storage_listing.sql", asset_53, sizeof asset_53},
    {"sql/migrations/20261121027900_restrict_storage_functions.sql", asset_54, sizeof asset_54},
    {"sql/migrations/20261121028100_create_auth_passkeys.sql", asset_55, sizeof asset_55},
    {"sql/migrations/20261121028110_index_auth_factor_keys.sql", asset_56, sizeof asset_56},
    {"sql/migrations/20261121028200_default_vector_keys.sql", asset_57, sizeof asset_57},
    {"sql/migrations/20261121028300_restrict_storage_uploads.sql", asset_58, sizeof asset_58},
    {"sql/migrations/20261121028310_announce_storage_events.sql", asset_59, sizeof asset_59},
    {"sql/migrations/20261121028400_create_tenancy_rules.sql", asset_60, sizeof asset_60},
    {"sql/migrations/20261121028410_extend_tenancy_tenants.sql", asset_61, sizeof asset_61},
    {"sql/migrations/20261121028420_audit_tenancy_changes.sql", asset_62, sizeof asset_62},
    {"sql/migrations/20261121028430_choose_session_tenant.sql", asset_63, sizeof asset_63},
    {"sql/migrations/20261121028440_create_tenancy_invitations.sql", asset_64, sizeof asset_64},
    {"sql/migrations/20261121028450_remove_tenants.sql", asset_65, sizeof asset_65},
    {"sql/migrations/20261121028460_enforce_usage_limits.sql", asset_66, sizeof asset_66},
    {"sql/migrations/20261121028470_export_tenants.sql", asset_67, sizeof asset_67},
    {"sql/migrations/20261121028600_create_setup_functions.sql", asset_68, sizeof asset_68},
    {"sql/migrations/20261121028610_record_secret_validation.sql", asset_69, sizeof asset_69},
    {"sql/migrations/20261121028620_create_tenant_schemas.sql", asset_70, sizeof asset_70},
    {"sql/migrations/20261121028630_create_execute_sql.sql", asset_71, sizeof asset_71},
    {"sql/migrations/20261121028800_restrict_pictures.sql", asset_72, sizeof asset_72},
    {"sql/migrations/20261121029100_keep_collections_outside.sql", asset_73, sizeof asset_73},
    {"sql/migrations/20261121029400_seal_identities.sql", asset_74, sizeof asset_74},
    {"sql/migrations/20261121029410_enter_tenant_schemas.sql", asset_75, sizeof asset_75},
    {"sql/migrations/20261121029420_announce_tenant_status.sql", asset_76, sizeof asset_76},
    {"sql/migrations/20261121029430_tell_usage_alerts.sql", asset_77, sizeof asset_77},
    {"sql/migrations/20261121029440_extend_profiles.sql", asset_78, sizeof asset_78},
    {"sql/migrations/20261121029450_hide_prepared_statements.sql", asset_79, sizeof asset_79},
    {"sql/migrations/20261121029470_group_tenant_roles.sql", asset_80, sizeof asset_80},
    {"sql/migrations/20261121029480_grant_tenant_objects.sql", asset_81, sizeof asset_81},
    {"sql/migrations/20261121029600_order_setup_locks.sql", asset_82, sizeof asset_82},
    {"sql/migrations/20261121029610_revoke_invitations_of_members.sql", asset_83, sizeof asset_83},
    {"sql/prepare.sql", asset_84, sizeof asset_84},
    {"web/atoll.css", asset_85, sizeof asset_85},
    {"web/atoll.js", asset_86, sizeof asset_86},
    {"web/atoll.svg", asset_87, sizeof asset_87},
    {"web/robots.txt", asset_88, sizeof asset_88},
};
const size_t atoll_asset_count = sizeof atoll_assets / sizeof atoll_assets[0];
