CREATE TABLE units (
  environment TEXT NOT NULL,
  name        TEXT NOT NULL,
  kind        TEXT NOT NULL,
  layer       TEXT NOT NULL,
  status      TEXT NOT NULL,
  digest      TEXT NOT NULL,
  inputs      TEXT NOT NULL,
  outputs     TEXT NOT NULL,
  depends_on  TEXT NOT NULL,
  root        TEXT NOT NULL,
  run         TEXT NOT NULL,
  applied     TEXT NOT NULL,
  version     TEXT NOT NULL,
  PRIMARY KEY (environment, name)
);
CREATE TABLE runs (
  id          TEXT PRIMARY KEY,
  environment TEXT NOT NULL,
  operation   TEXT NOT NULL,
  seal        TEXT NOT NULL,
  who         TEXT NOT NULL,
  host        TEXT NOT NULL,
  pid         INTEGER NOT NULL,
  started     TEXT NOT NULL,
  ended       TEXT NOT NULL,
  status      TEXT NOT NULL,
  resumes     TEXT NOT NULL,
  error       TEXT NOT NULL
);
CREATE INDEX runs_by_environment ON runs (environment, started);
CREATE TABLE events (
  run  TEXT NOT NULL,
  seq  BIGINT NOT NULL,
  at   TEXT NOT NULL,
  unit TEXT NOT NULL,
  type TEXT NOT NULL,
  data TEXT NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (run, seq)
);
CREATE TABLE audit (
  seq         BIGINT PRIMARY KEY,
  at          TEXT NOT NULL,
  who         TEXT NOT NULL,
  host        TEXT NOT NULL,
  action      TEXT NOT NULL,
  environment TEXT NOT NULL,
  subject     TEXT NOT NULL,
  data        TEXT NOT NULL,
  hash        TEXT NOT NULL
);
CREATE TABLE heads (
  chain TEXT PRIMARY KEY,
  seq   BIGINT NOT NULL,
  hash  TEXT NOT NULL
);
CREATE TABLE locks (
  environment   TEXT PRIMARY KEY,
  owner         TEXT NOT NULL,
  host          TEXT NOT NULL,
  pid           INTEGER NOT NULL,
  process_start BIGINT NOT NULL,
  run           TEXT NOT NULL,
  operation     TEXT NOT NULL,
  since         TEXT NOT NULL,
  seen          TEXT NOT NULL
);
