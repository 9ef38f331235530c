-- Counters of business numbers, and what was deleted and can be restored.

CREATE TABLE IF NOT EXISTS `tablature_numbers` (
  `id` varchar(64) NOT NULL PRIMARY KEY,
  `collection` varchar(64) NOT NULL,
  `field` varchar(64) NOT NULL,
  `scope` longtext NOT NULL,
  `last` bigint NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS `tablature_trash` (
  `id` char(36) NOT NULL PRIMARY KEY,
  `collection` varchar(64) NOT NULL,
  `item` varchar(255) NOT NULL,
  `content` longtext NOT NULL,
  `deleted_at` datetime(3) NOT NULL,
  `deleted_by` char(36),
  `expires_at` datetime(3),
  KEY `tablature_trash_collection_index` (`collection`, `id`),
  KEY `tablature_trash_expires_at_index` (`expires_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
