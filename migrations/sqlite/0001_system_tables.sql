-- System tables in the public layout, and our own (tablature_*). A table that exists is left as it is, so that an
-- existing database can be served in place.

CREATE TABLE IF NOT EXISTS "tablature_migrations" (
  "version" integer NOT NULL PRIMARY KEY,
  "name" varchar(255) NOT NULL,
  "applied_at" timestamp NOT NULL
);

CREATE TABLE IF NOT EXISTS "tablature_schema" (
  "id" integer NOT NULL PRIMARY KEY CHECK ("id" = 1),
  "model" json_text NOT NULL,
  "model_hash" varchar(64) NOT NULL,
  "applied_at" timestamp NOT NULL
);

CREATE TABLE IF NOT EXISTS "tablature_apply" (
  "id" integer NOT NULL PRIMARY KEY CHECK ("id" = 1),
  "plan" text NOT NULL,
  "next_step" integer NOT NULL,
  "started_at" timestamp NOT NULL,
  "node" varchar(64) NOT NULL
);

CREATE TABLE IF NOT EXISTS "tablature_lock" (
  "name" varchar(64) NOT NULL PRIMARY KEY,
  "owner" varchar(64) NOT NULL,
  "until" timestamp NOT NULL
);

CREATE TABLE IF NOT EXISTS "tablature_outbox" (
  "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "created_at" timestamp NOT NULL,
  "event" varchar(64) NOT NULL,
  "collection" varchar(64) NOT NULL,
  "item" varchar(255),
  "payload" text,
  "accountability" text
);

CREATE TABLE IF NOT EXISTS "tablature_idempotency" (
  "id" varchar(64) NOT NULL PRIMARY KEY,
  "body_hash" varchar(64) NOT NULL,
  "state" varchar(16) NOT NULL,
  "status" integer,
  "answer" text,
  "created_at" timestamp NOT NULL
);
CREATE INDEX IF NOT EXISTS "tablature_idempotency_created_at_index" ON "tablature_idempotency" ("created_at");

CREATE TABLE IF NOT EXISTS "directus_activity" (
  "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "action" varchar(45) NOT NULL,
  "user" char(36),
  "timestamp" timestamp NOT NULL,
  "ip" varchar(50),
  "user_agent" text,
  "collection" varchar(64) NOT NULL,
  "item" varchar(255) NOT NULL,
  "origin" varchar(255)
);
CREATE INDEX IF NOT EXISTS "directus_activity_timestamp_index" ON "directus_activity" ("timestamp");

CREATE TABLE IF NOT EXISTS "directus_collections" (
  "collection" varchar(64) NOT NULL PRIMARY KEY,
  "icon" varchar(64),
  "note" text,
  "display_template" varchar(255),
  "hidden" boolean NOT NULL DEFAULT 0,
  "singleton" boolean NOT NULL DEFAULT 0,
  "translations" json_text,
  "archive_field" varchar(64),
  "archive_app_filter" boolean NOT NULL DEFAULT 1,
  "archive_value" varchar(255),
  "unarchive_value" varchar(255),
  "sort_field" varchar(64),
  "accountability" varchar(255) DEFAULT 'all',
  "color" varchar(255),
  "item_duplication_fields" json_text,
  "sort" integer,
  "group" varchar(64),
  "collapse" varchar(255) NOT NULL DEFAULT 'open',
  "preview_url" varchar(255),
  "versioning" boolean NOT NULL DEFAULT 0,
  CONSTRAINT "directus_collections_group_foreign" FOREIGN KEY ("group") REFERENCES "directus_collections" ("collection")
);

CREATE TABLE IF NOT EXISTS "directus_extensions" (
  "enabled" boolean NOT NULL DEFAULT 1,
  "id" char(36) NOT NULL PRIMARY KEY,
  "folder" varchar(255) NOT NULL,
  "source" varchar(255) NOT NULL,
  "bundle" char(36)
);

