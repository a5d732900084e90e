"""Seeded SQL statements that try to write, or to read outside a root: all verbs, places and disguises."""

import random

TARGETS = (
    "<root>/tracks/<video>.parquet", "<root>/crops/<video>/part-000.parquet", "<root>/videos/<video>.json",
    "<root>/new.csv", "<outside>/secret.txt", "<outside>/new.csv", "<outside>/other.parquet", "<outside>",
    "rmset://tracks/<video>.parquet", "rmset://crops/<video>/part-000.parquet", "rmset://new.csv",
    "rmset://../outside/secret.txt", "rmset:///etc/passwd", "rmset://<outside>/secret.txt", "file://<outside>/secret.txt",
    "<root>/../outside/secret.txt", "<outside>/*", "/etc/passwd", "http://127.0.0.1:9/x.csv", "s3://bucket/x.parquet",
    "/dev/stdin", "/proc/self/environ", "DUCKDB_INTERNAL_OBJECTSTORE://x",
)  # fmt: skip

WRITES = (
    "copy (select 1 as a) to '<target>'", "copy (select 1 as a) to '<target>' (format csv, use_tmp_file false)",
    "copy (select 1 as a) to '<target>' (format parquet, use_tmp_file false)",
    "copy (select 1 as a, 2 as b) to '<target>' (format parquet, partition_by (a), overwrite)",
    "copy videos to '<target>'", "copy videos from '<target>'", "copy (delete from videos returning *) to '<target>'",
    "export database '<target>'", "import database '<target>'", "attach '<target>' as x", "attach '<target>' (read_write)",
    "create table t as select 1", "create temp table t as from read_text('<target>')", "create view v as select 1",
    "create or replace view faces as select 1", "create macro f(a) as a", "create or replace macro positives(a) as table select 1",
    "create secret s (type s3, key_id 'a', secret 'b')", "create persistent secret s (type http)",
    "create type x as enum ('a')", "create schema s", "create index i on videos (video_id)",
    "insert into videos (video_id) values ('x')", "insert into videos by name select 'x' as video_id",
    "update videos set title = 'x'", "delete from videos", "truncate videos", "drop table videos", "drop view faces",
    "alter table videos add column z int", "alter table videos rename to w", "comment on table videos is 'x'",
    "merge into videos using (select 'x' as video_id) s on (videos.video_id = s.video_id) when matched then delete",
    "with x as (insert into videos (video_id) values ('x') returning *) select * from x",
    "with x as (delete from videos returning *) select * from x", "with x as (update videos set title = 'x' returning *) from x",
    "with x as (select 1) delete from videos", "prepare p as delete from videos", "execute p", "deallocate p",
    "call enable_logging('QueryLog', storage = 'file', storage_path = '<target>')", "call pragma_version()",
    "pragma enable_profiling = 'json'", "pragma profiling_output = '<target>'", "pragma database_list",
    "pragma import_database('<target>')", "pragma copy_database('a', 'b')",
    "set threads = 1", "set profiling_output = '<target>'", "set temp_directory = '<target>'", "reset all",
    "set lock_configuration = false", "set enable_external_access = true", "set variable x = 1",
    "set log_query_path = '<target>'", "set allowed_directories = ['/']", "install httpfs", "force install httpfs from '<target>'",
    "load httpfs", "load '<target>'", "checkpoint", "force checkpoint", "vacuum", "analyze", "begin", "commit", "rollback",
    "use memory", "detach catalog", "update extensions", "select nextval('s')", "select write_log('x')",
    "select * from checkpoint()", "select * from force_checkpoint()", "select * from truncate_duckdb_logs()",
    "select * from create_external_resource('<target>')", "select * from add_grammar_extension('<target>')",
)  # fmt: skip

READS = (
    "read_text('<target>')", "read_blob('<target>')", "read_csv('<target>')", "read_csv('<target>', columns = {'a': 'varchar'})",
    "read_csv_auto('<target>')", "read_json('<target>')", "read_json_auto('<target>')", "read_ndjson_objects('<target>')",
    "read_parquet('<target>')", "parquet_scan('<target>')", "parquet_metadata('<target>')", "parquet_schema('<target>')",
    "parquet_file_metadata('<target>')", "parquet_kv_metadata('<target>')", "sniff_csv('<target>')", "glob('<target>')",
    "read_duckdb('<target>')", "read_single_parquet_file('<target>')", "read_text(['<target>', '<target>'])",
    "'<target>'", '"<target>"', "main.'<target>'", "query('from read_text(''<target>'')')", "query_table('<target>')",
    "json_execute_serialized_sql(json_serialize_sql('from read_text(''<target>'')'))", "duckdb_settings()",
    "duckdb_secrets()", "duckdb_logs()", "duckdb_temporary_files()", "arrow_scan(1, 2, 3)", "pandas_scan(1)",
    "python_map_function(1)", "seq_scan(1)", "which_secret('<target>', 's3')", "system.main.read_text('<target>')",
    "duckdb_databases()", "duckdb_external_file_cache()", "test_all_types()", "unsafe",
)  # fmt: skip

