CREATE TABLE products (
	id          text PRIMARY KEY CHECK (id ~ '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$'),
	name        text NOT NULL,
	description text NOT NULL,
	category    text NOT NULL,
	price       bigint NOT NULL CHECK (price > 0),
	currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
	position    integer NOT NULL DEFAULT 0
);