CREATE TABLE IF NOT EXISTS "directus_fields" (
  "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "collection" varchar(64) NOT NULL,
  "field" varchar(64) NOT NULL,
  "special" text,
  "interface" varchar(64),
  "options" json_text,
  "display" varchar(64),
  "display_options" json_text,
  "readonly" boolean NOT NULL DEFAULT 0,
  "hidden" boolean NOT NULL DEFAULT 0,
  "sort" integer,
  "width" varchar(30) DEFAULT 'full',
  "translations" json_text,
  "note" text,
  "conditions" json_text,
  "required" boolean DEFAULT 0,
  "group" varchar(64),
  "validation" json_text,
  "validation_message" text,
  "searchable" boolean NOT NULL DEFAULT 1
);

CREATE TABLE IF NOT EXISTS "directus_folders" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "name" varchar(255) NOT NULL,
  "parent" char(36),
  CONSTRAINT "directus_folders_parent_foreign" FOREIGN KEY ("parent") REFERENCES "directus_folders" ("id")
);
CREATE INDEX IF NOT EXISTS "directus_folders_parent_index" ON "directus_folders" ("parent");

CREATE TABLE IF NOT EXISTS "directus_migrations" (
  "version" varchar(255) NOT NULL PRIMARY KEY,
  "name" varchar(255) NOT NULL,
  "timestamp" timestamp
);

CREATE TABLE IF NOT EXISTS "directus_policies" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "name" varchar(100) NOT NULL,
  "icon" varchar(64) NOT NULL DEFAULT 'badge',
  "description" text,
  "ip_access" text,
  "enforce_tfa" boolean NOT NULL DEFAULT 0,
  "admin_access" boolean NOT NULL DEFAULT 0,
  "app_access" boolean NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS "directus_permissions" (
  "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "collection" varchar(64) NOT NULL,
  "action" varchar(10) NOT NULL,
  "permissions" json_text,
  "validation" json_text,
  "presets" json_text,
  "fields" text,
  "policy" char(36) NOT NULL,
  CONSTRAINT "directus_permissions_policy_foreign" FOREIGN KEY ("policy") REFERENCES "directus_policies" ("id") ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS "directus_permissions_policy_index" ON "directus_permissions" ("policy");

CREATE TABLE IF NOT EXISTS "directus_relations" (
  "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "many_collection" varchar(64) NOT NULL,
  "many_field" varchar(64) NOT NULL,
  "one_collection" varchar(64),
  "one_field" varchar(64),
  "one_collection_field" varchar(64),
  "one_allowed_collections" text,
  "junction_field" varchar(64),
  "sort_field" varchar(64),
  "one_deselect_action" varchar(255) NOT NULL DEFAULT 'nullify'
);

CREATE TABLE IF NOT EXISTS "directus_roles" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "name" varchar(100) NOT NULL,
  "icon" varchar(64) NOT NULL DEFAULT 'supervised_user_circle',
  "description" text,
  "parent" char(36),
  CONSTRAINT "directus_roles_parent_foreign" FOREIGN KEY ("parent") REFERENCES "directus_roles" ("id")
);
CREATE INDEX IF NOT EXISTS "directus_roles_parent_index" ON "directus_roles" ("parent");

CREATE TABLE IF NOT EXISTS "directus_translations" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "language" varchar(255) NOT NULL,
  "key" varchar(255) NOT NULL,
  "value" text NOT NULL
);

