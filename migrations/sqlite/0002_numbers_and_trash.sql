-- Counters of business numbers, and what was deleted and can be restored.

CREATE TABLE IF NOT EXISTS "tablature_numbers" (
  "id" varchar(64) NOT NULL PRIMARY KEY,
  "collection" varchar(64) NOT NULL,
  "field" varchar(64) NOT NULL,
  "scope" text NOT NULL,
  "last" bigint NOT NULL
);

CREATE TABLE IF NOT EXISTS "tablature_trash" (
  "id" char(36) NOT NULL PRIMARY KEY,
  "collection" varchar(64) NOT NULL,
  "item" varchar(255) NOT NULL,
  "content" text NOT NULL,
  "deleted_at" timestamp NOT NULL,
  "deleted_by" char(36),
  "expires_at" timestamp
);
CREATE INDEX IF NOT EXISTS "tablature_trash_collection_index" ON "tablature_trash" ("collection", "id");
CREATE INDEX IF NOT EXISTS "tablature_trash_expires_at_index" ON "tablature_trash" ("expires_at");
