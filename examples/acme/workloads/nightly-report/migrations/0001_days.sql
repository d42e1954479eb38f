CREATE TABLE days (
	date      date PRIMARY KEY,
	orders    integer NOT NULL,
	shipped   integer NOT NULL,
	revenue   bigint NOT NULL,
	currency  text NOT NULL,
	notes     integer NOT NULL,
	refunds   integer NOT NULL,
	refunded  bigint NOT NULL,
	loaded_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE runs (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	report_for date NOT NULL,
	days       integer NOT NULL,
	started_at timestamptz NOT NULL,
	ended_at   timestamptz NOT NULL DEFAULT now()
);