CREATE TABLE IF NOT EXISTS "directus_users" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "first_name" varchar(50),
  "last_name" varchar(50),
  "email" varchar(128),
  "password" varchar(255),
  "location" varchar(255),
  "title" varchar(50),
  "description" text,
  "tags" json_text,
  "avatar" char(36),
  "language" varchar(255),
  "tfa_secret" varchar(255),
  "status" varchar(16) NOT NULL DEFAULT 'active',
  "role" char(36),
  "token" varchar(255),
  "last_access" timestamp,
  "last_page" varchar(255),
  "provider" varchar(128) NOT NULL DEFAULT 'default',
  "external_identifier" varchar(255),
  "auth_data" json_text,
  "email_notifications" boolean DEFAULT 1,
  "appearance" varchar(255),
  "theme_dark" varchar(255),
  "theme_light" varchar(255),
  "theme_light_overrides" json_text,
  "theme_dark_overrides" json_text,
  "text_direction" varchar(255) NOT NULL DEFAULT 'auto',
  CONSTRAINT "directus_users_role_foreign" FOREIGN KEY ("role") REFERENCES "directus_roles" ("id") ON DELETE SET NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS "directus_users_email_unique" ON "directus_users" ("email");
CREATE INDEX IF NOT EXISTS "directus_users_role_index" ON "directus_users" ("role");
CREATE UNIQUE INDEX IF NOT EXISTS "directus_users_token_unique" ON "directus_users" ("token");
CREATE UNIQUE INDEX IF NOT EXISTS "directus_users_external_identifier_unique" ON "directus_users" ("external_identifier");

CREATE TABLE IF NOT EXISTS "directus_access" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "role" char(36),
  "user" char(36),
  "policy" char(36) NOT NULL,
  "sort" integer,
  CONSTRAINT "directus_access_role_foreign" FOREIGN KEY ("role") REFERENCES "directus_roles" ("id") ON DELETE CASCADE,
  CONSTRAINT "directus_access_user_foreign" FOREIGN KEY ("user") REFERENCES "directus_users" ("id") ON DELETE CASCADE,
  CONSTRAINT "directus_access_policy_foreign" FOREIGN KEY ("policy") REFERENCES "directus_policies" ("id") ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS "directus_access_role_index" ON "directus_access" ("role");
CREATE INDEX IF NOT EXISTS "directus_access_user_index" ON "directus_access" ("user");
CREATE INDEX IF NOT EXISTS "directus_access_policy_index" ON "directus_access" ("policy");

CREATE TABLE IF NOT EXISTS "directus_comments" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "collection" varchar(64) NOT NULL,
  "item" varchar(255) NOT NULL,
  "comment" text NOT NULL,
  "date_created" timestamp,
  "date_updated" timestamp,
  "user_created" char(36),
  "user_updated" char(36),
  CONSTRAINT "directus_comments_user_created_foreign" FOREIGN KEY ("user_created") REFERENCES "directus_users" ("id") ON DELETE SET NULL,
  CONSTRAINT "directus_comments_user_updated_foreign" FOREIGN KEY ("user_updated") REFERENCES "directus_users" ("id")
);
CREATE INDEX IF NOT EXISTS "directus_comments_collection_item_index" ON "directus_comments" ("collection", "item");

CREATE TABLE IF NOT EXISTS "directus_dashboards" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "name" varchar(255) NOT NULL,
  "icon" varchar(64) NOT NULL DEFAULT 'dashboard',
  "note" text,
  "date_created" timestamp,
  "user_created" char(36),
  "color" varchar(255),
  CONSTRAINT "directus_dashboards_user_created_foreign" FOREIGN KEY ("user_created") REFERENCES "directus_users" ("id") ON DELETE SET NULL
);

CREATE TABLE IF NOT EXISTS "directus_deployments" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "provider" varchar(255) NOT NULL,
  "credentials" text,
  "options" json_text,
  "date_created" timestamp,
  "user_created" char(36),
  "webhook_ids" json_text,
  "webhook_secret" varchar(255),
  "last_synced_at" timestamp,
  CONSTRAINT "directus_deployments_user_created_foreign" FOREIGN KEY ("user_created") REFERENCES "directus_users" ("id") ON DELETE SET NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS "directus_deployments_provider_unique" ON "directus_deployments" ("provider");

