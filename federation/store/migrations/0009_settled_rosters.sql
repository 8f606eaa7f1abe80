-- Of two rosters of one version, the operator has said which one stands.
ALTER TABLE rival_rosters ADD COLUMN is_settled INTEGER NOT NULL DEFAULT 0;
