CREATE TABLE orders (
	id                text PRIMARY KEY CHECK (id ~ '^[A-Z2-7]{16}$'),
	-- The same key places an order once; the digest tells a repetition from a mistake.
	idempotency_key   text NOT NULL UNIQUE,
	request_digest    bytea NOT NULL,
	status            text NOT NULL DEFAULT 'placed' CHECK (status IN ('placed', 'paid', 'shipped')),
	total             bigint NOT NULL CHECK (total > 0),
	currency          text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
	payment_reference text,
	tracking          text,
	-- The trace in which the order was placed; what happens to it later belongs there too.
	trace             jsonb NOT NULL DEFAULT '{}',
	placed_at         timestamptz NOT NULL DEFAULT now(),
	paid_at           timestamptz,
	sent_at           timestamptz,
	shipped_at        timestamptz
);

CREATE INDEX orders_by_day ON orders (placed_at);
CREATE INDEX orders_to_pay ON orders (placed_at) WHERE status = 'placed';
CREATE INDEX orders_to_ship ON orders (sent_at) WHERE status = 'paid';

CREATE TABLE order_lines (
	order_id text NOT NULL REFERENCES orders ON DELETE CASCADE,
	position integer NOT NULL,
	product  text NOT NULL,
	name     text NOT NULL,
	quantity integer NOT NULL CHECK (quantity > 0),
	price    bigint NOT NULL CHECK (price > 0),
	PRIMARY KEY (order_id, position)
);

-- Messages that the broker has not confirmed yet. They are written in the transaction
-- that gives rise to them, so that there is never one without the other.
CREATE TABLE outbox (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	message_id text NOT NULL,
	body       jsonb NOT NULL,
	headers    jsonb NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now()
);