CREATE TABLE IF NOT EXISTS "directus_deployment_projects" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "deployment" char(36) NOT NULL,
  "external_id" varchar(255) NOT NULL,
  "name" varchar(255) NOT NULL,
  "date_created" timestamp,
  "user_created" char(36),
  "url" varchar(255),
  "framework" varchar(255),
  "deployable" boolean NOT NULL DEFAULT 1,
  CONSTRAINT "directus_deployment_projects_deployment_foreign" FOREIGN KEY ("deployment") REFERENCES "directus_deployments" ("id") ON DELETE CASCADE,
  CONSTRAINT "directus_deployment_projects_user_created_foreign" FOREIGN KEY ("user_created") REFERENCES "directus_users" ("id") ON DELETE SET NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS "directus_deployment_projects_deployment_external_id_unique" ON "directus_deployment_projects" ("deployment", "external_id");

CREATE TABLE IF NOT EXISTS "directus_deployment_runs" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "project" char(36) NOT NULL,
  "external_id" varchar(255) NOT NULL,
  "target" varchar(255) NOT NULL,
  "date_created" timestamp,
  "user_created" char(36),
  "status" varchar(255),
  "url" varchar(255),
  "started_at" timestamp,
  "completed_at" timestamp,
  CONSTRAINT "directus_deployment_runs_project_foreign" FOREIGN KEY ("project") REFERENCES "directus_deployment_projects" ("id") ON DELETE CASCADE,
  CONSTRAINT "directus_deployment_runs_user_created_foreign" FOREIGN KEY ("user_created") REFERENCES "directus_users" ("id") ON DELETE SET NULL
);
CREATE INDEX IF NOT EXISTS "directus_deployment_runs_project_index" ON "directus_deployment_runs" ("project");

CREATE TABLE IF NOT EXISTS "directus_files" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "storage" varchar(255) NOT NULL,
  "filename_disk" varchar(255),
  "filename_download" varchar(255) NOT NULL,
  "title" varchar(255),
  "type" varchar(255),
  "folder" char(36),
  "uploaded_by" char(36),
  "created_on" timestamp NOT NULL,
  "modified_by" char(36),
  "modified_on" timestamp NOT NULL,
  "charset" varchar(50),
  "filesize" bigint,
  "width" integer,
  "height" integer,
  "duration" integer,
  "embed" varchar(200),
  "description" text,
  "location" text,
  "tags" json_text,
  "metadata" json_text,
  "focal_point_x" integer,
  "focal_point_y" integer,
  "tus_id" varchar(64),
  "tus_data" json_text,
  "uploaded_on" timestamp,
  CONSTRAINT "directus_files_folder_foreign" FOREIGN KEY ("folder") REFERENCES "directus_folders" ("id") ON DELETE SET NULL,
  CONSTRAINT "directus_files_uploaded_by_foreign" FOREIGN KEY ("uploaded_by") REFERENCES "directus_users" ("id"),
  CONSTRAINT "directus_files_modified_by_foreign" FOREIGN KEY ("modified_by") REFERENCES "directus_users" ("id")
);
CREATE INDEX IF NOT EXISTS "directus_files_folder_index" ON "directus_files" ("folder");

CREATE TABLE IF NOT EXISTS "directus_flows" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "name" varchar(255) NOT NULL,
  "icon" varchar(64),
  "color" varchar(255),
  "description" text,
  "status" varchar(255) NOT NULL DEFAULT 'active',
  "trigger" varchar(255),
  "accountability" varchar(255) DEFAULT 'all',
  "options" json_text,
  "operation" char(36),
  "date_created" timestamp,
  "user_created" char(36),
  CONSTRAINT "directus_flows_user_created_foreign" FOREIGN KEY ("user_created") REFERENCES "directus_users" ("id") ON DELETE SET NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS "directus_flows_operation_unique" ON "directus_flows" ("operation");

