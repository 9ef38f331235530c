-- System tables in the public layout, and our own (tablature_*). A table that exists is left as it is, so that an
-- existing database can be served in place and a run that was cut off (here each statement commits) can be repeated.

CREATE TABLE IF NOT EXISTS `tablature_migrations` (
  `version` int NOT NULL PRIMARY KEY,
  `name` varchar(255) NOT NULL,
  `applied_at` datetime(3) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `tablature_schema` (
  `id` int NOT NULL PRIMARY KEY CHECK (`id` = 1),
  `model` longtext NOT NULL,
  `model_hash` varchar(64) NOT NULL,
  `applied_at` datetime(3) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `tablature_apply` (
  `id` int NOT NULL PRIMARY KEY CHECK (`id` = 1),
  `plan` longtext NOT NULL,
  `next_step` int NOT NULL,
  `started_at` datetime(3) NOT NULL,
  `node` varchar(64) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `tablature_lock` (
  `name` varchar(64) NOT NULL PRIMARY KEY,
  `owner` varchar(64) NOT NULL,
  `until` datetime(3) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `tablature_outbox` (
  `id` bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `created_at` datetime(3) NOT NULL,
  `event` varchar(64) NOT NULL,
  `collection` varchar(64) NOT NULL,
  `item` varchar(255),
  `payload` longtext,
  `accountability` longtext
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `tablature_idempotency` (
  `id` varchar(64) NOT NULL PRIMARY KEY,
  `body_hash` varchar(64) NOT NULL,
  `state` varchar(16) NOT NULL,
  `status` int,
  `answer` longtext,
  `created_at` datetime(3) NOT NULL,
  KEY `tablature_idempotency_created_at_index` (`created_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_activity` (
  `id` int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `action` varchar(45) NOT NULL,
  `user` char(36),
  `timestamp` datetime(3) NOT NULL,
  `ip` varchar(50),
  `user_agent` longtext,
  `collection` varchar(64) NOT NULL,
  `item` varchar(255) NOT NULL,
  `origin` varchar(255),
  KEY `directus_activity_timestamp_index` (`timestamp`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_collections` (
  `collection` varchar(64) NOT NULL PRIMARY KEY,
  `icon` varchar(64),
  `note` longtext,
  `display_template` varchar(255),
  `hidden` boolean NOT NULL DEFAULT 0,
  `singleton` boolean NOT NULL DEFAULT 0,
  `translations` longtext,
  `archive_field` varchar(64),
  `archive_app_filter` boolean NOT NULL DEFAULT 1,
  `archive_value` varchar(255),
  `unarchive_value` varchar(255),
  `sort_field` varchar(64),
  `accountability` varchar(255) DEFAULT 'all',
  `color` varchar(255),
  `item_duplication_fields` longtext,
  `sort` int,
  `group` varchar(64),
  `collapse` varchar(255) NOT NULL DEFAULT 'open',
  `preview_url` varchar(255),
  `versioning` boolean NOT NULL DEFAULT 0,
  CONSTRAINT `directus_collections_group_foreign` FOREIGN KEY (`group`) REFERENCES `directus_collections` (`collection`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_extensions` (
  `enabled` boolean NOT NULL DEFAULT 1,
  `id` char(36) NOT NULL PRIMARY KEY,
  `folder` varchar(255) NOT NULL,
  `source` varchar(255) NOT NULL,
  `bundle` char(36)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_fields` (
  `id` int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `collection` varchar(64) NOT NULL,
  `field` varchar(64) NOT NULL,
  `special` longtext,
  `interface` varchar(64),
  `options` longtext,
  `display` varchar(64),
  `display_options` longtext,
  `readonly` boolean NOT NULL DEFAULT 0,
  `hidden` boolean NOT NULL DEFAULT 0,
  `sort` int,
  `width` varchar(30) DEFAULT 'full',
  `translations` longtext,
  `note` longtext,
  `conditions` longtext,
  `required` boolean DEFAULT 0,
  `group` varchar(64),
  `validation` longtext,
  `validation_message` longtext,
  `searchable` boolean NOT NULL DEFAULT 1
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_folders` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `name` varchar(255) NOT NULL,
  `parent` char(36),
  KEY `directus_folders_parent_index` (`parent`),
  CONSTRAINT `directus_folders_parent_foreign` FOREIGN KEY (`parent`) REFERENCES `directus_folders` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_migrations` (
  `version` varchar(255) NOT NULL PRIMARY KEY,
  `name` varchar(255) NOT NULL,
  `timestamp` datetime(3)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_policies` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `name` varchar(100) NOT NULL,
  `icon` varchar(64) NOT NULL DEFAULT 'badge',
  `description` longtext,
  `ip_access` longtext,
  `enforce_tfa` boolean NOT NULL DEFAULT 0,
  `admin_access` boolean NOT NULL DEFAULT 0,
  `app_access` boolean NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_permissions` (
  `id` int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `collection` varchar(64) NOT NULL,
  `action` varchar(10) NOT NULL,
  `permissions` longtext,
  `validation` longtext,
  `presets` longtext,
  `fields` longtext,
  `policy` char(36) NOT NULL,
  KEY `directus_permissions_policy_index` (`policy`),
  CONSTRAINT `directus_permissions_policy_foreign` FOREIGN KEY (`policy`) REFERENCES `directus_policies` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_relations` (
  `id` int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `many_collection` varchar(64) NOT NULL,
  `many_field` varchar(64) NOT NULL,
  `one_collection` varchar(64),
  `one_field` varchar(64),
  `one_collection_field` varchar(64),
  `one_allowed_collections` longtext,
  `junction_field` varchar(64),
  `sort_field` varchar(64),
  `one_deselect_action` varchar(255) NOT NULL DEFAULT 'nullify'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_roles` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `name` varchar(100) NOT NULL,
  `icon` varchar(64) NOT NULL DEFAULT 'supervised_user_circle',
  `description` longtext,
  `parent` char(36),
  KEY `directus_roles_parent_index` (`parent`),
  CONSTRAINT `directus_roles_parent_foreign` FOREIGN KEY (`parent`) REFERENCES `directus_roles` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_translations` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `language` varchar(255) NOT NULL,
  `key` varchar(255) NOT NULL,
  `value` longtext NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_users` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `first_name` varchar(50),
  `last_name` varchar(50),
  `email` varchar(128),
  `password` varchar(255),
  `location` varchar(255),
  `title` varchar(50),
  `description` longtext,
  `tags` longtext,
  `avatar` char(36),
  `language` varchar(255),
  `tfa_secret` varchar(255),
  `status` varchar(16) NOT NULL DEFAULT 'active',
  `role` char(36),
  `token` varchar(255),
  `last_access` datetime(3),
  `last_page` varchar(255),
  `provider` varchar(128) NOT NULL DEFAULT 'default',
  `external_identifier` varchar(255),
  `auth_data` longtext,
  `email_notifications` boolean DEFAULT 1,
  `appearance` varchar(255),
  `theme_dark` varchar(255),
  `theme_light` varchar(255),
  `theme_light_overrides` longtext,
  `theme_dark_overrides` longtext,
  `text_direction` varchar(255) NOT NULL DEFAULT 'auto',
  UNIQUE KEY `directus_users_email_unique` (`email`),
  KEY `directus_users_role_index` (`role`),
  UNIQUE KEY `directus_users_token_unique` (`token`),
  UNIQUE KEY `directus_users_external_identifier_unique` (`external_identifier`),
  CONSTRAINT `directus_users_role_foreign` FOREIGN KEY (`role`) REFERENCES `directus_roles` (`id`) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_access` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `role` char(36),
  `user` char(36),
  `policy` char(36) NOT NULL,
  `sort` int,
  KEY `directus_access_role_index` (`role`),
  KEY `directus_access_user_index` (`user`),
  KEY `directus_access_policy_index` (`policy`),
  CONSTRAINT `directus_access_role_foreign` FOREIGN KEY (`role`) REFERENCES `directus_roles` (`id`) ON DELETE CASCADE,
  CONSTRAINT `directus_access_user_foreign` FOREIGN KEY (`user`) REFERENCES `directus_users` (`id`) ON DELETE CASCADE,
  CONSTRAINT `directus_access_policy_foreign` FOREIGN KEY (`policy`) REFERENCES `directus_policies` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_comments` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `collection` varchar(64) NOT NULL,
  `item` varchar(255) NOT NULL,
  `comment` longtext NOT NULL,
  `date_created` datetime(3),
  `date_updated` datetime(3),
  `user_created` char(36),
  `user_updated` char(36),
  KEY `directus_comments_collection_item_index` (`collection`, `item`),
  CONSTRAINT `directus_comments_user_created_foreign` FOREIGN KEY (`user_created`) REFERENCES `directus_users` (`id`) ON DELETE SET NULL,
  CONSTRAINT `directus_comments_user_updated_foreign` FOREIGN KEY (`user_updated`) REFERENCES `directus_users` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_dashboards` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `name` varchar(255) NOT NULL,
  `icon` varchar(64) NOT NULL DEFAULT 'dashboard',
  `note` longtext,
  `date_created` datetime(3),
  `user_created` char(36),
  `color` varchar(255),
  CONSTRAINT `directus_dashboards_user_created_foreign` FOREIGN KEY (`user_created`) REFERENCES `directus_users` (`id`) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_deployments` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `provider` varchar(255) NOT NULL,
  `credentials` longtext,
  `options` longtext,
  `date_created` datetime(3),
  `user_created` char(36),
  `webhook_ids` longtext,
  `webhook_secret` varchar(255),
  `last_synced_at` datetime(3),
  UNIQUE KEY `directus_deployments_provider_unique` (`provider`),
  CONSTRAINT `directus_deployments_user_created_foreign` FOREIGN KEY (`user_created`) REFERENCES `directus_users` (`id`) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_deployment_projects` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `deployment` char(36) NOT NULL,
  `external_id` varchar(255) NOT NULL,
  `name` varchar(255) NOT NULL,
  `date_created` datetime(3),
  `user_created` char(36),
  `url` varchar(255),
  `framework` varchar(255),
  `deployable` boolean NOT NULL DEFAULT 1,
  UNIQUE KEY `directus_deployment_projects_deployment_external_id_unique` (`deployment`, `external_id`),
  CONSTRAINT `directus_deployment_projects_deployment_foreign` FOREIGN KEY (`deployment`) REFERENCES `directus_deployments` (`id`) ON DELETE CASCADE,
  CONSTRAINT `directus_deployment_projects_user_created_foreign` FOREIGN KEY (`user_created`) REFERENCES `directus_users` (`id`) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_deployment_runs` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `project` char(36) NOT NULL,
  `external_id` varchar(255) NOT NULL,
  `target` varchar(255) NOT NULL,
  `date_created` datetime(3),
  `user_created` char(36),
  `status` varchar(255),
  `url` varchar(255),
  `started_at` datetime(3),
  `completed_at` datetime(3),
  KEY `directus_deployment_runs_project_index` (`project`),
  CONSTRAINT `directus_deployment_runs_project_foreign` FOREIGN KEY (`project`) REFERENCES `directus_deployment_projects` (`id`) ON DELETE CASCADE,
  CONSTRAINT `directus_deployment_runs_user_created_foreign` FOREIGN KEY (`user_created`) REFERENCES `directus_users` (`id`) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_files` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `storage` varchar(255) NOT NULL,
  `filename_disk` varchar(255),
  `filename_download` varchar(255) NOT NULL,
  `title` varchar(255),
  `type` varchar(255),
  `folder` char(36),
  `uploaded_by` char(36),
  `created_on` datetime(3) NOT NULL,
  `modified_by` char(36),
  `modified_on` datetime(3) NOT NULL,
  `charset` varchar(50),
  `filesize` bigint,
  `width` int,
  `height` int,
  `duration` int,
  `embed` varchar(200),
  `description` longtext,
  `location` longtext,
  `tags` longtext,
  `metadata` longtext,
  `focal_point_x` int,
  `focal_point_y` int,
  `tus_id` varchar(64),
  `tus_data` longtext,
  `uploaded_on` datetime(3),
  KEY `directus_files_folder_index` (`folder`),
  CONSTRAINT `directus_files_folder_foreign` FOREIGN KEY (`folder`) REFERENCES `directus_folders` (`id`) ON DELETE SET NULL,
  CONSTRAINT `directus_files_uploaded_by_foreign` FOREIGN KEY (`uploaded_by`) REFERENCES `directus_users` (`id`),
  CONSTRAINT `directus_files_modified_by_foreign` FOREIGN KEY (`modified_by`) REFERENCES `directus_users` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_flows` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `name` varchar(255) NOT NULL,
  `icon` varchar(64),
  `color` varchar(255),
  `description` longtext,
  `status` varchar(255) NOT NULL DEFAULT 'active',
  `trigger` varchar(255),
  `accountability` varchar(255) DEFAULT 'all',
  `options` longtext,
  `operation` char(36),
  `date_created` datetime(3),
  `user_created` char(36),
  UNIQUE KEY `directus_flows_operation_unique` (`operation`),
  CONSTRAINT `directus_flows_user_created_foreign` FOREIGN KEY (`user_created`) REFERENCES `directus_users` (`id`) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_notifications` (
  `id` int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `timestamp` datetime(3),
  `status` varchar(255) DEFAULT 'inbox',
  `recipient` char(36) NOT NULL,
  `sender` char(36),
  `subject` varchar(255) NOT NULL,
  `message` longtext,
  `collection` varchar(64),
  `item` varchar(255),
  KEY `directus_notifications_recipient_index` (`recipient`),
  CONSTRAINT `directus_notifications_recipient_foreign` FOREIGN KEY (`recipient`) REFERENCES `directus_users` (`id`) ON DELETE CASCADE,
  CONSTRAINT `directus_notifications_sender_foreign` FOREIGN KEY (`sender`) REFERENCES `directus_users` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_operations` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `name` varchar(255),
  `key` varchar(255) NOT NULL,
  `type` varchar(255) NOT NULL,
  `position_x` int NOT NULL,
  `position_y` int NOT NULL,
  `options` longtext,
  `resolve` char(36),
  `reject` char(36),
  `flow` char(36) NOT NULL,
  `date_created` datetime(3),
  `user_created` char(36),
  UNIQUE KEY `directus_operations_resolve_unique` (`resolve`),
  UNIQUE KEY `directus_operations_reject_unique` (`reject`),
  KEY `directus_operations_flow_index` (`flow`),
  CONSTRAINT `directus_operations_resolve_foreign` FOREIGN KEY (`resolve`) REFERENCES `directus_operations` (`id`) ON DELETE SET NULL,
  CONSTRAINT `directus_operations_reject_foreign` FOREIGN KEY (`reject`) REFERENCES `directus_operations` (`id`) ON DELETE SET NULL,
  CONSTRAINT `directus_operations_flow_foreign` FOREIGN KEY (`flow`) REFERENCES `directus_flows` (`id`) ON DELETE CASCADE,
  CONSTRAINT `directus_operations_user_created_foreign` FOREIGN KEY (`user_created`) REFERENCES `directus_users` (`id`) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_panels` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `dashboard` char(36) NOT NULL,
  `name` varchar(255),
  `icon` varchar(64),
  `color` varchar(10),
  `show_header` boolean NOT NULL DEFAULT 0,
  `note` longtext,
  `type` varchar(255) NOT NULL,
  `position_x` int NOT NULL,
  `position_y` int NOT NULL,
  `width` int NOT NULL,
  `height` int NOT NULL,
  `options` longtext,
  `date_created` datetime(3),
  `user_created` char(36),
  KEY `directus_panels_dashboard_index` (`dashboard`),
  CONSTRAINT `directus_panels_dashboard_foreign` FOREIGN KEY (`dashboard`) REFERENCES `directus_dashboards` (`id`) ON DELETE CASCADE,
  CONSTRAINT `directus_panels_user_created_foreign` FOREIGN KEY (`user_created`) REFERENCES `directus_users` (`id`) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_presets` (
  `id` int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `bookmark` varchar(255),
  `user` char(36),
  `role` char(36),
  `collection` varchar(64),
  `search` varchar(100),
  `layout` varchar(100) DEFAULT 'tabular',
  `layout_query` longtext,
  `layout_options` longtext,
  `refresh_interval` int,
  `filter` longtext,
  `icon` varchar(64) DEFAULT 'bookmark',
  `color` varchar(255),
  KEY `directus_presets_user_index` (`user`),
  KEY `directus_presets_role_index` (`role`),
  CONSTRAINT `directus_presets_user_foreign` FOREIGN KEY (`user`) REFERENCES `directus_users` (`id`) ON DELETE CASCADE,
  CONSTRAINT `directus_presets_role_foreign` FOREIGN KEY (`role`) REFERENCES `directus_roles` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_settings` (
  `id` int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `project_name` varchar(100) NOT NULL DEFAULT 'Directus',
  `project_url` varchar(255),
  `project_color` varchar(255) NOT NULL DEFAULT '#6644FF',
  `project_logo` char(36),
  `public_foreground` char(36),
  `public_background` char(36),
  `public_note` longtext,
  `auth_login_attempts` int DEFAULT 25,
  `auth_password_policy` varchar(100),
  `storage_asset_transform` varchar(7) DEFAULT 'all',
  `storage_asset_presets` longtext,
  `custom_css` longtext,
  `storage_default_folder` char(36),
  `basemaps` longtext,
  `mapbox_key` varchar(255),
  `module_bar` longtext,
  `project_descriptor` varchar(100),
  `default_language` varchar(255) NOT NULL DEFAULT 'en-US',
  `custom_aspect_ratios` longtext,
  `public_favicon` char(36),
  `default_appearance` varchar(255) NOT NULL DEFAULT 'auto',
  `default_theme_light` varchar(255),
  `theme_light_overrides` longtext,
  `default_theme_dark` varchar(255),
  `theme_dark_overrides` longtext,
  `report_error_url` varchar(255),
  `report_bug_url` varchar(255),
  `report_feature_url` varchar(255),
  `public_registration` boolean NOT NULL DEFAULT 0,
  `public_registration_verify_email` boolean NOT NULL DEFAULT 1,
  `public_registration_role` char(36),
  `public_registration_email_filter` longtext,
  `visual_editor_urls` longtext,
  `project_id` char(36),
  `mcp_enabled` boolean NOT NULL DEFAULT 0,
  `mcp_allow_deletes` boolean NOT NULL DEFAULT 0,
  `mcp_prompts_collection` varchar(255),
  `mcp_system_prompt_enabled` boolean NOT NULL DEFAULT 1,
  `mcp_system_prompt` longtext,
  `project_owner` varchar(255),
  `project_usage` varchar(255),
  `org_name` varchar(255),
  `product_updates` boolean,
  `project_status` varchar(255),
  `ai_openai_api_key` longtext,
  `ai_anthropic_api_key` longtext,
  `ai_system_prompt` longtext,
  `ai_google_api_key` longtext,
  `ai_openai_compatible_api_key` longtext,
  `ai_openai_compatible_base_url` longtext,
  `ai_openai_compatible_name` longtext,
  `ai_openai_compatible_models` longtext,
  `ai_openai_compatible_headers` longtext,
  `ai_openai_allowed_models` longtext,
  `ai_anthropic_allowed_models` longtext,
  `ai_google_allowed_models` longtext,
  `collaborative_editing_enabled` boolean NOT NULL DEFAULT 0,
  CONSTRAINT `directus_settings_project_logo_foreign` FOREIGN KEY (`project_logo`) REFERENCES `directus_files` (`id`),
  CONSTRAINT `directus_settings_public_foreground_foreign` FOREIGN KEY (`public_foreground`) REFERENCES `directus_files` (`id`),
  CONSTRAINT `directus_settings_public_background_foreign` FOREIGN KEY (`public_background`) REFERENCES `directus_files` (`id`),
  CONSTRAINT `directus_settings_storage_default_folder_foreign` FOREIGN KEY (`storage_default_folder`) REFERENCES `directus_folders` (`id`) ON DELETE SET NULL,
  CONSTRAINT `directus_settings_public_favicon_foreign` FOREIGN KEY (`public_favicon`) REFERENCES `directus_files` (`id`),
  CONSTRAINT `directus_settings_public_registration_role_foreign` FOREIGN KEY (`public_registration_role`) REFERENCES `directus_roles` (`id`) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_shares` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `name` varchar(255),
  `collection` varchar(64) NOT NULL,
  `item` varchar(255) NOT NULL,
  `role` char(36),
  `password` varchar(255),
  `user_created` char(36),
  `date_created` datetime(3),
  `date_start` datetime(3),
  `date_end` datetime(3),
  `times_used` int DEFAULT 0,
  `max_uses` int,
  KEY `directus_shares_collection_item_index` (`collection`, `item`),
  CONSTRAINT `directus_shares_collection_foreign` FOREIGN KEY (`collection`) REFERENCES `directus_collections` (`collection`) ON DELETE CASCADE,
  CONSTRAINT `directus_shares_role_foreign` FOREIGN KEY (`role`) REFERENCES `directus_roles` (`id`) ON DELETE CASCADE,
  CONSTRAINT `directus_shares_user_created_foreign` FOREIGN KEY (`user_created`) REFERENCES `directus_users` (`id`) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_sessions` (
  `token` varchar(64) NOT NULL PRIMARY KEY,
  `user` char(36),
  `expires` datetime(3) NOT NULL,
  `ip` varchar(255),
  `user_agent` longtext,
  `share` char(36),
  `origin` varchar(255),
  `next_token` varchar(64),
  KEY `directus_sessions_user_index` (`user`),
  KEY `directus_sessions_share_index` (`share`),
  CONSTRAINT `directus_sessions_user_foreign` FOREIGN KEY (`user`) REFERENCES `directus_users` (`id`) ON DELETE CASCADE,
  CONSTRAINT `directus_sessions_share_foreign` FOREIGN KEY (`share`) REFERENCES `directus_shares` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_versions` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `key` varchar(64) NOT NULL,
  `name` varchar(255),
  `collection` varchar(64) NOT NULL,
  `item` varchar(255) NOT NULL,
  `hash` varchar(255),
  `date_created` datetime(3),
  `date_updated` datetime(3),
  `user_created` char(36),
  `user_updated` char(36),
  `delta` longtext,
  KEY `directus_versions_collection_item_index` (`collection`, `item`),
  CONSTRAINT `directus_versions_collection_foreign` FOREIGN KEY (`collection`) REFERENCES `directus_collections` (`collection`) ON DELETE CASCADE,
  CONSTRAINT `directus_versions_user_created_foreign` FOREIGN KEY (`user_created`) REFERENCES `directus_users` (`id`) ON DELETE SET NULL,
  CONSTRAINT `directus_versions_user_updated_foreign` FOREIGN KEY (`user_updated`) REFERENCES `directus_users` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `directus_revisions` (
  `id` int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `activity` int NOT NULL,
  `collection` varchar(64) NOT NULL,
  `item` varchar(255) NOT NULL,
  `data` longtext,
  `delta` longtext,
  `parent` int,
  `version` char(36),
  KEY `directus_revisions_activity_index` (`activity`),
  KEY `directus_revisions_parent_index` (`parent`),
  KEY `directus_revisions_version_index` (`version`),
  KEY `directus_revisions_collection_item_index` (`collection`, `item`),
  CONSTRAINT `directus_revisions_activity_foreign` FOREIGN KEY (`activity`) REFERENCES `directus_activity` (`id`) ON DELETE CASCADE,
  CONSTRAINT `directus_revisions_parent_foreign` FOREIGN KEY (`parent`) REFERENCES `directus_revisions` (`id`) ON DELETE SET NULL,
  CONSTRAINT `directus_revisions_version_foreign` FOREIGN KEY (`version`) REFERENCES `directus_versions` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
