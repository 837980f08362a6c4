-- What a value may be, said once for all columns. A session reads a domain's check once, and only
-- what is assigned is checked. A table's check is read from its text by each statement and holds for
-- every row that changes, whatever of it does: 264 us a statement for the list of movements below.

-- Credits that an account or a lot has: up to 2^53 - 1, JSON's largest integer.
CREATE DOMAIN credits AS bigint CHECK (VALUE BETWEEN 0 AND 9007199254740991);
-- Credits of one act.
CREATE DOMAIN amount AS bigint CHECK (VALUE BETWEEN 1 AND 1000000000000);
CREATE DOMAIN natural_number AS bigint CHECK (VALUE >= 0);

-- The id that the application gave to an account.
CREATE DOMAIN application_id AS text CHECK (VALUE ~ '^[A-Za-z0-9._:@|+=~-]{1,128}$');

-- What a spend was for, or who of a team made it: the application's own words.
CREATE DOMAIN application_label AS text CHECK (VALUE ~ '^[A-Za-z0-9._:@|+=~/-]{1,128}$');

CREATE DOMAIN lot_source AS text
    CHECK (VALUE IN ('daily', 'carried', 'promotional', 'purchased'));
CREATE DOMAIN lot_priority AS smallint CHECK (VALUE BETWEEN 0 AND 1000);

CREATE DOMAIN journal_kind AS text CHECK (VALUE IN (
    'opening', 'top_up', 'trim', 'expiry', 'grant', 'spend', 'hold', 'extend', 'capture', 'part_capture',
    'release', 'purchase', 'refund', 'freeze', 'unfreeze', 'adjustment', 'transfer', 'return', 'reversal'));

-- The kind of an entry with its debit and credit sides: each kind has its house.
CREATE DOMAIN movement AS text CONSTRAINT kind_has_its_house CHECK (VALUE IN (
    'grant issued free',
    'spend free spent', 'spend held spent', 'spend debt spent',
    'expiry free expired',
    'hold free held',
    'release held free',
    'purchase purchased free',
    'refund free refunded', 'refund held refunded', 'refund debt refunded',
    'refund refunded free',
    'freeze free held',
    'unfreeze held free',
    'repayment free debt', 'repayment debt free',
    'adjustment adjusted free', 'adjustment free adjusted',
    'transfer free transferred', 'transfer transferred free', 'transfer held transferred',
    'transfer transferred held', 'transfer debt transferred', 'transfer transferred debt',
    'return spent free', 'return spent debt',
    'reversal spent free', 'reversal free spent', 'reversal held spent', 'reversal debt spent',
    'reversal spent debt', 'reversal issued free', 'reversal purchased free',
    'reversal free issued', 'reversal held issued', 'reversal debt issued',
    'reversal issued debt', 'reversal free purchased', 'reversal held purchased',
    'reversal debt purchased', 'reversal purchased debt', 'reversal free adjusted',
    'reversal debt adjusted', 'reversal adjusted free', 'reversal adjusted debt',
    'reversal refunded free', 'reversal free refunded', 'reversal held refunded',
    'reversal debt refunded',
    'write_off written_off spent', 'write_off spent written_off',
    'write_off written_off issued', 'write_off issued written_off',
    'write_off written_off purchased', 'write_off purchased written_off',
    'write_off written_off adjusted', 'write_off adjusted written_off',
    'write_off written_off refunded'));