CREATE TABLE IF NOT EXISTS "directus_notifications" (
  "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "timestamp" timestamp,
  "status" varchar(255) DEFAULT 'inbox',
  "recipient" char(36) NOT NULL,
  "sender" char(36),
  "subject" varchar(255) NOT NULL,
  "message" text,
  "collection" varchar(64),
  "item" varchar(255),
  CONSTRAINT "directus_notifications_recipient_foreign" FOREIGN KEY ("recipient") REFERENCES "directus_users" ("id") ON DELETE CASCADE,
  CONSTRAINT "directus_notifications_sender_foreign" FOREIGN KEY ("sender") REFERENCES "directus_users" ("id")
);
CREATE INDEX IF NOT EXISTS "directus_notifications_recipient_index" ON "directus_notifications" ("recipient");

CREATE TABLE IF NOT EXISTS "directus_operations" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "name" varchar(255),
  "key" varchar(255) NOT NULL,
  "type" varchar(255) NOT NULL,
  "position_x" integer NOT NULL,
  "position_y" integer NOT NULL,
  "options" json_text,
  "resolve" char(36),
  "reject" char(36),
  "flow" char(36) NOT NULL,
  "date_created" timestamp,
  "user_created" char(36),
  CONSTRAINT "directus_operations_resolve_foreign" FOREIGN KEY ("resolve") REFERENCES "directus_operations" ("id") ON DELETE SET NULL,
  CONSTRAINT "directus_operations_reject_foreign" FOREIGN KEY ("reject") REFERENCES "directus_operations" ("id") ON DELETE SET NULL,
  CONSTRAINT "directus_operations_flow_foreign" FOREIGN KEY ("flow") REFERENCES "directus_flows" ("id") ON DELETE CASCADE,
  CONSTRAINT "directus_operations_user_created_foreign" FOREIGN KEY ("user_created") REFERENCES "directus_users" ("id") ON DELETE SET NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS "directus_operations_resolve_unique" ON "directus_operations" ("resolve");
CREATE UNIQUE INDEX IF NOT EXISTS "directus_operations_reject_unique" ON "directus_operations" ("reject");
CREATE INDEX IF NOT EXISTS "directus_operations_flow_index" ON "directus_operations" ("flow");

CREATE TABLE IF NOT EXISTS "directus_panels" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "dashboard" char(36) NOT NULL,
  "name" varchar(255),
  "icon" varchar(64),
  "color" varchar(10),
  "show_header" boolean NOT NULL DEFAULT 0,
  "note" text,
  "type" varchar(255) NOT NULL,
  "position_x" integer NOT NULL,
  "position_y" integer NOT NULL,
  "width" integer NOT NULL,
  "height" integer NOT NULL,
  "options" json_text,
  "date_created" timestamp,
  "user_created" char(36),
  CONSTRAINT "directus_panels_dashboard_foreign" FOREIGN KEY ("dashboard") REFERENCES "directus_dashboards" ("id") ON DELETE CASCADE,
  CONSTRAINT "directus_panels_user_created_foreign" FOREIGN KEY ("user_created") REFERENCES "directus_users" ("id") ON DELETE SET NULL
);
CREATE INDEX IF NOT EXISTS "directus_panels_dashboard_index" ON "directus_panels" ("dashboard");

