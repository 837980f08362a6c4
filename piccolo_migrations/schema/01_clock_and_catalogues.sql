-- The time that a book goes by; empty in production, where it is the database's own.
CREATE TABLE dev_clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    standing_at timestamptz,
    ahead interval NOT NULL DEFAULT '0'
);

-- The book itself. Its epoch counts restores to an earlier moment: an id means the same thing in
-- two exports only if none of what lies between was lost, and a higher epoch says that some was.
CREATE TABLE book (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch integer NOT NULL DEFAULT 1 CHECK (epoch > 0),
    -- Nothing is recorded before this instant any more: lists were said to be complete up to it.
    floor timestamptz NOT NULL DEFAULT 'epoch',
    -- Tells whether a pepper is the one of the keys here, without telling it.
    pepper_check text
);
INSERT INTO book DEFAULT VALUES;

-- Tell the book's time: the one that was set, else the database's. Its names are looked up now, as
-- it is made, so that no session's search path changes what they are.
CREATE FUNCTION tallybook_now() RETURNS timestamptz LANGUAGE sql VOLATILE
RETURN coalesce((SELECT coalesce(standing_at, clock_timestamp() + ahead) FROM dev_clock),
                clock_timestamp());

-- Each catalogue of tiers that was applied, as it was read; the newest is in force.
CREATE TABLE catalogues (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    content text NOT NULL,
    applied_at timestamptz NOT NULL,
    applied_by text NOT NULL
);
