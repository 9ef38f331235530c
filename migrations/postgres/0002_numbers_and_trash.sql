-- Counters of business numbers, and what was deleted and can be restored.

CREATE TABLE IF NOT EXISTS "tablature_numbers" (
  "id" varchar(64) COLLATE "C" NOT NULL PRIMARY KEY,
  "collection" varchar(64) COLLATE "C" NOT NULL,
  "field" varchar(64) COLLATE "C" NOT NULL,
  "scope" text COLLATE "C" NOT NULL,
  "last" bigint NOT NULL
);

CREATE TABLE IF NOT EXISTS "tablature_trash" (
  "id" uuid NOT NULL PRIMARY KEY,
  "collection" varchar(64) COLLATE "C" NOT NULL,
  "item" varchar(255) COLLATE "C" NOT NULL,
  "content" text COLLATE "C" NOT NULL,
  "deleted_at" timestamptz NOT NULL,
  "deleted_by" uuid,
  "expires_at" timestamptz
);
CREATE INDEX IF NOT EXISTS "tablature_trash_collection_index" ON "tablature_trash" ("collection", "id");
CREATE INDEX IF NOT EXISTS "tablature_trash_expires_at_index" ON "tablature_trash" ("expires_at");