CREATE TABLE IF NOT EXISTS "directus_presets" (
  "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "bookmark" varchar(255),
  "user" char(36),
  "role" char(36),
  "collection" varchar(64),
  "search" varchar(100),
  "layout" varchar(100) DEFAULT 'tabular',
  "layout_query" json_text,
  "layout_options" json_text,
  "refresh_interval" integer,
  "filter" json_text,
  "icon" varchar(64) DEFAULT 'bookmark',
  "color" varchar(255),
  CONSTRAINT "directus_presets_user_foreign" FOREIGN KEY ("user") REFERENCES "directus_users" ("id") ON DELETE CASCADE,
  CONSTRAINT "directus_presets_role_foreign" FOREIGN KEY ("role") REFERENCES "directus_roles" ("id") ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS "directus_presets_user_index" ON "directus_presets" ("user");
CREATE INDEX IF NOT EXISTS "directus_presets_role_index" ON "directus_presets" ("role");

CREATE TABLE IF NOT EXISTS "directus_settings" (
  "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "project_name" varchar(100) NOT NULL DEFAULT 'Directus',
  "project_url" varchar(255),
  "project_color" varchar(255) NOT NULL DEFAULT '#6644FF',
  "project_logo" char(36),
  "public_foreground" char(36),
  "public_background" char(36),
  "public_note" text,
  "auth_login_attempts" integer DEFAULT 25,
  "auth_password_policy" varchar(100),
  "storage_asset_transform" varchar(7) DEFAULT 'all',
  "storage_asset_presets" json_text,
  "custom_css" text,
  "storage_default_folder" char(36),
  "basemaps" json_text,
  "mapbox_key" varchar(255),
  "module_bar" json_text,
  "project_descriptor" varchar(100),
  "default_language" varchar(255) NOT NULL DEFAULT 'en-US',
  "custom_aspect_ratios" json_text,
  "public_favicon" char(36),
  "default_appearance" varchar(255) NOT NULL DEFAULT 'auto',
  "default_theme_light" varchar(255),
  "theme_light_overrides" json_text,
  "default_theme_dark" varchar(255),
  "theme_dark_overrides" json_text,
  "report_error_url" varchar(255),
  "report_bug_url" varchar(255),
  "report_feature_url" varchar(255),
  "public_registration" boolean NOT NULL DEFAULT 0,
  "public_registration_verify_email" boolean NOT NULL DEFAULT 1,
  "public_registration_role" char(36),
  "public_registration_email_filter" json_text,
  "visual_editor_urls" json_text,
  "project_id" char(36),
  "mcp_enabled" boolean NOT NULL DEFAULT 0,
  "mcp_allow_deletes" boolean NOT NULL DEFAULT 0,
  "mcp_prompts_collection" varchar(255),
  "mcp_system_prompt_enabled" boolean NOT NULL DEFAULT 1,
  "mcp_system_prompt" text,
  "project_owner" varchar(255),
  "project_usage" varchar(255),
  "org_name" varchar(255),
  "product_updates" boolean,
  "project_status" varchar(255),
  "ai_openai_api_key" text,
  "ai_anthropic_api_key" text,
  "ai_system_prompt" text,
  "ai_google_api_key" text,
  "ai_openai_compatible_api_key" text,
  "ai_openai_compatible_base_url" text,
  "ai_openai_compatible_name" text,
  "ai_openai_compatible_models" json_text,
  "ai_openai_compatible_headers" json_text,
  "ai_openai_allowed_models" json_text,
  "ai_anthropic_allowed_models" json_text,
  "ai_google_allowed_models" json_text,
  "collaborative_editing_enabled" boolean NOT NULL DEFAULT 0,
  CONSTRAINT "directus_settings_project_logo_foreign" FOREIGN KEY ("project_logo") REFERENCES "directus_files" ("id"),
  CONSTRAINT "directus_settings_public_foreground_foreign" FOREIGN KEY ("public_foreground") REFERENCES "directus_files" ("id"),
  CONSTRAINT "directus_settings_public_background_foreign" FOREIGN KEY ("public_background") REFERENCES "directus_files" ("id"),
  CONSTRAINT "directus_settings_storage_default_folder_foreign" FOREIGN KEY ("storage_default_folder") REFERENCES "directus_folders" ("id") ON DELETE SET NULL,
  CONSTRAINT "directus_settings_public_favicon_foreign" FOREIGN KEY ("public_favicon") REFERENCES "directus_files" ("id"),
  CONSTRAINT "directus_settings_public_registration_role_foreign" FOREIGN KEY ("public_registration_role") REFERENCES "directus_roles" ("id") ON DELETE SET NULL
);

CREATE TABLE IF NOT EXISTS "directus_shares" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "name" varchar(255),
  "collection" varchar(64) NOT NULL,
  "item" varchar(255) NOT NULL,
  "role" char(36),
  "password" varchar(255),
  "user_created" char(36),
  "date_created" timestamp,
  "date_start" timestamp,
  "date_end" timestamp,
  "times_used" integer DEFAULT 0,
  "max_uses" integer,
  CONSTRAINT "directus_shares_collection_foreign" FOREIGN KEY ("collection") REFERENCES "directus_collections" ("collection") ON DELETE CASCADE,
  CONSTRAINT "directus_shares_role_foreign" FOREIGN KEY ("role") REFERENCES "directus_roles" ("id") ON DELETE CASCADE,
  CONSTRAINT "directus_shares_user_created_foreign" FOREIGN KEY ("user_created") REFERENCES "directus_users" ("id") ON DELETE SET NULL
);
CREATE INDEX IF NOT EXISTS "directus_shares_collection_item_index" ON "directus_shares" ("collection", "item");

