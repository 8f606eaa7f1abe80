-- Whether the feed is still to begin anew for the older database that a stop is about.
ALTER TABLE stops ADD COLUMN is_feed_due INTEGER NOT NULL DEFAULT 0;
