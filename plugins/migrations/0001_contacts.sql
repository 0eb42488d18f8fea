-- Who asked whom, until it is accepted.
create table contact_request (
  from_user text not null,
  to_user text not null,
  primary key (from_user, to_user)
) strict, without rowid;

-- Both ways round: each of two has the other.
create table contact (
  user text not null,
  contact text not null,
  primary key (user, contact)
) strict, without rowid;
