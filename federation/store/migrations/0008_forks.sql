-- A branch that is not the first begins with statements of another one, up to where they part: those
-- rows stand once, under the other branch's stem.
ALTER TABLE branches ADD COLUMN base_stem INTEGER;
ALTER TABLE branches ADD COLUMN base_size INTEGER NOT NULL DEFAULT 0;

-- Evidence of two sizes: what the larger head says the log was at the smaller one's size.
ALTER TABLE evidence ADD COLUMN prefix_root BLOB;