CREATE TABLE IF NOT EXISTS "directus_sessions" (
  "token" varchar(64) NOT NULL PRIMARY KEY,
  "user" char(36),
  "expires" timestamp NOT NULL,
  "ip" varchar(255),
  "user_agent" text,
  "share" char(36),
  "origin" varchar(255),
  "next_token" varchar(64),
  CONSTRAINT "directus_sessions_user_foreign" FOREIGN KEY ("user") REFERENCES "directus_users" ("id") ON DELETE CASCADE,
  CONSTRAINT "directus_sessions_share_foreign" FOREIGN KEY ("share") REFERENCES "directus_shares" ("id") ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS "directus_sessions_user_index" ON "directus_sessions" ("user");
CREATE INDEX IF NOT EXISTS "directus_sessions_share_index" ON "directus_sessions" ("share");

CREATE TABLE IF NOT EXISTS "directus_versions" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "key" varchar(64) NOT NULL,
  "name" varchar(255),
  "collection" varchar(64) NOT NULL,
  "item" varchar(255) NOT NULL,
  "hash" varchar(255),
  "date_created" timestamp,
  "date_updated" timestamp,
  "user_created" char(36),
  "user_updated" char(36),
  "delta" json_text,
  CONSTRAINT "directus_versions_collection_foreign" FOREIGN KEY ("collection") REFERENCES "directus_collections" ("collection") ON DELETE CASCADE,
  CONSTRAINT "directus_versions_user_created_foreign" FOREIGN KEY ("user_created") REFERENCES "directus_users" ("id") ON DELETE SET NULL,
  CONSTRAINT "directus_versions_user_updated_foreign" FOREIGN KEY ("user_updated") REFERENCES "directus_users" ("id")
);
CREATE INDEX IF NOT EXISTS "directus_versions_collection_item_index" ON "directus_versions" ("collection", "item");

CREATE TABLE IF NOT EXISTS "directus_revisions" (
  "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
  "activity" integer NOT NULL,
  "collection" varchar(64) NOT NULL,
  "item" varchar(255) NOT NULL,
  "data" json_text,
  "delta" json_text,
  "parent" integer,
  "version" char(36),
  CONSTRAINT "directus_revisions_activity_foreign" FOREIGN KEY ("activity") REFERENCES "directus_activity" ("id") ON DELETE CASCADE,
  CONSTRAINT "directus_revisions_parent_foreign" FOREIGN KEY ("parent") REFERENCES "directus_revisions" ("id") ON DELETE SET NULL,
  CONSTRAINT "directus_revisions_version_foreign" FOREIGN KEY ("version") REFERENCES "directus_versions" ("id") ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS "directus_revisions_activity_index" ON "directus_revisions" ("activity");
CREATE INDEX IF NOT EXISTS "directus_revisions_parent_index" ON "directus_revisions" ("parent");
CREATE INDEX IF NOT EXISTS "directus_revisions_version_index" ON "directus_revisions" ("version");
CREATE INDEX IF NOT EXISTS "directus_revisions_collection_item_index" ON "directus_revisions" ("collection", "item");
