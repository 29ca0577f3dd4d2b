-- A join, hash and sort aggregation, numeric arithmetic, text and a regular expression.
select a.bid, count(*), sum(b.abalance * a.aid::numeric), string_agg(left(b.filler, 2), '') from pgbench_accounts a
	join pgbench_accounts b on a.aid = b.aid + 1 group by a.bid order by 2;
select md5(aid::text) as h, row_number() over (order by md5(aid::text)) from pgbench_accounts order by 1 limit 5;
select count(*) from pgbench_accounts where filler ~ '^\s*$' and aid::text ~ '(1|2)+3.*7';
create index on pgbench_accounts (md5(aid::text));
