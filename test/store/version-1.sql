-- The broker's file as schema 1 had it, dumped: one session with two deliveries, a retained message
-- and two commands. Written by the version of Bellhop that had it; never changed.
pragma application_id = 1114401896;
pragma user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE command (
    message integer primary key
  ) strict;
INSERT INTO "command" VALUES(3);
INSERT INTO "command" VALUES(4);
CREATE TABLE delivery (
    session integer not null,
    sequence integer not null,
    message integer not null,
    size integer not null, -- that of the message, so that a start need not look at messages
    options integer not null,
    packet_identifier integer not null, -- 0 while it waits
    extra text not null,
    primary key (session, sequence)
  ) strict, without rowid;
INSERT INTO "delivery" VALUES(1,1,1,70,1,0,'');
INSERT INTO "delivery" VALUES(1,2,4,70,1,0,'');
CREATE TABLE ended (
    session integer primary key
  ) strict;
CREATE TABLE inbound (
    session integer not null,
    packet_identifier integer not null,
    primary key (session, packet_identifier)
  ) strict, without rowid;
INSERT INTO "inbound" VALUES(1,9);
CREATE TABLE message (
    number integer primary key,
    reference_count integer not null,
    size integer not null, -- as a queue counts it
    topic text not null,
    head blob not null,
    payload blob not null
  ) strict;
INSERT INTO "message" VALUES(1,1,70,'a/b',X'810536383934360570686F6E65',X'0001FF');
INSERT INTO "message" VALUES(2,1,70,'a/b',X'810536383934360570686F6E65',X'0001FF');
INSERT INTO "message" VALUES(3,1,70,'a/b',X'810536383934360570686F6E65',X'0001FF');
INSERT INTO "message" VALUES(4,2,70,'a/b',X'810536383934360570686F6E65',X'0001FF');
CREATE TABLE progress (
    id integer primary key check (id = 1),
    batch integer not null,
    last_session integer not null,
    last_message integer not null,
    last_sequence integer not null
  ) strict;
INSERT INTO "progress" VALUES(1,1,1,4,2);
CREATE TABLE retained (
    topic text primary key,
    message integer not null
  ) strict, without rowid;
INSERT INTO "retained" VALUES('a/b',2);
CREATE TABLE session (
    number integer primary key,
    user text not null,
    client_identifier text not null,
    expiry_seconds integer not null,
    expires_at_ms integer -- null while a connection is attached
  ) strict;
INSERT INTO "session" VALUES(1,'423144','client 1',3600,1700000000000);
CREATE TABLE subscription (
    session integer not null,
    share_name text not null,
    filter text not null,
    options integer not null,
    identifier integer not null,
    primary key (session, share_name, filter)
  ) strict, without rowid;
INSERT INTO "subscription" VALUES(1,'','a/+',94,7);
CREATE TABLE will (
    session integer primary key,
    due_at_ms integer, -- null while a connection is attached
    topic text not null,
    head blob not null,
    payload blob not null
  ) strict;
COMMIT;
