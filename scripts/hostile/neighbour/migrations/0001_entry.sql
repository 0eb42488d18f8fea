create table entry (number integer not null) strict;