PLACES = (
    "select * from <read>", "from <read>", "select count(*) from <read>", "select (select content from <read>)",
    "select * from videos where exists (from <read>)", "select * from videos where title in (select content from <read>)",
    "with x as (from <read>) select * from x", "with x as materialized (from <read>) from x",
    "with recursive x as (select * from <read> union all select * from x where false) from x",
    "select * from videos, lateral (from <read>)", "select * from videos left join <read> on true",
    "select * from videos positional join <read>", "select 1 union all select count(*) from <read>",
    "select * from (values (1)) t(a) cross join <read>", "from (from (from <read>))", "summarize (from <read>)",
    "describe select * from <read>", "describe <read>", "pivot (from <read>) on 1 in (1) using count(*)",
    "unpivot (from <read>) on columns(*)", "select list(x) from <read> x", "select * from <read> tablesample 10 rows",
    "select array(select content from <read>)", "select * from positives((select content from <read>), 0, 0)",
    "select unnest((select list(content) from <read>))", "select * from range((select count(*) from <read>))",
    "select a from (select 1 as a) qualify row_number() over (order by (select 1 from <read>)) = 1",
    "select 1 order by (select content from <read> limit 1)", "select 1 limit (select count(*) from <read>)",
    "select case when true then (select content from <read>) end", "table <read>",
)  # fmt: skip

DISGUISES = (
    "<it>", "<it>;", ";<it>", ";;<it>;;", "select 1; <it>", "<it>; select 1", "select 1;\n<it>", "-- explain\n<it>", " -- explain\nexplain analyze <it>",
    "-- explain \nselect 1;<it>", "/* explain */ <it>", "/* a /* b */ c */ <it>", "/**/<it>/**/", "explain <it>", "explain analyze <it>",
    "explain (format json) <it>", "explain (analyze) <it>", "EXPLAIN\nANALYZE\n<it>", "explain -- analyze\n<it>", "explain /* select 1 */ <it>",
    "explain select 1; <it>", "explain analyze explain <it>", "(<it>)", "((<it>))", "from (<it>)", "select * from (<it>) t", "with q as (<it>) select * from q",
    "with q as (<it>) from q -- explain \nunion all select 1", "select 1 -- explain \nunion all <it>", "select 1 -- explain\runion all <it>",
    "select 1 union all (<it>)", "select 1 /* ' */ union all <it>", "select '--' union all <it>", "select $$ -- $$; <it>", "select $a$;$a$;<it>",
    "\ufeff<it>", "\u00a0<it>", "\t\n\r<it>", "<it>\x00", "<it> -- \n", "<it> /*", "prepare p as <it>", "execute immediate '<it>'", "do <it>",
    "begin; <it>; commit", "rollback; <it>", "pragma <it>", "call <it>", "describe <it>", "summarize <it>", "show <it>", "create temp view v as <it>",
    "create macro m() as table <it>", "copy (<it>) to '<outside>/new.csv'", "select * from query('<it>')", "set x = (<it>)", "return <it>",
)  # fmt: skip


def _cased(text: str, rng: random.Random) -> str:
    """Change the case of some words; quoted texts stay."""
    parts = text.split("'")
    return "'".join(
        part if i % 2 else "".join(c.upper() if rng.random() < 0.5 else c for c in part) for i, part in enumerate(parts)
    )


def generate(count: int, seed: int, **names: str) -> list[str]:
    """Generate `count` different statements.

    Args:
        count: how many.
        seed: decides which.
        **names: root, outside, video: what the targets are made of.
    """
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        text = rng.choice(WRITES) if rng.random() < 0.5 else rng.choice(PLACES).replace("<read>", rng.choice(READS))
        text = text.replace("<target>", rng.choice(TARGETS))
        for _ in range(1 + (rng.random() < 0.3)):
            text = rng.choice(DISGUISES).replace("<it>", text)
        for name, value in names.items():
            text = text.replace(f"<{name}>", value)
        found[_cased(text, rng) if rng.random() < 0.2 else text] = None
    return list(found)
